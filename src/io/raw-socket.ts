import net from "node:net";
import type { ReceiveRegion } from "./receive-region.ts";

/** `length` bytes were read into the region; false stops reading until `resume()` of the socket. */
export type OnRead = (length: number) => boolean;

/** Connects a socket that reads into `region` instead of a fresh buffer for every read. */
export function connectRaw(
  to: net.TcpSocketConnectOpts | net.IpcSocketConnectOpts,
  region: ReceiveRegion,
  onRead: OnRead,
): net.Socket {
  return net.connect({ ...to, onread: { buffer: region.window, callback: (length) => onRead(length) } });
}

interface WithHandle {
  _handle: unknown;
}

/**
 * Makes an accepted socket (of a server with `pauseOnConnect`) read into `region`. Node has no public option for
 * that on the accepting side; its handle is given to a new Socket. Where the private field is not as expected,
 * the socket stays and each chunk is copied into the region.
 */
export function adoptRaw(accepted: net.Socket, region: ReceiveRegion, onRead: OnRead): net.Socket {
  const holder = accepted as unknown as WithHandle;
  const handle = holder._handle;
  if (handle === null || typeof handle !== "object") return copyingSocket(accepted, region, onRead);
  holder._handle = null;
  accepted.destroy();
  const options = { handle, onread: { buffer: region.window, callback: (length: number) => onRead(length) } };
  return new net.Socket(options as unknown as net.SocketConstructorOpts);
}

/** The fall-back: an ordinary stream whose chunks are cut to the region's size. */
export function copyingSocket(socket: net.Socket, region: ReceiveRegion, onRead: OnRead): net.Socket {
  const { window } = region;
  socket.on("data", (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; ) {
      const piece = chunk.subarray(at, at + window.length);
      window.set(piece);
      at += piece.length;
      if (onRead(piece.length)) continue;
      socket.pause();
      if (at < chunk.length && !socket.destroyed) socket.unshift(chunk.subarray(at));
      return;
    }
  });
  // It was accepted by a server with pauseOnConnect.
  return socket.resume();
}
