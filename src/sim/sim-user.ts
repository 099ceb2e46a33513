import { PAGE_BYTES } from "../base/page.ts";
import type { Prng } from "../base/prng.ts";
import type { EventQueue } from "./event-queue.ts";
import { NbdPeer, type NbdPeerPort, type Operation } from "./nbd-peer.ts";
import { Command, type NbdAnswer, NO_HOLE } from "./nbd-wire.ts";
import type { Network } from "./network.ts";
import { type ContentKind, putContent } from "./page-content.ts";
import { Process } from "./process.ts";
import type { SimClient } from "./sim-client.ts";
import { pickWeighted, type SimOptions, WORKS } from "./sim-options.ts";
import { DeviceModel, type SlotWrite } from "./slot-model.ts";
import type { Trace } from "./trace.ts";
import { Violation } from "./violation.ts";
import type { End } from "./wire.ts";

const EIO = 5;
const CLOG_MS_MAX = 8_000;
/** A slot's page is not looked at more often. */
const LOOK_MS = 50;
/** Between two reads of which none is to wait for another. */
export const SLOWLY_MS = 50;

export interface SimUserOptions {
  queue: EventQueue;
  prng: Prng;
  network: Network;
  client: SimClient;
  options: SimOptions;
  trace: Trace;
  /** A page of the slot was acknowledged as written. */
  onHeld: (user: SimUser, slot: number) => void;
  /** A request is about to be judged that was answered with an I/O error. */
  onError: () => void;
}

/** What uses one client's device: several NBD connections, a workload, and a check of every answer. */
export class SimUser implements NbdPeerPort {
  readonly model: DeviceModel;
  readonly client: SimClient;
  readonly process: Process;
  readonly peers = new Set<NbdPeer>();
  /** Chaos: connections come and go, and some are slow. */
  troubled = true;
  requests = 0;
  answers = 0;
  lostReads = 0;
  readonly #options: SimOptions;
  readonly #prng: Prng;
  readonly #network: Network;
  readonly #trace: Trace;
  readonly #onHeld: SimUserOptions["onHeld"];
  readonly #onError: SimUserOptions["onError"];
  /** By the far ends of their connections: what was not answered when the near end closed. */
  readonly #leftBehind = new Map<End, NbdPeer>();
  readonly #lookedMs = new Map<number, number>();
  #cookie = 0;
  #working = true;

  constructor(options: SimUserOptions) {
    this.client = options.client;
    this.#options = options.options;
    this.#prng = options.prng;
    this.#network = options.network;
    this.#trace = options.trace;
    this.#onHeld = options.onHeld;
    this.#onError = options.onError;
    this.model = new DeviceModel(options.options.slots);
    this.process = new Process(options.queue, 0.1);
    this.client.onDisconnected = (end) => this.#abandoned(end);
    for (let i = 0; i < options.options.connectionsPerClient; i += 1) this.connect();
    this.#workLater();
  }

  get outstanding(): number {
    let sum = 0;
    for (const peer of this.peers) sum += peer.outstanding.size;
    return sum;
  }

