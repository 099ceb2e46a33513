import { readFileSync, readlinkSync } from "node:fs";
import type net from "node:net";

/** TCP_CLOSE_WAIT of Linux's tcp_states.h, as /proc/net/tcp tells it. */
const CLOSE_WAIT = "08";

interface WithHandle {
  _handle?: { readonly fd?: unknown } | null;
}

/**
 * True if the other side of a TCP connection has closed it in order, as Linux tells (proc(5), /proc/net/tcp): a socket
 * that is not read does not say so. False of other sockets, and where that cannot be found out.
 */
export function hasPeerClosed(socket: net.Socket): boolean {
  const fd = (socket as unknown as WithHandle)._handle?.fd;
  if (socket.remoteFamily === undefined || typeof fd !== "number" || fd < 0) return false;
  try {
    const inode = /^socket:\[([0-9]+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
    if (inode === undefined) return false;
    const state = stateOf(inode, "/proc/self/net/tcp") ?? stateOf(inode, "/proc/self/net/tcp6");
    return state === CLOSE_WAIT;
  } catch {
    return false;
  }
}

/** The state in the row of a socket, undefined if the table has none. */
function stateOf(inode: string, table: string): string | undefined {
  const text = readFileSync(table, "latin1");
  for (let at = text.indexOf(` ${inode} `); at !== -1; at = text.indexOf(` ${inode} `, at + 1)) {
    const fields = text
      .slice(text.lastIndexOf("\n", at) + 1, at + inode.length + 1)
      .trim()
      .split(/\s+/);
    // sl local remote st queues timer retransmits uid timeout inode
    if (fields.length === 10) return fields[3];
  }
  return undefined;
}
