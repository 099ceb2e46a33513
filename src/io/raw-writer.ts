import type net from "node:net";

/** What Node's own streams write through; all of it private, so each field is looked for before it is used. */
interface WriteRequest {
  handle?: unknown;
  buffer?: unknown;
  oncomplete?: (status: number) => void;
}

interface StreamHandle {
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
  writev(request: WriteRequest, chunks: Uint8Array[], allBuffers: true): number;
}

interface StreamWrap {
  WriteWrap: new () => WriteRequest;
  streamBaseState: ArrayLike<number>;
  kLastWriteWasAsync: number;
}

const streamWrap = findStreamWrap();

function findStreamWrap(): StreamWrap | undefined {
  try {
    const found = (process as unknown as { binding(name: string): Partial<StreamWrap> }).binding(
      "stream_wrap",
    );
    const { WriteWrap, streamBaseState, kLastWriteWasAsync } = found;
    const complete =
      typeof WriteWrap === "function" &&
      typeof kLastWriteWasAsync === "number" &&
      streamBaseState?.[kLastWriteWasAsync] !== undefined;
    return complete ? { WriteWrap, streamBaseState, kLastWriteWasAsync } : undefined;
  } catch {
    return undefined;
  }
}

/** How a write went: taken whole, under way (`done` will be called), or failed with libuv's negative number. */
export type WriteOutcome = "taken" | "pending" | { readonly status: number };

/**
 * Writes to a connected socket past its Writable side, whose bookkeeping costs as much as the system call: about
 * 5 us of each write. It keeps nothing that the stream needs for `end` and `destroy`; nothing else may write to the
 * socket meanwhile.
 */
export class RawWriter {
  readonly #handle: StreamHandle;
  readonly #wrap: StreamWrap;
  #request: WriteRequest;

  private constructor(handle: StreamHandle, wrap: StreamWrap) {
    this.#handle = handle;
    this.#wrap = wrap;
    this.#request = new wrap.WriteWrap();
  }

  /** A writer for a connected socket, or undefined where Node's insides are not as expected. */
  static of(socket: net.Socket): RawWriter | undefined {
    const handle = (socket as unknown as { _handle?: Partial<StreamHandle> | null })._handle;
    if (streamWrap === undefined || handle === null || handle === undefined) return undefined;
    if (typeof handle.writeBuffer !== "function" || typeof handle.writev !== "function") return undefined;
    return new RawWriter(handle as StreamHandle, streamWrap);
  }

  /** Writes the pieces, which stay as they are until `done` if the outcome is "pending". One write at a time. */
  write(pieces: Uint8Array[], done: (status: number) => void): WriteOutcome {
    const request = this.#request;
    request.oncomplete = done;
    const status =
      pieces.length === 1
        ? this.#handle.writeBuffer(request, pieces[0]!)
        : this.#handle.writev(request, pieces, true);
    if (status !== 0) return { status };
    if (this.#wrap.streamBaseState[this.#wrap.kLastWriteWasAsync] === 0) return "taken";
    // The request belongs to the write under way now, and so do the pieces.
    request.buffer = pieces;
    this.#request = new this.#wrap.WriteWrap();
    return "pending";
  }
}
