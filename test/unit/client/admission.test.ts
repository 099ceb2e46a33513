import { expect, test } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { Admission, type Admitted } from "../../../src/client/admission.ts";
import { clientLimits } from "../../../src/client/client-limits.ts";

const FRAMES = 12_000;
const ANSWER_BYTES = 40 * 1024 * 1024;
const LONG = { frames: 8_192, bytes: 32 * 1024 * 1024 };

/** A connection that has one request at a time to be admitted. */
class Asker implements Admitted {
  heldFrames = 0;
  queuedBytes = 0;
  idleMs = 0;
  admitted = 0;
  closed = false;
  #wants: { frames: number; bytes: number } | undefined;
  readonly #admission: Admission;

  constructor(admission: Admission) {
    this.#admission = admission;
  }

  ask(frames: number, bytes: number): boolean {
    this.#wants = { frames, bytes };
    this.retry();
    return this.#wants === undefined;
  }

  retry(): void {
    if (this.#wants === undefined) return;
    if (!this.#admission.admit(this, this.#wants.frames, this.#wants.bytes)) return;
    this.#wants = undefined;
    this.admitted += 1;
  }

  /** The answer is made and waits for the client to take it. */
  answered(frames: number, bytes: number): void {
    this.#admission.release(this, frames, bytes);
    this.queuedBytes += bytes;
  }

  closeForContention(): void {
    this.closed = true;
    this.queuedBytes = 0;
    this.#admission.leave(this);
  }
}

function setup(count: number): { admission: Admission; askers: Asker[] } {
  const admission = new Admission(FRAMES, ANSWER_BYTES, clientLimits);
  return { admission, askers: Array.from({ length: count }, () => new Asker(admission)) };
}

/** Lets time pass in the steps of the driver's ticks. */
function pass(admission: Admission, fromMs: number, toMs: number, eachTick: (nowMs: number) => void): void {
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += limits.tickMs) {
    admission.tick(nowMs);
    admission.advance();
    eachTick(nowMs);
  }
}

test("a client that asks for much and never reads does not hold up those who need little", () => {
  const { admission, askers } = setup(3);
  const [deaf, next, small] = askers as [Asker, Asker, Asker];
  expect(deaf.ask(LONG.frames, LONG.bytes)).toBe(true);
  deaf.answered(LONG.frames, LONG.bytes);
  expect(next.ask(LONG.frames, LONG.bytes)).toBe(false);

  let longestMs = 0;
  let askedMs = 0;
  let waiting = false;
  pass(admission, 0, 10_000, (nowMs) => {
    if (waiting && small.heldFrames > 0) {
      longestMs = Math.max(longestMs, nowMs - askedMs);
      waiting = false;
      admission.release(small, 1, 4096);
    } else if (!waiting) {
      askedMs = nowMs;
      waiting = !small.ask(1, 4096);
      if (!waiting) admission.release(small, 1, 4096);
    }
  });
  expect(small.admitted).toBeGreaterThan(20);
  expect(longestMs).toBeLessThanOrEqual(limits.nbdLineKeptMs + 2 * limits.tickMs);
  expect(next.admitted).toBe(0);
});

test("the first in line gets its turn however much those who need little ask for", () => {
  const { admission, askers } = setup(9);
  const [large, ...others] = askers as [Asker, ...Asker[]];
  const bytes = 2 * 1024 * 1024;
  for (const other of others) expect(other.ask(512, bytes)).toBe(true);
  expect(large.ask(LONG.frames, LONG.bytes)).toBe(false);
  pass(admission, 0, 2_000, () => {
    for (const other of others) {
      if (other.heldFrames === 0) continue;
      admission.release(other, 512, bytes);
      other.ask(512, bytes);
    }
  });
  expect(large.admitted).toBe(1);
});

test("the line is in order while it is kept to", () => {
  const { admission, askers } = setup(4);
  const [holder, first, second, third] = askers as [Asker, Asker, Asker, Asker];
  expect(holder.ask(LONG.frames, 0)).toBe(true);
  expect(first.ask(LONG.frames, 0)).toBe(false);
  expect(second.ask(1, 0)).toBe(false);
  expect(third.ask(1, 0)).toBe(false);
  admission.release(holder, LONG.frames, 0);
  admission.advance();
  expect([first.admitted, second.admitted, third.admitted]).toEqual([1, 1, 1]);
});

test("a connection that waits for its own answers alone leaves the line to others", () => {
  const { admission, askers } = setup(3);
  const [holder, greedy, small] = askers as [Asker, Asker, Asker];
  expect(holder.ask(LONG.frames, LONG.bytes)).toBe(true);
  expect(greedy.ask(LONG.frames, LONG.bytes)).toBe(false);
  // Meanwhile it has answers of its own that its client does not take.
  greedy.queuedBytes = limits.clientFramesSoft * 4096;
  admission.advance();
  expect(small.ask(1, 4096)).toBe(true);
});

test("who does not do its part while others wait is closed after a long while", () => {
  const { admission, askers } = setup(2);
  const [deaf, next] = askers as [Asker, Asker];
  deaf.ask(LONG.frames, LONG.bytes);
  deaf.answered(LONG.frames, LONG.bytes);
  deaf.idleMs = limits.nbdIdleUnderContentionMsMax + 1;
  next.ask(LONG.frames, LONG.bytes);
  pass(admission, 0, limits.nbdIdleUnderContentionMsMax + 2 * limits.tickMs, () => {});
  expect(deaf.closed).toBe(true);
  pass(admission, limits.nbdIdleUnderContentionMsMax, limits.nbdIdleUnderContentionMsMax + 200, () => {});
  expect(next.admitted).toBe(1);
});
