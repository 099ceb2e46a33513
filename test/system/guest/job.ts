const MIB = 1024 * 1024;

interface Machine {
  readonly memoryMiB: number;
  /** Where the block device is: a server over TCP, or a program started inside the guest. */
  readonly device: GatewayDevice | LocalDevice;
}

/** What one guest is to do. Sizes in bytes unless the name says otherwise. */
export interface GuestJob extends Machine {
  readonly load: Load;
}

/** Work to be done once, whose time is measured. */
export interface WorkJob extends Machine {
  readonly work: Work;
}

/** The kernel's nbd speaks TCP straight to a server outside. */
export interface GatewayDevice {
  readonly kind: "gateway";
  readonly host: string;
  readonly port: number;
  readonly exportName: string;
  /** False: pages that are no longer needed are not discarded; default true. */
  readonly discard?: boolean;
}

/** An NBD server on a Unix socket inside the guest, under recipe R. */
export interface LocalDevice {
  readonly kind: "local";
  /** Program and arguments; `socket` must appear among them. */
  readonly command: readonly string[];
  readonly socket: string;
  /** A line of its output that says it is ready (basic regular expression); empty: the socket alone says so. */
  readonly readyPattern: string;
  readonly exportName: string;
  /** True: everything but the program is held to what it leaves, less `reserveMiB`. */
  readonly bounded: boolean;
  readonly reserveMiB: number;
  /** memory.min of its cgroup: more than its resident size. */
  readonly protectedMiB: number;
}

/** The loads run one after the other; `holdBytes` are held all through. 0 seconds leaves one out. */
export interface Load {
  readonly bytes: number;
  readonly holdBytes: number;
  readonly stressSeconds: number;
  readonly stressWorkers: number;
  readonly randomSeconds: number;
  readonly seed: number;
  /** A file of the host: the random load goes on while it exists, for all its seconds are over; "" for none. */
  readonly whileFile: string;
}

/** `bytes` of memory, or of a file to be sorted that lies in memory; for what it is see inside/work.pl. */
export interface Work {
  readonly kind: "sweep" | "random" | "sort";
  readonly bytes: number;
  /** Sweep: how often over all pages. */
  readonly sweeps: number;
  /** Random: visits of a page. */
  readonly accesses: number;
  readonly seed: number;
}

const NO_LOAD: Load = {
  bytes: 0,
  holdBytes: 0,
  stressSeconds: 0,
  stressWorkers: 0,
  randomSeconds: 0,
  seed: 1,
  whileFile: "",
};

/** A load of `times` the guest's memory, a part of it held all through. */
export function loadOf(memoryMiB: number, times: number, seconds: { stress: number; random: number }): Load {
  const holdBytes = Math.floor(memoryMiB * 0.15) * MIB;
  return {
    bytes: Math.floor(memoryMiB * times) * MIB - holdBytes,
    holdBytes,
    stressSeconds: seconds.stress,
    stressWorkers: 1,
    randomSeconds: seconds.random,
    seed: 1 + Math.floor(performance.timeOrigin % 1_000_000),
    whileFile: "",
  };
}

/** The shell assignments that inside/init.sh reads. `address` is the guest's own, with its prefix length. */
export function jobText(job: GuestJob | WorkJob, address: string): string {
  const { device } = job;
  const load = "load" in job ? job.load : NO_LOAD;
  const work = "work" in job ? job.work : undefined;
  const local = device.kind === "local" ? device : undefined;
  const gateway = device.kind === "gateway" ? device : undefined;
  const words: [string, string | number][] = [
    ["MODE", device.kind],
    ["ADDRESS", address],
    ["MIN_FREE_KIB", job.memoryMiB >= 512 ? 32768 : 16384],
    ["EXPORT", device.exportName],
    ["SERVER_HOST", gateway?.host ?? ""],
    ["SERVER_PORT", gateway?.port ?? 0],
    ["SOCKET", local?.socket ?? ""],
    ["READY", local?.readyPattern ?? ""],
    ["BOUNDED", local?.bounded ? "yes" : "no"],
    ["RESERVE_KIB", (local?.reserveMiB ?? 0) * 1024],
    ["DAEMON_MIN_BYTES", (local?.protectedMiB ?? 0) * MIB],
    ["HOLD_BYTES", load.holdBytes],
    ["LOAD_BYTES", load.bytes],
    ["STRESS_SECONDS", load.stressSeconds],
    ["STRESS_WORKERS", load.stressWorkers],
    ["RANDOM_SECONDS", load.randomSeconds],
    ["SEED", work?.seed ?? load.seed],
    ["WHILE_FILE", load.whileFile],
    ["WORK", work?.kind ?? ""],
    ["WORK_BYTES", work?.bytes ?? 0],
    ["WORK_SWEEPS", work?.sweeps ?? 0],
    ["WORK_ACCESSES", work?.accesses ?? 0],
    ["DISCARD", gateway?.discard === false ? "" : "pages"],
  ];
  const lines = words.map(([name, value]) => `${name}=${shellQuote(String(value))}`);
  lines.push(`DAEMON=(${(local?.command ?? []).map(shellQuote).join(" ")})`);
  return `${lines.join("\n")}\n`;
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
