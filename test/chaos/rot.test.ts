import { expect, test } from "vitest";
import { runTool } from "../support/child.ts";
import { nswapProgram } from "../support/local-cluster.ts";
import { NbdPipe } from "../support/nbd-pipe.ts";
import { NodeCluster } from "../support/node-cluster.ts";
import { flipBehind } from "../support/process-memory.ts";
import { nbd } from "../support/raw-nbd.ts";
import { Scratch } from "../support/scratch.ts";
import { VerifyingLoad } from "../support/verifying-load.ts";

const MIB = 1 << 20;
const PAGES = 64;
const SEED = 0x5eed_0b1f;
const PAGE = 5;

/** The first words of a page of the load, in its first generation. */
function markOf(page: number): Buffer {
  const mark = Buffer.alloc(12);
  mark.writeUInt32LE(page, 0);
  mark.writeUInt32LE(1, 4);
  mark.writeUInt32LE(SEED, 8);
  return mark;
}

test("a page that goes bad in a server's memory is found and made anew before it is needed", {
  timeout: 120_000,
}, async () => {
  const scratch = new Scratch();
  const address = { path: scratch.file("nbd.sock") };
  const cluster = await NodeCluster.start({
    ...{ servers: 5, parity: 1, sizeBytes: PAGES * 4096, capacityBytes: 4 * MIB },
    ...{ socketPath: address.path, redundancy: "parity" },
  });
  try {
    const load = await VerifyingLoad.connect({ address, firstPage: 0, pages: PAGES, depth: 1, seed: SEED });
    await load.fill();
    const pipe = await NbdPipe.connect(address);
    await pipe.request({ command: nbd.command.flush, offset: 0, length: 0 });
    pipe.close();
    const memory = cluster.servers.filter(({ role }) => role === "server");
    // A write that was made to two servers lies in both, in one of them where nobody looks.
    const rotten = memory.filter(({ child }) => flipBehind(child.pid, markOf(PAGE), 2_000) > 0);
    expect(rotten.length).toBeGreaterThan(0);

    const suspect = await cluster.client.child.until(
      "word of a suspect server",
      () => /a server is suspect(?: name=|","name":")([a-z0-9-]+)/.exec(cluster.logOf("client"))?.[1],
      60_000,
    );
    expect(rotten.map(({ name }) => name)).toContain(suspect);
    const control = ["--control", cluster.client.ready.control];
    // What the background found just before may still count for a pass.
    await cluster.client.child.until(
      "a scrub that finds nothing wrong",
      async () =>
        (await runTool(process.execPath, [nswapProgram(), "scrub", ...control])).status === 0 || undefined,
      30_000,
    );
    await cluster.until("all pages to be protected", ({ pages }) => pages.unprotected === 0, 30_000);
    // With that page still wrong, the pages of its group on another server would be gone.
    const other = memory.find(({ name }) => name !== suspect)!;
    await cluster.signal(other.name, "SIGKILL");
    await load.verifyAll();
    expect([load.faults, load.wrongPages, load.errors]).toEqual([[], 0, 0]);
    load.close();
  } finally {
    await cluster.stop();
    scratch.remove();
  }
});
