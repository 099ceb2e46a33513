import { describe, expect, it } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { PageResult } from "../../../src/client/page-waiter.ts";
import { ClientRig, Connection, ServerRig } from "./rig.ts";

describe("after a lost connection", () => {
  /** A page that a holds, its acknowledgement being lost, and that was then sent to b, which does not answer. */
  function sentTwice() {
    const client = new ClientRig();
    const a = new ServerRig(1);
    const first = new Connection(client, a);
    first.settle();
    const write = client.write(5, 42);
    client.core.flush(0);
    first.serve();
    client.core.linkEnded(first.link);
    // It has more room.
    const toB = new Connection(client, new ServerRig(2, 1000));
    toB.exchange(3);
    client.core.flush(0);
    toB.sent();
    return { client, a, toB, write };
  }

  it("an INVALIDATE for a copy found in the list does not hit the page that is placed there in the same turn", () => {
    const { client, a, toB, write } = sentTwice();
    const second = new Connection(client, a);
    second.exchange(1);
    second.serve();
    // In one turn: the list with the old copy comes, b is lost, the page is placed on the first server again.
    second.deliver();
    client.core.linkEnded(toB.link);
    second.settle();
    expect(write.held).toBe(true);
    const read = client.read(5);
    second.settle();
    expect(read).toEqual({ value: 42, result: PageResult.OK });
    expect(a.core.capacity.used).toBe(1);
  });

  it("an INVALIDATE that comes late over the old connection does not hit the page that was placed again", () => {
    const { client, a, toB, write } = sentTwice();
    const second = new Connection(client, a);
    second.exchange(3);
    client.core.flush(0);
    // The INVALIDATE for the old copy.
    const late = second.sent();
    client.core.linkEnded(second.link);
    client.core.linkEnded(toB.link);
    const third = new Connection(client, a);
    third.settle();
    expect(write.held).toBe(true);
    second.serve(late);
    const read = client.read(5);
    third.settle();
    expect(read).toEqual({ value: 42, result: PageResult.OK });
  });

  it("a page that comes late over the old connection does not stay on the server for good", () => {
    const client = new ClientRig();
    const a = new ServerRig(1);
    const first = new Connection(client, a);
    first.settle();
    client.write(5, 42);
    client.core.flush(0);
    const late = first.sent();
    client.core.linkEnded(first.link);
    const second = new Connection(client, a);
    second.settle();
    first.serve(late);
    expect(a.core.capacity.used).toBe(2);
    for (let now = 0; now <= limits.linkListAgainMs + 1000; now += 500) {
      client.core.tick(now);
      second.settle(now);
    }
    expect(a.core.capacity.used).toBe(1);
    const read = client.read(5);
    second.settle();
    expect(read.value).toBe(42);
  });
});

it("reads that are held back behind one that a stopped server does not answer are seen to be slow with it", () => {
  const client = new ClientRig();
  const server = new Connection(client, new ServerRig(1));
  server.settle();
  client.write(5, 42);
  client.write(6, 43);
  client.core.flush(0);
  server.settle();
  client.read(5);
  client.core.flush(0);
  client.read(6);
  client.core.flush(1);
  const slow: number[] = [];
  server.link.visitReadsBefore(0, (frame) => slow.push(client.core.frames.slot[frame]!));
  expect(slow).toEqual([]);
  server.link.visitReadsBefore(100, (frame) => slow.push(client.core.frames.slot[frame]!));
  expect(slow).toEqual([5, 6]);
});
