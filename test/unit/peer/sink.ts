import { HeapBlockPool } from "../../../src/base/blocks.ts";
import { OutQueue } from "../../../src/base/out-queue.ts";

/** A send queue of its own, with room for the longest frames. */
export function newSink(): OutQueue {
  return new OutQueue(new HeapBlockPool(64));
}

/** Everything queued, taken out. */
export function takeAll(queue: OutQueue): Buffer {
  const bytes = Buffer.concat(Array.from({ length: queue.pieces }, (_, i) => queue.piece(i)));
  queue.consume(bytes.length);
  return bytes;
}
