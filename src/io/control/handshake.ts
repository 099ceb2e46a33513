import { type ClusterKey, nonceBytes, proofBytes, randomNonce } from "../cluster-key.ts";
import { ControlError } from "./control-error.ts";

/** What a connection is for; part of what is proved. */
export type Purpose = "peer" | "operator";

/**
 * The first messages of every control connection, in both directions, all of fixed size so that nothing of a
 * stranger is parsed. Nothing else is read until they are done.
 *
 *     initiator                                      acceptor
 *     hello:     "NSWC" version flags purpose 0 nonce   ->
 *                                    <-   challenge: "NSWC" version flags 0 0 nonce
 *     with a key only:
 *     proof:     HMAC(initiator label, transcript)      ->
 *                                    <-   HMAC(acceptor label, transcript)
 *
 * flags: bit 0: this side has a key. The transcript is the two messages whole, so both nonces, the version and the
 * purpose are proved; the labels differ, so a proof cannot be sent back to the one who made it.
 */
const magic = Buffer.from("NSWC", "latin1");
const version = 1;
const flagKeyed = 1;
const openingBytes = 8 + nonceBytes;
const purposes: readonly Purpose[] = ["peer", "operator"];
const initiatorLabel = "nswap control 1 initiator";
const acceptorLabel = "nswap control 1 acceptor";

/** What to do after a message of the handshake. */
export interface HandshakeStep {
  readonly send: Uint8Array | null;
  readonly done: boolean;
}

/** The side that connects. Any wrong message throws a ControlError and ends the connection. */
export class InitiatorHandshake {
  readonly #key: ClusterKey | null;
  readonly #hello: Uint8Array;
  #challenge: Uint8Array | null = null;

  constructor(key: ClusterKey | null, purpose: Purpose) {
    this.#key = key;
    this.#hello = opening(key !== null, purposes.indexOf(purpose) + 1);
  }

  /** The first message to send. */
  get hello(): Uint8Array {
    return this.#hello;
  }

  take(message: Uint8Array): HandshakeStep {
    if (this.#challenge === null) return this.#takeChallenge(message);
    if (this.#key === null) throw new ControlError("PROTOCOL", "unexpected handshake message");
    if (
      message.length !== proofBytes ||
      !this.#key.verify(message, acceptorLabel, this.#hello, this.#challenge)
    ) {
      throw new ControlError("KEY_WRONG", "the node does not have the same cluster key");
    }
    return { send: null, done: true };
  }

  #takeChallenge(message: Uint8Array): HandshakeStep {
    const keyed = checkOpening(message);
    this.#challenge = Uint8Array.from(message);
    if (keyed && this.#key === null) {
      throw new ControlError("KEY_REQUIRED", "the node requires the cluster key; give it with --key-file");
    }
    if (this.#key === null) return { send: null, done: true };
    if (!keyed) {
      throw new ControlError("KEY_NOT_EXPECTED", "the node runs without a cluster key, this side has one");
    }
    return { send: this.#key.proof(initiatorLabel, this.#hello, this.#challenge), done: false };
  }
}

/** The side that was connected to. Any wrong message throws a ControlError and ends the connection. */
export class AcceptorHandshake {
  readonly #key: ClusterKey | null;
  #hello: Uint8Array | null = null;
  #challenge: Uint8Array | null = null;
  #purpose: Purpose = "operator";

  constructor(key: ClusterKey | null) {
    this.#key = key;
  }

  get purpose(): Purpose {
    return this.#purpose;
  }

  take(message: Uint8Array): HandshakeStep {
    if (this.#hello === null || this.#challenge === null) return this.#takeHello(message);
    if (
      this.#key === null ||
      message.length !== proofBytes ||
      !this.#key.verify(message, initiatorLabel, this.#hello, this.#challenge)
    ) {
      throw new ControlError("KEY_WRONG", "not the same cluster key as this node's");
    }
    return { send: this.#key.proof(acceptorLabel, this.#hello, this.#challenge), done: true };
  }

  #takeHello(message: Uint8Array): HandshakeStep {
    const keyed = checkOpening(message);
    const purpose = purposes[message[6] - 1];
    if (purpose === undefined) throw new ControlError("PROTOCOL", "unknown purpose of the connection");
    if (!keyed && this.#key !== null) {
      throw new ControlError("KEY_REQUIRED", "this node requires the cluster key; give it with --key-file");
    }
    if (keyed && this.#key === null) {
      throw new ControlError(
        "KEY_NOT_EXPECTED",
        "this node runs without a cluster key, the other side has one",
      );
    }
    this.#purpose = purpose;
    this.#hello = Uint8Array.from(message);
    this.#challenge = opening(this.#key !== null, 0);
    return { send: this.#challenge, done: this.#key === null };
  }
}

function opening(keyed: boolean, purpose: number): Uint8Array {
  return Buffer.concat([magic, Buffer.from([version, keyed ? flagKeyed : 0, purpose, 0]), randomNonce()]);
}

/** Checks hello or challenge; whether the sender has a key. */
function checkOpening(message: Uint8Array): boolean {
  if (message.length < magic.length + 1 || magic.compare(message.subarray(0, magic.length)) !== 0)
    throw foreign();
  // Before the length: that of another version may be another.
  if (message[4] !== version) {
    throw new ControlError("VERSION", `control protocol version ${message[4]}; this node speaks ${version}`);
  }
  if (message.length !== openingBytes) throw foreign();
  if ((message[5] & ~flagKeyed) !== 0 || message[7] !== 0) {
    throw new ControlError("PROTOCOL", "reserved bits of the handshake are set");
  }
  return (message[5] & flagKeyed) !== 0;
}

const foreign = (): ControlError =>
  new ControlError("PROTOCOL", "not the handshake of an nswap control port");
