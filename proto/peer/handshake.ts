import { PeerError } from "./errors.ts";
import { decodeHello, encodeHello, type Hello } from "./hello.ts";
import type { FrameReader } from "./reader.ts";
import { ERROR_TEXT_BYTES_MAX, FrameType, HELLO_BYTES, PROOF_BYTES, WireError } from "./wire.ts";
import { beginFrame, type FrameSink } from "./writer.ts";

/** Knows the cluster key. Proofs are HMAC-SHA256 over a label and both HELLO bodies. */
export interface Prover {
  proof(label: string, ...parts: Uint8Array[]): Uint8Array;
  verify(proof: Uint8Array, label: string, ...parts: Uint8Array[]): boolean;
}

const CONNECTOR_LABEL = "nswap page protocol 1: connector";
const ACCEPTOR_LABEL = "nswap page protocol 1: acceptor";

/**
 * The start of every connection of the page protocol (peer.md, "Handshake"):
 *
 *     connector                         acceptor
 *     HELLO                  ->
 *                            <-         HELLO, PROOF if keyed
 *     PROOF if keyed         ->
 *                            <-         WELCOME (sent by the owner)
 *
 * Nothing but these frames is accepted before `complete`; each body is small and of fixed size.
 */
export class Handshake {
  readonly #side: "connector" | "acceptor";
  readonly #own: Uint8Array;
  readonly #prover: Prover | undefined;
  readonly #sink: FrameSink;
  #theirs: Uint8Array | undefined;
  #peer: Hello | undefined;
  #proven = false;
  #welcomed = false;

  constructor(side: "connector" | "acceptor", own: Hello, sink: FrameSink, prover: Prover | undefined) {
    this.#side = side;
    this.#own = encodeHello({ ...own, keyed: prover !== undefined });
    this.#prover = prover;
    this.#sink = sink;
  }

  /** Who the other side is; to be trusted only once `complete`. */
  get peer(): Hello | undefined {
    return this.#peer;
  }

  /** Acceptor: the peer is who it says. Connector: it also has welcomed us. */
  get complete(): boolean {
    const trusted = this.#peer !== undefined && (this.#prover === undefined || this.#proven);
    return trusted && (this.#side === "acceptor" || this.#welcomed);
  }

  /** The connector's first word. */
  start(): void {
    if (this.#side === "connector") this.#send(FrameType.HELLO, this.#own);
  }

  /** Checks that a frame of this type may come now, before its body is read. */
  expect(reader: FrameReader): void {
    const expected = this.#expected();
    if (reader.type === FrameType.ERROR || reader.type === expected) return;
    const when = this.complete ? "after the handshake" : "before the handshake is complete";
    throw new PeerError(WireError.PROTOCOL, `${reader.typeName} ${when}`);
  }

  #expected(): number | undefined {
    if (this.complete) return undefined;
    if (this.#peer === undefined) return FrameType.HELLO;
    if (this.#prover !== undefined && !this.#proven) return FrameType.PROOF;
    return FrameType.WELCOME;
  }

  /** A frame of the handshake is there; throws PeerError if it does not convince. */
  take(reader: FrameReader): void {
    if (reader.type === FrameType.ERROR) throw remoteError(reader);
    if (reader.type === FrameType.HELLO) this.#takeHello(reader.bodyRaw.slice(0, HELLO_BYTES));
    else if (reader.type === FrameType.PROOF) this.#takeProof(reader.bodyRaw.slice(0, PROOF_BYTES));
    else this.#welcomed = true;
  }

  #takeHello(body: Uint8Array): void {
    const peer = decodeHello(body);
    this.#theirs = body;
    if (this.#side === "acceptor") this.#send(FrameType.HELLO, this.#own);
    if (this.#prover !== undefined && !peer.keyed) {
      throw new PeerError(
        WireError.KEY_REQUIRED,
        `"${peer.name}" has no cluster key; this node asks for one (--key-file)`,
      );
    }
    if (this.#prover === undefined && peer.keyed) {
      throw new PeerError(
        WireError.KEY_NOT_EXPECTED,
        `"${peer.name}" has a cluster key; this node has none (--key-file)`,
      );
    }
    this.#peer = peer;
    if (this.#side === "acceptor") this.#prove(ACCEPTOR_LABEL);
  }

  #takeProof(proof: Uint8Array): void {
    const label = this.#side === "acceptor" ? CONNECTOR_LABEL : ACCEPTOR_LABEL;
    if (!this.#prover!.verify(proof, label, ...this.#transcript())) {
      throw new PeerError(WireError.KEY_WRONG, `"${this.#peer!.name}" does not have this cluster's key`);
    }
    this.#proven = true;
    if (this.#side === "connector") this.#prove(CONNECTOR_LABEL);
  }

  #prove(label: string): void {
    if (this.#prover !== undefined)
      this.#send(FrameType.PROOF, this.#prover.proof(label, ...this.#transcript()));
  }

  /** The connector's HELLO, then the acceptor's. */
  #transcript(): [Uint8Array, Uint8Array] {
    return this.#side === "connector" ? [this.#own, this.#theirs!] : [this.#theirs!, this.#own];
  }

  #send(type: number, body: Uint8Array): void {
    const at = beginFrame(this.#sink, type, 0, body.length, body.length);
    this.#sink.bytes.set(body, at);
  }
}

/** The PeerError that an ERROR frame stands for; its text is fit to be shown. */
export function remoteError(reader: FrameReader): PeerError {
  const bytes = reader.bodyRaw.subarray(0, Math.min(reader.fixedBytes, ERROR_TEXT_BYTES_MAX));
  const known = Object.values(WireError).find((code) => code === reader.aux) ?? WireError.PROTOCOL;
  return new PeerError(known, new TextDecoder().decode(bytes).replace(/\p{Cc}/gu, " "), true);
}
