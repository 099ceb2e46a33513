import { afterEach, beforeEach, expect } from "vitest";
import { residentBytes } from "../support/proc.ts";
import { nbd, type RawAddress, RawNbd } from "../support/raw-nbd.ts";
import { Verifier } from "../support/verifier.ts";
import type { InteropTarget } from "./target.ts";
import { type TargetContext, withTarget } from "./with-target.ts";

const MIB = 1024 * 1024;
/** The verifying client's own range: the last MiB of the device. */
const VERIFIER_BYTES = MIB;
const PAGE_BYTES = 4096;
/** A well-behaved client may be slowed by abuse, never for longer than this. */
const SLOWEST_ROUND_MS_MAX = 10_000;

/** Where the target listens for NBD on its Unix socket. */
export function unixOf(target: InteropTarget): RawAddress {
  return { path: target.socketPath };
}

/**
 * A target for the tests of the enclosing `describe`; beside every test a verifying client writes and reads
 * back, and must not be harmed; after every test a fresh client must be served.
 */
export function withAbusedTarget(): TargetContext {
  const context = withTarget();
  let verifier: Verifier | undefined;
  beforeEach(async () => {
    const { target } = context;
    verifier = await Verifier.start(
      unixOf(target),
      target.sizeBytes - VERIFIER_BYTES,
      VERIFIER_BYTES / PAGE_BYTES,
    );
  });
  afterEach(async () => {
    const { slowestMs } = await verifier!.stop();
    expect(slowestMs).toBeLessThan(SLOWEST_ROUND_MS_MAX);
    await expectServed(unixOf(context.target));
  });
  return context;
}

/** A new client is greeted and gets an answer to a read. */
export async function expectServed(address: RawAddress): Promise<void> {
  const client = await RawNbd.ready(address);
  await expectAlive(client);
  client.close();
}

/** The connection still answers a valid request, with the right cookie. */
export async function expectAlive(client: RawNbd): Promise<void> {
  const { error } = await client.request({ command: nbd.command.read, length: 512 });
  expect(error).toBe(0);
}

/** Sum of the resident sizes of the target's processes, in bytes. */
function residentOf(target: InteropTarget): number {
  return target.pids().reduce((sum, pid) => sum + residentBytes(pid), 0);
}

/**
 * Runs `abuse` and fails when the target's resident size at any moment (sampled) exceeds that before by
 * more than `boundBytes`.
 */
export async function expectBoundedMemory(
  target: InteropTarget,
  boundBytes: number,
  abuse: () => Promise<void>,
): Promise<void> {
  const before = residentOf(target);
  let peak = before;
  const timer = setInterval(() => {
    peak = Math.max(peak, residentOf(target));
  }, 100);
  try {
    await abuse();
  } finally {
    clearInterval(timer);
  }
  peak = Math.max(peak, residentOf(target));
  const grown = Math.round((peak - before) / MIB);
  expect(grown, `MiB above the ${Math.round(before / MIB)} MiB before`).toBeLessThanOrEqual(boundBytes / MIB);
}
