import { describe, expect, it } from "vitest";
import type { StreamSocket } from "../../../src/io/stream-socket.ts";
import { TurnFlusher } from "../../../src/io/turn-flusher.ts";

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i += 1) await new Promise(setImmediate);
};

/**
 * Counts how often the flusher runs; each run is one turn in which the loop does not sleep, and takes 0.2 ms by the
 * flusher's clock: a busy machine took the time from those that were measured.
 */
function counted(options: { busyPollUs?: number; mayPoll?: () => boolean; afterEachRead?: boolean }) {
  const seen = { flushes: 0 };
  const beforeFlush = () => {
    seen.flushes += 1;
  };
  const nowMs = () => 1 + seen.flushes / 5;
  return { seen, flusher: new TurnFlusher({ beforeFlush, nowMs, ...options }) };
}

const socket = (flushed: string[], name: string, more?: () => void): StreamSocket =>
  ({
    flush: () => {
      flushed.push(name);
      more?.();
    },
    feedCarry: () => flushed.push(`fed ${name}`),
  }) as unknown as StreamSocket;

describe("TurnFlusher", () => {
  it("flushes each socket that has something to send once a turn, resumed ones being fed before", async () => {
    const flushed: string[] = [];
    const { flusher } = counted({});
    flusher.schedule(socket(flushed, "a"));
    flusher.schedule(socket(flushed, "b"));
    flusher.scheduleResume(socket(flushed, "c"));
    expect(flushed).toEqual([]);
    await turns(2);
    expect(flushed).toEqual(["fed c", "a", "b"]);
  });

  it("leaves what is scheduled during a flush to the next turn", async () => {
    const flushed: string[] = [];
    const { seen, flusher } = counted({});
    flusher.schedule(socket(flushed, "a", () => flusher.schedule(socket(flushed, "b"))));
    await turns(3);
    expect(flushed).toEqual(["a", "b"]);
    expect(seen.flushes).toBe(2);
  });

  it("sends at once after a run of turns with one short message each, not after a second one", async () => {
    const { seen, flusher } = counted({});
    for (let i = 0; i < 8; i += 1) {
      flusher.received(28);
      expect(seen.flushes).toBe(i);
      await turns(2);
    }
    const before = seen.flushes;
    flusher.received(28);
    expect(seen.flushes).toBe(before + 1);
    flusher.received(28);
    expect(seen.flushes).toBe(before + 1);
    await turns(2);
    flusher.received(28);
    expect(seen.flushes).toBe(before + 2);
  });

  it("stays awake for a while after something came, and sleeps when nothing more comes", async () => {
    const { seen, flusher } = counted({ busyPollUs: 3_000 });
    flusher.received(28);
    await turns(20);
    expect(seen.flushes).toBe(16);
    await turns(20);
    expect(seen.flushes).toBe(16);
  });

  it("polls ever more rarely while polling is in vain, and again once it paid", async () => {
    const { seen, flusher } = counted({ busyPollUs: 500 });
    const polls: boolean[] = [];
    for (let i = 0; i < 12; i += 1) {
      const before = seen.flushes;
      flusher.received(5_000);
      await turns(10);
      polls.push(seen.flushes > before + 1);
    }
    expect(polls).toEqual([true, false, true, false, false, true, ...new Array(4).fill(false), true, false]);
  });

  it("does not poll while it may not", async () => {
    const { seen, flusher } = counted({ busyPollUs: 3_000, mayPoll: () => false });
    flusher.received(28);
    await turns(20);
    expect(seen.flushes).toBe(1);
  });

  it.each([
    [true, 1],
    [false, 2],
  ])(
    "afterEachRead %s: what is encoded at a turn's end has %i turns to bring something about",
    async (afterEachRead, most) => {
      const flushed: string[] = [];
      const a = socket(flushed, "a");
      let encodes = 0;
      const flusher = new TurnFlusher({
        beforeFlush: () => {
          encodes += 1;
          if (encodes === 1) flusher.schedule(a);
        },
        afterEachRead,
      });
      flusher.wake();
      await turns(5);
      expect(flushed).toEqual(["a"]);
      expect(encodes).toBe(most);
    },
  );

  it("sends behind each read where that is wanted, without another turn", async () => {
    const flushed: string[] = [];
    const seen = { flushes: 0 };
    const flusher = new TurnFlusher({
      beforeFlush: () => {
        seen.flushes += 1;
      },
      afterEachRead: true,
    });
    for (const name of ["a", "b"]) {
      flusher.receiving();
      flusher.schedule(socket(flushed, name));
      expect(flushed).not.toContain(name);
      flusher.received(200_000);
      expect(flushed).toContain(name);
    }
    await turns(5);
    expect(seen.flushes).toBe(2);
    // What comes to be sent without a read has its turn.
    flusher.schedule(socket(flushed, "c"));
    await turns(2);
    expect(flushed).toEqual(["a", "b", "c"]);
  });

  it("leaves what a flush behind a read has scheduled to a turn", async () => {
    const flushed: string[] = [];
    const { flusher } = counted({ afterEachRead: true });
    flusher.receiving();
    flusher.schedule(socket(flushed, "a", () => flusher.schedule(socket(flushed, "b"))));
    flusher.received(28);
    expect(flushed).toEqual(["a"]);
    await turns(2);
    expect(flushed).toEqual(["a", "b"]);
  });
});
