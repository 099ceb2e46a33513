import {
  BlockOutput,
  NBD_BLOCK_SIZE,
  NbdCommand,
  type NbdEvent,
  type NbdExport,
  type NbdExports,
  NbdExportTable,
  type NbdHandler,
  type NbdRequest,
  NbdServerSession,
  type NbdSessionError,
  type NbdSessionOptions,
} from "../src/index.ts";
import {
  clientFlags,
  go,
  header,
  join,
  type Piece,
  type RequestFields,
  setMeta,
  structured,
} from "./wire.ts";

export const SIZE = 1024 * 1024;

/** An export that can do everything. */
export function anExport(changes: Partial<NbdExport> = {}): NbdExport {
  return {
    name: "swap",
    description: "",
    sizeBytes: SIZE,
    readOnly: false,
    canFlush: true,
    canFua: true,
    canTrim: true,
    canWriteZeroes: true,
    canFastZero: true,
    canCache: true,
    canMultiConn: true,
    blockSize: { ...NBD_BLOCK_SIZE },
    ...changes,
  };
}

/** A request as it was when the handler saw it. */
export interface Seen {
  command: number;
  flags: number;
  offset: number;
  length: number;
}

export interface RigOptions extends Partial<Omit<NbdSessionOptions, "exports" | "output">> {
  exports?: NbdExport[];
  /** In place of a table of `exports`. */
  ofItsOwn?: NbdExports;
}

/**
 * One session over a memory of SIZE bytes, with its output. Answers at once unless `hold` is set; then requests
 * wait in `waiting`. `refusals` is the number of times that the handler says "not now".
 */
export class Rig implements NbdHandler {
  readonly memory = new Uint8Array(SIZE);
  readonly output = new BlockOutput();
  readonly events: NbdEvent[] = [];
  readonly seen: Seen[] = [];
  readonly waiting: NbdRequest[] = [];
  readonly session: NbdServerSession;
  hold = false;
  refusals = 0;
  /** Called before a request is looked at. */
  onRequest: ((request: NbdRequest) => void) | undefined;
  closedWith: { reason: NbdSessionError | undefined; pending: readonly NbdRequest[] } | undefined;
  closedCount = 0;

  constructor(options: RigOptions = {}) {
    const { exports = [anExport()], ofItsOwn, ...rest } = options;
    this.session = new NbdServerSession({
      exports: ofItsOwn ?? new NbdExportTable(exports),
      handler: this,
      output: this.output,
      emit: (event) => this.events.push(event),
      ...rest,
    });
  }

  request(request: NbdRequest): boolean {
    this.onRequest?.(request);
    if (this.refusals > 0) {
      this.refusals--;
      return false;
    }
    const { command, flags, offset, length } = request;
    this.seen.push({ command, flags, offset, length });
    if (command === NbdCommand.WRITE) return true;
    if (this.hold) this.waiting.push(request);
    else this.answer(request);
    return true;
  }

  payload(request: NbdRequest, bytes: Uint8Array, start: number, end: number, position: number): void {
    this.memory.set(bytes.subarray(start, end), request.offset + position);
    if (position + end - start < request.length) return;
    if (this.hold) this.waiting.push(request);
    else this.answer(request);
  }

  answer(request: NbdRequest): void {
    const { session, command, offset, length } = request;
    if (command === NbdCommand.READ)
      session.replyRead(request, this.memory.subarray(offset, offset + length));
    else if (command === NbdCommand.BLOCK_STATUS) session.replyBlockStatus(request, [{ length, flags: 0 }]);
    else {
      const zero = command === NbdCommand.TRIM || command === NbdCommand.WRITE_ZEROES;
      if (zero) this.memory.fill(0, offset, offset + length);
      session.replyOk(request);
    }
  }

  closed(
    _session: NbdServerSession,
    reason: NbdSessionError | undefined,
    pending: readonly NbdRequest[],
  ): void {
    this.closedCount++;
    this.closedWith = { reason, pending };
  }

  /** Gives the session all of `pieces` at once; returns how much it consumed. */
  send(...pieces: Piece[]): number {
    const bytes = join(...pieces);
    return this.session.receive(bytes, 0, bytes.length);
  }

  /** Everything the session wrote since the last call. */
  sent(): Uint8Array {
    return join(...this.output.take());
  }
}

/** A rig in transmission, its negotiation already read away. */
export function inTransmission(options: RigOptions = {}, ...haggling: Piece[]): Rig {
  const rig = new Rig(options);
  rig.session.start();
  const name = options.exports?.[0]?.name ?? "swap";
  rig.send(clientFlags(), ...haggling);
  if (rig.session.state === "negotiating") rig.send(go(name));
  rig.sent();
  return rig;
}

/** The cookie of requests that `ask` sends. */
export const COOKIE = 0xfedcba9876543210n;

/** Sends one request and returns what comes back at once. */
export function ask(rig: Rig, fields: RequestFields, ...payload: Piece[]): Uint8Array {
  rig.send(header({ cookie: COOKIE, ...fields }), ...payload);
  return rig.sent();
}

/** In transmission, with structured replies and block status agreed. */
export const structuredRig = (options: RigOptions = {}): Rig =>
  inTransmission(options, structured(), setMeta("", "base:allocation"));
