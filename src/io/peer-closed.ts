import { readFileSync, readlinkSync } from "node:fs";
import type net from "node:net";
import { limits } from "../base/limits.ts";

/**
 * sl local remote st queues timer retransmits uid timeout inode, as proc(5) has them; of the rows in the state 08,
 * which is TCP_CLOSE_WAIT of Linux's tcp_states.h, the inode.
 */
const CLOSE_WAIT_ROW = /^ *[0-9]+: \S+ \S+ 08 \S+ \S+ \S+ +[0-9]+ +[0-9]+ ([0-9]+) /gm;

/**
 * One of the system's tables of TCP connections. To read it takes milliseconds, and far more where connections are
 * many: what was seen serves all who ask, for as long as keeps the looking to a small part of the time.
 */
class TcpTable {
  readonly #path: string;
  #closedInodes: ReadonlySet<string> = new Set();
  #nextLookMs = Number.NEGATIVE_INFINITY;

  constructor(path: string) {
    this.#path = path;
  }

  /** Inodes of the sockets whose other side has closed. */
  get closedInodes(): ReadonlySet<string> {
    const fromMs = performance.now();
    if (fromMs < this.#nextLookMs) return this.#closedInodes;
    this.#closedInodes = this.#look();
    const toMs = performance.now();
    this.#nextLookMs = toMs + Math.max(limits.msBetweenLooks, limits.looksApart * (toMs - fromMs));
    return this.#closedInodes;
  }

  #look(): ReadonlySet<string> {
    try {
      const rows = readFileSync(this.#path, "latin1").matchAll(CLOSE_WAIT_ROW);
      return new Set(Array.from(rows, ([, inode]) => inode!));
    } catch {
      return new Set();
    }
  }

  expire(): void {
    this.#nextLookMs = Number.NEGATIVE_INFINITY;
  }
}

const tables: Readonly<Record<string, TcpTable>> = {
  IPv4: new TcpTable("/proc/self/net/tcp"),
  IPv6: new TcpTable("/proc/self/net/tcp6"),
};

interface WithHandle {
  _handle?: { readonly fd?: unknown } | null;
}

/**
 * True if the other side of a TCP connection had closed it in order when Linux was last asked (proc(5), /proc/net/tcp):
 * a socket that is not read does not say so. False of other sockets, and where that cannot be found out.
 */
export function hasPeerClosed(socket: net.Socket): boolean {
  const fd = (socket as unknown as WithHandle)._handle?.fd;
  const table = tables[socket.remoteFamily ?? ""];
  if (table === undefined || typeof fd !== "number" || fd < 0) return false;
  const { closedInodes } = table;
  if (closedInodes.size === 0) return false;
  try {
    const inode = /^socket:\[([0-9]+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
    return inode !== undefined && closedInodes.has(inode);
  } catch {
    return false;
  }
}

/** Has the system asked anew for who asks next. */
export function expireLooks(): void {
  for (const table of Object.values(tables)) table.expire();
}
