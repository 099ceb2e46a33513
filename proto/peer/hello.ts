import { PeerError } from "./errors.ts";
import {
  HELLO_BYTES,
  HELLO_MAGIC,
  IDENTITY_BYTES,
  NAME_BYTES_MAX,
  NONCE_BYTES,
  PAGES_PER_FRAME_MAX,
  PROTOCOL_VERSION,
  Role,
  WireError,
} from "./wire.ts";

/**
 * Who a node says it is. On the wire (152 bytes):
 *
 *     0 magic (8) | 8 version u16 | 10 role u8 | 11 keyed u8 | 12 pages a frame u16 | 14 name length u8, 0 |
 *     16 identity (16) | 32 nonce (32) | 64 epoch u32 | 68 0 (20) | 88 name (64, padded with 0)
 */
export interface Hello {
  readonly role: Role;
  /** True if the sender has a cluster key, and so wants proof. */
  readonly keyed: boolean;
  /** 16 bytes, unique to a process (memory server) or to a client's store of pages. */
  readonly identity: Uint8Array;
  /** 32 random bytes, fresh for each connection. */
  readonly nonce: Uint8Array;
  /** Instance number of a client identity; a server refuses one older than the newest it has seen. */
  readonly epoch: number;
  /** Pages that the sender takes in one frame. */
  readonly pagesPerFrame: number;
  readonly name: string;
}

/** Names are shown on terminals and written to logs as they are. */
const CONTROL_CHARACTER = /\p{Cc}/u;

/** Encodes a HELLO's body; throws RangeError for fields of a wrong length or a name that no node may have. */
export function encodeHello(hello: Hello): Uint8Array {
  if (hello.identity.length !== IDENTITY_BYTES || hello.nonce.length !== NONCE_BYTES) {
    throw new RangeError(
      `an identity takes ${IDENTITY_BYTES} bytes and a nonce ${NONCE_BYTES}, ` +
        `not ${hello.identity.length} and ${hello.nonce.length}`,
    );
  }
  if (CONTROL_CHARACTER.test(hello.name)) {
    throw new RangeError(`a node's name has no control characters, ${JSON.stringify(hello.name)} has`);
  }
  const name = new TextEncoder().encode(hello.name);
  if (name.length === 0 || name.length > NAME_BYTES_MAX) {
    throw new RangeError(
      `a node's name takes 1 to ${NAME_BYTES_MAX} bytes, "${hello.name}" takes ${name.length}`,
    );
  }
  const bytes = new Uint8Array(HELLO_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(HELLO_MAGIC), 0);
  view.setUint16(8, PROTOCOL_VERSION, true);
  view.setUint8(10, hello.role);
  view.setUint8(11, hello.keyed ? 1 : 0);
  view.setUint16(12, hello.pagesPerFrame, true);
  view.setUint8(14, name.length);
  bytes.set(hello.identity, 16);
  bytes.set(hello.nonce, 32);
  view.setUint32(64, hello.epoch, true);
  bytes.set(name, 88);
  return bytes;
}

/** Decodes and checks a HELLO's body; throws PeerError. */
export function decodeHello(body: Uint8Array): Hello {
  const view = new DataView(body.buffer, body.byteOffset, HELLO_BYTES);
  if (new TextDecoder("latin1").decode(body.subarray(0, 8)) !== HELLO_MAGIC) {
    throw new PeerError(WireError.PROTOCOL, "HELLO: wrong magic, this is no nswap node");
  }
  const version = view.getUint16(8, true);
  if (version !== PROTOCOL_VERSION) {
    throw new PeerError(
      WireError.VERSION,
      `HELLO: protocol version ${version}, accepted is ${PROTOCOL_VERSION}`,
    );
  }
  const role = view.getUint8(10);
  if (role !== Role.CLIENT && role !== Role.SERVER && role !== Role.PARITY) {
    throw new PeerError(WireError.PROTOCOL, `HELLO: unknown role ${role}`);
  }
  const keyed = view.getUint8(11);
  if (keyed > 1) throw new PeerError(WireError.PROTOCOL, `HELLO: keyed is ${keyed}, accepted is 0 or 1`);
  const pagesPerFrame = view.getUint16(12, true);
  if (pagesPerFrame < 1 || pagesPerFrame > PAGES_PER_FRAME_MAX) {
    throw new PeerError(
      WireError.PROTOCOL,
      `HELLO: ${pagesPerFrame} pages a frame, accepted is 1 to ${PAGES_PER_FRAME_MAX}`,
    );
  }
  return {
    role,
    keyed: keyed === 1,
    identity: Uint8Array.from(body.subarray(16, 16 + IDENTITY_BYTES)),
    nonce: Uint8Array.from(body.subarray(32, 32 + NONCE_BYTES)),
    epoch: view.getUint32(64, true),
    pagesPerFrame,
    name: decodeName(body, view.getUint8(14)),
  };
}

function decodeName(body: Uint8Array, length: number): string {
  if (length < 1 || length > NAME_BYTES_MAX) {
    throw new PeerError(
      WireError.PROTOCOL,
      `HELLO: name of ${length} bytes, accepted is 1 to ${NAME_BYTES_MAX}`,
    );
  }
  let name: string;
  try {
    name = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body.subarray(88, 88 + length));
  } catch {
    throw new PeerError(WireError.PROTOCOL, "HELLO: the name is not UTF-8");
  }
  if (CONTROL_CHARACTER.test(name)) {
    throw new PeerError(WireError.PROTOCOL, "HELLO: the name has control characters, accepted are none");
  }
  return name;
}
