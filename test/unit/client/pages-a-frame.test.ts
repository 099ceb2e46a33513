import { expect, it } from "vitest";
import { FrameType, HEADER_BYTES } from "../../../proto/peer/index.ts";
import type { OutQueue } from "../../../src/base/out-queue.ts";
import { memoryServer, pageOf, TestClient } from "../../support/cores.ts";

/** Where the HELLO that begins a stream says how many pages its sender takes in a frame. */
const PAGES_AT = HEADER_BYTES + 12;

/** Counts of the frames of a type that are queued. */
function counts(queue: OutQueue, type: number): number[] {
  const bytes = Buffer.concat([...Array(queue.pieces).keys()].map((i) => queue.piece(i)));
  const found: number[] = [];
  for (let at = 0; at < bytes.length; at += HEADER_BYTES + bytes.readUInt32LE(at + 4)) {
    if (bytes[at] === type) found.push(bytes.readUInt16LE(at + 2));
  }
  return found;
}

it("a server that takes few pages in a frame was sent as many as any other", () => {
  const client = new TestClient();
  const wire = client.connect(memoryServer("a"));
  client.turn();
  client.deliverToServer(wire);
  const hello = wire.serverOut.piece(0);
  new DataView(hello.buffer, hello.byteOffset).setUint16(PAGES_AT, 5, true);
  client.pump();
  const slots = [...Array(12).keys()];
  const writes = slots.map((slot) => client.write(slot, pageOf(slot)));
  client.turn();
  expect(counts(wire.clientOut, FrameType.PUTPAGE)).toEqual([5, 5, 2]);
  client.pump();
  expect(writes.every(({ done }) => done)).toBe(true);
  const reads = slots.map((slot) => client.read(slot));
  client.turn();
  expect(counts(wire.clientOut, FrameType.GETPAGE)).toEqual([5, 5, 2]);
  client.pump();
  expect(reads.map(({ bytes }) => bytes)).toEqual(slots.map((slot) => pageOf(slot)));
});
