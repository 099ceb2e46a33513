import { formatHostPort, type HostPort } from "../base/host-port.ts";
import type { ClusterKey } from "../io/cluster-key.ts";
import { ControlError } from "../io/control/control-error.ts";
import type { StatusDocument } from "../membership/status-document.ts";
import { StatusClient } from "../node/status-client.ts";
import { catalog } from "./catalog.ts";
import type { CliHost, Command } from "./command.ts";
import { given, loadKey } from "./common.ts";
import { pick } from "./option-spec.ts";
import { redraw, renderStatus } from "./status-view.ts";

/** Which node is asked, and how. */
export const askSpecs = {
  control: {
    ...catalog.control,
    describe: "control port of the node that is asked (default 127.0.0.1:7411)",
  },
  ...pick(catalog, ["key-file"]),
};
const statusSpecs = { ...askSpecs, ...pick(catalog, ["json", "watch"]) };
export const defaultControl = { host: "127.0.0.1", port: 7411 };
const watchEveryMs = 1_000;
const signals = ["SIGINT", "SIGTERM"] as const;

interface Asked {
  readonly address: HostPort;
  readonly key: ClusterKey | null;
  readonly json: boolean;
}

export const statusCommand: Command = {
  name: "status",
  describe: "the cluster as one node sees it",
  options: statusSpecs,
  configure: (yargs) =>
    yargs.example("$0 status --control 127.0.0.1:7412 --watch", "ask this machine's client, keep watching"),
  async run(commandLine, host) {
    const values = given(statusSpecs, commandLine, host);
    const asked: Asked = {
      address: values.control ?? defaultControl,
      key: loadKey(values["key-file"]),
      json: values.json ?? false,
    };
    try {
      if (values.watch === true) await watch(asked, host);
      else host.print(asText(await askStatus(asked.address, asked.key), asked.json));
      return 0;
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
      host.complain(`nswap status: ${problemText(asked.address, error)}\n`);
      return 1;
    }
  },
};

function connect({ address, key }: Asked): Promise<StatusClient> {
  return StatusClient.connect(address, key);
}

/** The cluster as the node at this control address sees it. @throws ControlError */
export async function askStatus(address: HostPort, key: ClusterKey | null): Promise<StatusDocument> {
  const client = await StatusClient.connect(address, key);
  try {
    return await client.status();
  } finally {
    client.close();
  }
}

function asText(document: StatusDocument, json: boolean): string {
  return json ? `${JSON.stringify(document, null, 2)}\n` : `${renderStatus(document).join("\n")}\n`;
}

/** What went wrong at a control address, for people. */
export function problemText(address: HostPort, error: ControlError): string {
  const hint =
    error.code === "UNREACHABLE"
      ? "; is a node running there? Its ready line says control=HOST:PORT; give it with --control"
      : "";
  return `--control ${formatHostPort(address)}: ${error.message} (${error.code})${hint}`;
}

/** Shows updates until a signal comes. The first connection must succeed; a later loss is shown and mended. */
async function watch(asked: Asked, host: CliHost): Promise<void> {
  let client: StatusClient | null = await connect(asked);
  let over = false;
  let wake = () => {};
  const end = () => {
    over = true;
    client?.close();
    wake();
  };
  for (const signal of signals) host.on(signal, end);
  const screen = new Screen(asked.json, host);
  try {
    while (!over) {
      if (client !== null) {
        client.subscribe(watchEveryMs, (document) => screen.show(document));
        const why = await client.whenClosed;
        if (!over) screen.note(problemText(asked.address, why));
      }
      if (over) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, watchEveryMs);
      });
      client = over ? null : await connect(asked).catch(() => null);
    }
  } finally {
    client?.close();
    screen.end();
    for (const signal of signals) host.off(signal, end);
  }
}

/** Where updates are shown: over one another on a terminal, else one after the other. */
class Screen {
  #begun = false;
  #last: readonly string[] = [];

  constructor(
    private readonly json: boolean,
    private readonly host: CliHost,
  ) {}

  show(document: StatusDocument): void {
    if (this.json) {
      this.host.print(`${JSON.stringify(document)}\n`);
      return;
    }
    this.#last = renderStatus(document);
    this.#draw(this.#last);
  }

  /** Something that is not an update: below the last one on a terminal, else on standard error. */
  note(text: string): void {
    if (this.json || this.host.terminal() === null)
      this.host.complain(`nswap status: ${text}; trying again\n`);
    else this.#draw([...this.#last, "", `${text}; trying again`]);
  }

  end(): void {
    if (this.#begun) this.host.print("\x1b[?25h");
  }

  #draw(lines: readonly string[]): void {
    const size = this.host.terminal();
    if (size === null) {
      this.host.print(`${lines.join("\n")}\n\n`);
      return;
    }
    // The first time the screen is cleared and the cursor hidden; after that everything is drawn in place.
    const start = this.#begun ? "" : "\x1b[?25l\x1b[2J";
    this.#begun = true;
    this.host.print(start + redraw(lines, size));
  }
}
