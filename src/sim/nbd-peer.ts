import type { Prng } from "../base/prng.ts";
import { Command, encodeNegotiation, encodeRequest, type NbdAnswer, NbdReader } from "./nbd-wire.ts";
import type { Process } from "./process.ts";
import type { SlotWrite } from "./slot-model.ts";
import type { End, EndUser } from "./wire.ts";

/** A request as its sender keeps it. */
export interface Operation {
  readonly command: number;
  readonly flags: number;
  readonly offset: number;
  readonly length: number;
  /** When it began, by the model's count. */
  readonly begun: number;
  readonly writes: SlotWrite[];
  readonly sentAtMs: number;
}

export interface NbdPeerPort {
  answered(peer: NbdPeer, operation: Operation, answer: NbdAnswer): void;
  /** The connection is over on this side. */
  ended(peer: NbdPeer): void;
  fault(peer: NbdPeer, what: string): void;
}

/** One connection of a simulated NBD client, down to the bytes. */
export class NbdPeer implements EndUser {
  readonly window = new Uint8Array(16 * 1024);
  readonly end: End;
  readonly structured: boolean;
  readonly outstanding = new Map<number, Operation>();
  ready = false;
  /** It will close, or has. */
  leaving = false;
  over = false;
  /** Until then it does less than its part, and may be disconnected for that. */
  slowUntilMs = 0;
  readonly #port: NbdPeerPort;
  readonly #process: Process;
  readonly #reader: NbdReader;
  /** What waits behind the rest of a payload. */
  #heldBack: Uint8Array[] | undefined;

  constructor(end: End, process: Process, prng: Prng, port: NbdPeerPort) {
    this.end = end;
    this.#process = process;
    this.#port = port;
    this.structured = prng.chance(0.7);
    const exportName = prng.chance(0.2);
    const readerPort = {
      ready: () => {
        this.ready = true;
      },
      readLength: (cookie: number) => {
        const asked = this.outstanding.get(cookie);
        return asked?.command === Command.READ ? asked.length : 0;
      },
      answer: (answer: NbdAnswer) => this.#answered(answer),
      fault: (what: string) => port.fault(this, what),
    };
    this.#reader = new NbdReader(readerPort, this.structured, exportName);
    end.open(this);
    end.write([encodeNegotiation(this.structured, exportName)]);
  }

  /** Sends a request, with the payload of a WRITE; the last `lateBytes` of that come `lateMs` later. */
  send(
    cookie: number,
    operation: Operation,
    payload: Uint8Array | undefined,
    lateBytes: number,
    lateMs: number,
  ): void {
    const { command, flags, offset, length } = operation;
    this.outstanding.set(cookie, operation);
    this.#write(encodeRequest(command, flags, cookie, offset, length));
    if (payload === undefined) return;
    const cut = payload.length - Math.min(lateBytes, payload.length);
    if (cut > 0) this.#write(payload.subarray(0, cut));
    if (cut === payload.length) return;
    if (this.#heldBack === undefined) this.#holdBack(lateMs);
    this.#write(payload.subarray(cut));
  }

  #write(bytes: Uint8Array): void {
    if (this.over) return;
    if (this.#heldBack === undefined) this.end.write([bytes]);
    else this.#heldBack.push(bytes);
  }

  #holdBack(ms: number): void {
    this.#heldBack = [];
    this.slowUntilMs = Math.max(this.slowUntilMs, this.#process.nowMs + ms);
    this.#process.after(ms, () => {
      const held = this.#heldBack!;
      this.#heldBack = undefined;
      if (!this.over && held.length > 0) this.end.write(held);
    });
  }

  /** Takes no answers for a while. */
  stopReading(ms: number): void {
    this.end.pause();
    this.slowUntilMs = Math.max(this.slowUntilMs, this.#process.nowMs + ms);
    this.#process.after(ms, () => this.over || this.end.resume());
  }

  /** Asks to disconnect: what is outstanding is still answered. */
  disconnect(): void {
    this.leaving = true;
    this.#write(encodeRequest(Command.DISC, 0, 0, 0, 0));
  }

  /** Hangs up. */
  hangUp(abrupt: boolean): void {
    if (this.over) return;
    this.leaving = true;
    this.over = true;
    this.end.close(abrupt);
    this.#port.ended(this);
  }

  read(length: number): boolean {
    this.#reader.feed(this.window.subarray(0, length));
    return !this.over;
  }

  ended(): void {
    if (this.over) return;
    this.over = true;
    this.end.close(false);
    this.#port.ended(this);
  }

  #answered(answer: NbdAnswer): void {
    const operation = this.outstanding.get(answer.cookie);
    if (operation === undefined)
      return this.#port.fault(this, `answer to ${answer.cookie}, which was not asked`);
    this.outstanding.delete(answer.cookie);
    this.#port.answered(this, operation, answer);
  }
}
