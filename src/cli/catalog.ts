import { resolve } from "node:path";
import { quote } from "../base/config-error.ts";
import { nameAccepted, namePattern } from "../base/foreign-fields.ts";
import { type HostPort, parseHostPort } from "../base/host-port.ts";
import { limits } from "../base/limits.ts";
import type { Flag, Many, One } from "./option-spec.ts";
import { formatSize, parseSize, parseWhole, parseWord, parseYesNo } from "./values.ts";

const pageBytes = 4096;
const capacityBytesMin = 1024 ** 2;
const socketPathBytesMax = 107;
const exportNameBytesMax = 4096;
export const groupSizeDefault = 4;

const one = <T>(argument: string, describe: string, parse: (text: string) => T): One<T> => ({
  ...{ kind: "one", argument, describe, parse },
});
const many = <T>(argument: string, describe: string, parse: (text: string) => T): Many<T> => ({
  ...{ kind: "many", argument, describe, parse },
});
const flag = (describe: string): Flag => ({ kind: "flag", argument: "", describe, parse: parseYesNo });

/** Every option of every command that may also come from the environment or a configuration file. */
export const catalog = {
  listen: one("HOST:PORT", "data port (default 127.0.0.1:7410; port 0 picks a free one)", parseHostPort),
  control: one(
    "HOST:PORT",
    "control port (default 127.0.0.1:7411, a client's 127.0.0.1:7412)",
    parseHostPort,
  ),
  peer: many(
    "HOST:PORT",
    "control port of any other node; repeatable; the rest is learned from it",
    parsePeer,
  ),
  name: one("NAME", "name of this node (default: host name and role)", parseName),
  "key-file": one("FILE", "file with the cluster key; without one only loopback is bound", parsePath),
  insecure: flag("bind other than loopback addresses without a cluster key"),
  log: one(
    "text|json",
    "form of the log on standard error and of the ready line (default text)",
    parseWord("text", "json"),
  ),
  capacity: one("SIZE", "most memory lent (default: half of what is available at the start)", parseCapacity),
  reserve: one("SIZE", "memory the machine always keeps for itself (default 256M)", parseSize),
  size: one("SIZE", "size of the device (required); a multiple of 4096", parseDeviceSize),
  socket: one("PATH", "offer the device by NBD on this Unix socket", parseSocketPath),
  nbd: one("HOST:PORT", "offer the device by NBD over TCP; may be given beside --socket", parseHostPort),
  export: one("NAME", "NBD export name (default: the empty one)", parseExportName),
  redundancy: one(
    "none|mirror|parity",
    "what protects pages against the loss of a server (default: parity where a parity server is known, else none)",
    parseWord("none", "mirror", "parity"),
  ),
  "group-size": one(
    "N",
    `most data pages in a parity group (default ${groupSizeDefault})`,
    parseWhole(1, limits.groupMembersMax),
  ),
  servers: one("N", "memory servers to start (default 4)", parseWhole(1, 64)),
  parity: one("N", "parity servers to start (default 1)", parseWhole(0, 16)),
  respawn: flag("start a node again that died"),
  json: flag("as JSON (with --watch: one line each time)"),
  watch: flag("again each second, until interrupted"),
} as const;

function parseName(text: string): string {
  if (!namePattern.test(text)) throw new Error(`${quote(text)} is not a name; accepted: ${nameAccepted}`);
  return text;
}

/** An address to connect to, which port 0 is not. */
function parsePeer(text: string): HostPort {
  const address = parseHostPort(text);
  if (address.port === 0)
    throw new Error(`${quote(text)} cannot be connected to; accepted: a port from 1 to 65535`);
  return address;
}

function parsePath(text: string): string {
  if (text === "" || text.includes("\0"))
    throw new Error(`${quote(text)} is not a path; accepted: a file's path`);
  return text;
}

function parseSocketPath(text: string): string {
  const path = resolve(parsePath(text));
  if (Buffer.byteLength(path) > socketPathBytesMax) {
    throw new Error(
      `${quote(path)} is too long for a Unix socket; accepted: at most ${socketPathBytesMax} bytes`,
    );
  }
  return path;
}

function parseExportName(text: string): string {
  if (text.includes("\0") || Buffer.byteLength(text) > exportNameBytesMax) {
    throw new Error(
      `${quote(text)} is not an export name; accepted: at most ${exportNameBytesMax} bytes, no NUL`,
    );
  }
  return text;
}

function parseDeviceSize(text: string): number {
  const given = parseSize(text);
  // Who says 1.3G does not count bytes: whole pages will do.
  const bytes = text.includes(".") ? given - (given % pageBytes) : given;
  const { deviceBytesMin, deviceBytesMax } = limits;
  if (bytes % pageBytes !== 0 || bytes < deviceBytesMin || bytes > deviceBytesMax) {
    throw new Error(
      `${quote(text)} is not accepted; accepted: a multiple of 4096 from ${formatSize(deviceBytesMin)} to ` +
        formatSize(deviceBytesMax),
    );
  }
  return bytes;
}

function parseCapacity(text: string): number {
  const bytes = parseSize(text);
  if (bytes < capacityBytesMin) throw new Error(`${quote(text)} is not accepted; accepted: 1M or more`);
  return bytes - (bytes % pageBytes);
}
