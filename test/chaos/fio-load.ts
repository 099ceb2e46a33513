import { runTool } from "../support/child.ts";

const ROUND_S = 8;

/** fio: writes, and reads back what it wrote with checksums, again and again on a range of its own. */
export class FioLoad {
  rounds = 0;
  /** What fio said when it failed. */
  failure: string | undefined;
  readonly #args: string[];
  #stopping = false;
  readonly #done: Promise<void>;

  constructor(uri: string, offsetBytes: number, sizeBytes: number) {
    this.#args = ["--name=chaos", "--ioengine=nbd", `--uri=${uri}`, `--offset=${offsetBytes}`];
    this.#args.push(`--size=${sizeBytes}`, "--rw=randwrite", "--bs=4k", "--iodepth=4", "--randrepeat=0");
    this.#args.push("--time_based", `--runtime=${ROUND_S}`, "--rate_iops=1000", "--serialize_overlap=1");
    this.#args.push("--verify=crc32c", "--verify_backlog=256", "--verify_fatal=1", "--verify_state_save=0");
    this.#done = this.#run();
  }

  /** Waits for the round that is under way. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#stopping && this.failure === undefined) {
      const { status, stdout, stderr } = await runTool("fio", this.#args, { timeoutMs: 120_000 });
      if (status !== 0) this.failure = `status ${status}\n${stdout}${stderr}`;
      this.rounds += 1;
    }
  }
}