  connect(): void {
    const host = `${this.client.host}.user`;
    // A client that is cut off for longer may be disconnected while others wait for what it holds.
    this.#network.path(host, this.client.host).clogMsMax = CLOG_MS_MAX;
    const end = this.#network.connect(this.process, host, this.client.host);
    const peer = new NbdPeer(end, this.process, this.#prng, this);
    this.peers.add(peer);
    this.#leftBehind.set(end.other, peer);
  }

  // NbdPeerPort

  ended(peer: NbdPeer): void {
    this.peers.delete(peer);
    const nowMs = this.process.nowMs;
    if (!peer.leaving && peer.ready && peer.slowUntilMs === 0) {
      throw new Violation(nowMs, `${this.client.host} ended a connection whose client did nothing wrong`);
    }
    for (const operation of peer.outstanding.values()) {
      this.model.endRead(operation.begun);
    }
    this.process.after(this.#prng.below(500), () => this.connect());
  }

  fault(_peer: NbdPeer, what: string): void {
    throw new Violation(this.process.nowMs, `${this.client.host} broke the NBD protocol: ${what}`);
  }

  /** The client has noticed that the connection is over. */
  #abandoned(farEnd: End): void {
    const peer = this.#leftBehind.get(farEnd);
    this.#leftBehind.delete(farEnd);
    if (peer === undefined) return;
    for (const { writes } of peer.outstanding.values()) for (const write of writes) this.#abandonLater(write);
  }

  /**
   * The write has happened by now, or never will, unless it waits behind the lock of its slot: a part of the page is
   * being written, and its server may be away.
   */
  #abandonLater(write: SlotWrite): void {
    if (this.client.isBusy(write.slot)) this.process.after(LOOK_MS, () => this.#abandonLater(write));
    else this.model.abandon(write);
  }

  // Work

  stopWorking(): void {
    this.#working = false;
  }

  #workLater(): void {
    const meanMs = 1000 / this.#options.requestsPerS;
    // Bursts with pauses between them.
    const ms = this.#prng.chance(0.9)
      ? this.#prng.below(200) / 100
      : 10 * meanMs * (this.#prng.below(200) / 100);
    this.process.after(ms, () => {
      if (!this.#working) return;
      this.#work();
      this.#workLater();
    });
  }

  #work(): void {
    const prng = this.#prng;
    const peer = this.#freePeer();
    if (peer === undefined) return;
    if (this.troubled && prng.chance(0.01)) return this.#trouble(peer);
    const work = pickWeighted(prng, WORKS, this.#options.mix);
    const late = this.troubled && prng.chance(0.02);
    switch (work) {
      case "write pages":
        return this.#write(peer, this.#pages(), "data", late);
      case "write part":
        return this.#write(peer, this.#bytes(), prng.chance(0.8) ? "data" : "zero", late);
      case "write same-filled":
        return this.#write(peer, this.#pages(), prng.chance(0.5) ? "fill" : "zero", late);
      case "trim":
        return this.#zero(peer, prng.chance(0.7) ? this.#pages() : this.#bytes(), Command.TRIM);
      case "zero":
        return this.#zero(peer, prng.chance(0.5) ? this.#pages() : this.#bytes(), Command.WRITE_ZEROES);
      case "read":
        return this.read(peer, prng.chance(0.7) ? this.#pages() : this.#bytes());
      case "status":
        return this.#status(peer, this.#bytes());
      case "flush":
        this.#send(peer, Command.FLUSH, 0, { offset: 0, length: 0 }, []);
    }
  }

  #freePeer(): NbdPeer | undefined {
    const free = [...this.peers].filter(
      (peer) => peer.ready && !peer.leaving && peer.outstanding.size < this.#options.depth,
    );
    return free[this.#prng.below(free.length)];
  }

  #trouble(peer: NbdPeer): void {
    const prng = this.#prng;
    const kind = prng.below(4);
    this.#trace.event(`${this.client.host}.user trouble ${kind}`);
    if (kind === 0) peer.hangUp(prng.chance(0.5));
    else if (kind === 1) peer.disconnect();
    else peer.stopReading(prng.below(prng.chance(0.1) ? 60_000 : 2_000));
  }

  #slot(): number {
    const { hotShare, hotSlots, slots } = this.#options;
    return this.#prng.chance(hotShare) ? this.#prng.below(hotSlots) : this.#prng.below(slots);
  }

  #pages(): { offset: number; length: number } {
    const slot = this.#slot();
    const most = Math.min(this.#options.pagesPerRequestMax, this.#options.slots - slot);
    const pages = this.#prng.chance(0.5) ? 1 : 1 + this.#prng.below(most);
    return { offset: slot * PAGE_BYTES, length: pages * PAGE_BYTES };
  }

  /** A range of any bytes. */
  #bytes(): { offset: number; length: number } {
    const { slots, pagesPerRequestMax } = this.#options;
    const offset = this.#slot() * PAGE_BYTES + this.#prng.below(PAGE_BYTES);
    const most = Math.min(slots * PAGE_BYTES - offset, pagesPerRequestMax * PAGE_BYTES);
    const small = Math.min(most, this.#prng.chance(0.5) ? 600 : PAGE_BYTES);
    return { offset, length: 1 + this.#prng.below(this.#prng.chance(0.7) ? small : most) };
  }

  /** The range, cut at the borders of slots. */
  #perSlot(
    range: { offset: number; length: number },
    visit: (slot: number, from: number, to: number) => void,
  ): void {
    const end = range.offset + range.length;
    for (let at = range.offset; at < end; ) {
      const slot = Math.floor(at / PAGE_BYTES);
      const to = Math.min(end, (slot + 1) * PAGE_BYTES);
      visit(slot, at - slot * PAGE_BYTES, to - slot * PAGE_BYTES);
      at = to;
    }
  }

  #write(peer: NbdPeer, range: { offset: number; length: number }, kind: ContentKind, late: boolean): void {
    const payload = new Uint8Array(range.length);
    const writes: SlotWrite[] = [];
    const number = this.#cookie + 1;
    this.#perSlot(range, (slot, from, to) => {
      writes.push(this.model.beginWrite(slot, from, to, kind, number));
      putContent(kind, number, slot, from, to, payload, slot * PAGE_BYTES + from - range.offset);
    });
    const prng = this.#prng;
    const lateBytes = late ? prng.below(range.length) : 0;
    const lateMs = late ? prng.below(prng.chance(0.2) ? 20_000 : 500) : 0;
    this.#send(peer, Command.WRITE, 0, range, writes, { payload, lateBytes, lateMs });
    if (late && prng.chance(0.3))
      this.process.after(prng.below(lateMs + 1), () => peer.hangUp(prng.chance(0.5)));
  }

  #zero(peer: NbdPeer, range: { offset: number; length: number }, command: number): void {
    const writes: SlotWrite[] = [];
    this.#perSlot(range, (slot, from, to) => {
      // TRIM leaves parts of pages alone.
      if (command === Command.TRIM && to - from < PAGE_BYTES) return;
      writes.push(this.model.beginWrite(slot, from, to, "zero", this.#cookie + 1));
    });
    const flags = command === Command.WRITE_ZEROES && this.#prng.chance(0.3) ? NO_HOLE : 0;
    this.#send(peer, command, flags, range, writes);
    const { troubled } = this;
    if (troubled && this.#prng.chance(0.03))
      this.process.after(this.#prng.below(5), () => peer.hangUp(false));
  }

  read(peer: NbdPeer, range: { offset: number; length: number }): void {
    this.#send(peer, Command.READ, 0, range, []);
  }

  #status(peer: NbdPeer, range: { offset: number; length: number }): void {
    if (peer.structured) this.#send(peer, Command.BLOCK_STATUS, 0, range, []);
  }

  #send(
    peer: NbdPeer,
    command: number,
    flags: number,
    range: { offset: number; length: number },
    writes: SlotWrite[],
    data?: { payload: Uint8Array; lateBytes: number; lateMs: number },
  ): void {
    this.#cookie += 1;
    this.requests += 1;
    const sentAtMs = this.process.nowMs;
    this.#trace.event(
      `${this.client.host} #${this.#cookie} ${COMMAND_NAMES[command]} ${range.offset / PAGE_BYTES}+${range.length}`,
    );
    // Writes too: one of a part of a page reads the rest of it.
    const begun = this.model.beginRead();
    const operation = { command, flags, ...range, begun, writes, sentAtMs };
    peer.send(this.#cookie, operation, data?.payload, data?.lateBytes ?? 0, data?.lateMs ?? 0);
  }

  // Answers

  answered(_peer: NbdPeer, operation: Operation, answer: NbdAnswer): void {
    this.answers += 1;
    this.#trace.event(`${this.client.host} #${answer.cookie} answered ${answer.error}`);
    if (answer.error !== 0) this.#failed(operation, answer);
    else if (operation.command === Command.READ) this.#checkRead(operation, answer);
    else if (operation.command === Command.BLOCK_STATUS) this.#checkStatus(operation, answer);
    this.model.endRead(operation.begun);
    if (answer.error !== 0) return;
    for (const write of operation.writes) this.model.acknowledge(write);
    for (const write of operation.writes) this.#lookAt(write.slot);
  }

  /** Has a slot's page looked at that was just acknowledged, busy slots not every time. */
  #lookAt(slot: number): void {
    const nowMs = this.process.nowMs;
    if (nowMs - (this.#lookedMs.get(slot) ?? -LOOK_MS) < LOOK_MS) return;
    this.#lookedMs.set(slot, nowMs);
    this.#onHeld(this, slot);
  }

  #violated(answer: NbdAnswer, operation: Operation, what: string): never {
    const name = COMMAND_NAMES[operation.command];
    throw new Violation(this.process.nowMs, `${this.client.host} #${answer.cookie} ${name}: ${what}`);
  }

  /** An error is right only if a page that the request needs was lost with a server. */
  #failed(operation: Operation, answer: NbdAnswer): void {
    if (answer.error !== EIO) this.#violated(answer, operation, `error ${answer.error}`);
    this.#onError();
    const { command } = operation;
    let excused = false;
    if (command === Command.READ) {
      this.#perSlot(operation, (slot) => {
        excused ||= this.model.mayBeLost(slot, operation.begun);
      });
      this.lostReads += 1;
    } else {
      for (const { slot, from, to } of operation.writes) {
        excused ||= to - from < PAGE_BYTES && this.model.mayBeLost(slot, operation.begun);
      }
    }
    if (!excused)
      this.#violated(answer, operation, "EIO, although no page that it needs was lost with a server");
    for (const write of operation.writes) this.model.abandon(write);
  }

  #checkRead(operation: Operation, answer: NbdAnswer): void {
    if (answer.data.length !== operation.length) {
      this.#violated(answer, operation, `${answer.data.length} bytes instead of ${operation.length}`);
    }
    this.#perSlot(operation, (slot, from, to) => {
      const at = slot * PAGE_BYTES + from - operation.offset;
      const wrong = this.model.checkRead(slot, from, to, answer.data, at, operation.begun);
      if (wrong !== undefined) this.#violated(answer, operation, `wrong bytes: ${wrong}`);
    });
  }

  #checkStatus(operation: Operation, answer: NbdAnswer): void {
    const { data } = answer;
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    let offset = operation.offset;
    const end = operation.offset + operation.length;
    for (let at = 0; at < data.length; at += 8) {
      const length = Math.min(view.getUint32(at), end - offset);
      if (view.getUint32(at + 4) !== 0) {
        this.#perSlot({ offset, length }, (slot, from, to) => {
          if (!this.model.mayBeZero(slot, from, to, operation.begun)) {
            this.#violated(answer, operation, `slot ${slot} is said to be zeros, it cannot be`);
          }
        });
      }
      offset += length;
    }
  }

  // The end

  /** Reads the whole device once, some at a time. */
  readAll(): void {
    this.#readFrom(0, this.#options.pagesPerRequestMax, 0.01);
  }

  /** Reads the whole device once, page by page, so that each is had from its server. */
  readSlowly(): void {
    this.#readFrom(0, 1, SLOWLY_MS);
  }

  #readFrom(fromSlot: number, pagesMax: number, everyMs: number): void {
    const { slots } = this.#options;
    if (fromSlot >= slots) return;
    const peer = [...this.peers].find((each) => each.ready && !each.leaving && each.outstanding.size < 8);
    if (peer === undefined) {
      this.process.after(5, () => this.#readFrom(fromSlot, pagesMax, everyMs));
      return;
    }
    const pages = Math.min(slots - fromSlot, pagesMax);
    this.read(peer, { offset: fromSlot * PAGE_BYTES, length: pages * PAGE_BYTES });
    this.process.after(everyMs, () => this.#readFrom(fromSlot + pages, pagesMax, everyMs));
  }
}

const COMMAND_NAMES = ["READ", "WRITE", "DISC", "FLUSH", "TRIM", "CACHE", "WRITE_ZEROES", "BLOCK_STATUS"];
