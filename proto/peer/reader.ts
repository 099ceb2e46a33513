import { checkEntries } from "./entry-checks.ts";
import { PeerError } from "./errors.ts";
import {
  ERROR_TEXT_BYTES_MAX,
  FIXED_BODY_BYTES_MAX,
  type FrameShape,
  FrameType,
  frameShapes,
  HEADER_BYTES,
  META_BYTES,
  PAGE_BYTES,
  PageStatus,
  WireError,
} from "./wire.ts";

/** Who is told of frames. A method may throw PeerError to end the connection. */
export interface FrameHandler {
  /** A header that fits its type has come. False: not now; the reader stops in front of the frame's body. */
  header(reader: FrameReader): boolean;
  /** Everything before the page data has come and lies in `reader.body`. */
  body(reader: FrameReader): void;
  /** Bytes [start, end) belong to the page of the `index`-th entry, from `position` on; entries may have no page. */
  page(
    reader: FrameReader,
    index: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    position: number,
  ): void;
  /**
   * Optional, for PUTPAGE: `count` whole pages, of the entries from `index` on, lie side by side from `start` of
   * `bytes` on, so that they can be taken with one copy. Without it they come to `page` one by one.
   */
  pages?(reader: FrameReader, index: number, count: number, bytes: Uint8Array, start: number): void;
  /** The whole frame has come. */
  end(reader: FrameReader): void;
}

enum Stage {
  Header = 0,
  Admission = 1,
  Body = 2,
  Pages = 3,
}

/**
 * Cuts a stream of bytes into frames, whatever the pieces it comes in.
 *
 *     Header (16) -> Admission -> Body (entries, collected) -> Pages (passed on as they come) -> Header
 *
 * Holds at most a header and FIXED_BODY_BYTES_MAX; page data is never kept here.
 */
export class FrameReader {
  type = 0;
  flags = 0;
  count = 0;
  bodyBytes = 0;
  seq = 0;
  aux = 0;
  /** The body without page data: valid in `body` and `end`. Offsets start at 0. */
  readonly body: DataView;
  readonly bodyRaw: Uint8Array;
  /** Bytes in `body`. */
  fixedBytes = 0;

  readonly #handler: FrameHandler;
  readonly #header = new Uint8Array(HEADER_BYTES);
  readonly #headerView = new DataView(this.#header.buffer);
  #shape: FrameShape | undefined;
  #stage: Stage = Stage.Header;
  #have = 0;
  #pageIndex = 0;
  #pagePosition = 0;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
    this.bodyRaw = new Uint8Array(FIXED_BODY_BYTES_MAX);
    this.body = new DataView(this.bodyRaw.buffer);
  }

  /** True while a frame waits for the handler to take it. */
  get stalled(): boolean {
    return this.#stage === Stage.Admission;
  }

  /** The name of the frame at hand, for messages. */
  get typeName(): string {
    return this.#shape?.name ?? `type ${this.type}`;
  }

  /**
   * Takes bytes [start, end); returns how many were taken: fewer only when the handler refused a frame for now,
   * and then the rest is to be given again. Throws PeerError when the stream breaks the protocol, and
   * is done with then.
   */
  receive(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    for (;;) {
      if (this.#stage === Stage.Header) {
        at = this.#collect(this.#header, HEADER_BYTES, bytes, at, end);
        if (this.#have < HEADER_BYTES) return at - start;
        this.#parseHeader();
      }
      if (this.#stage === Stage.Admission) {
        if (!this.#handler.header(this)) return at - start;
        this.#enter(Stage.Body);
      }
      if (this.#stage === Stage.Body) {
        at = this.#collect(this.bodyRaw, this.fixedBytes, bytes, at, end);
        if (this.#have < this.fixedBytes) return at - start;
        this.#bodyComplete();
      }
      if (this.#stage === Stage.Pages) {
        at = this.#passPages(bytes, at, end);
        if (this.#stage === Stage.Pages) return at - start;
      }
    }
  }

  #enter(stage: Stage): void {
    this.#stage = stage;
    this.#have = 0;
  }

  #collect(into: Uint8Array, wanted: number, bytes: Uint8Array, at: number, end: number): number {
    const take = Math.min(wanted - this.#have, end - at);
    for (let i = 0; i < take; i += 1) into[this.#have + i] = bytes[at + i]!;
    this.#have += take;
    return at + take;
  }

  #parseHeader(): void {
    const view = this.#headerView;
    this.type = view.getUint8(0);
    this.flags = view.getUint8(1);
    this.count = view.getUint16(2, true);
    this.bodyBytes = view.getUint32(4, true);
    this.seq = view.getUint32(8, true);
    this.aux = view.getUint32(12, true);
    this.#shape = frameShapes.get(this.type);
    const shape = this.#shape;
    if (shape === undefined) throw new PeerError(WireError.PROTOCOL, `unknown frame type ${this.type}`);
    if (this.flags !== 0)
      throw new PeerError(WireError.PROTOCOL, `${shape.name}: unknown flags ${this.flags}`);
    if (this.count < shape.countMin || this.count > shape.countMax) {
      throw new PeerError(
        WireError.PROTOCOL,
        `${shape.name}: count ${this.count}, accepted is ${shape.countMin} to ${shape.countMax}`,
      );
    }
    this.fixedBytes = shape.fixedBytes + this.count * shape.entryBytes;
    this.#checkLength(shape);
    if (shape.rest === "text") this.fixedBytes = this.bodyBytes;
    this.#enter(Stage.Admission);
  }

  #checkLength(shape: FrameShape): void {
    const rest = this.bodyBytes - this.fixedBytes;
    const fits =
      shape.rest === "all"
        ? rest === this.count * PAGE_BYTES
        : shape.rest === "some"
          ? rest >= 0 && rest <= this.count * PAGE_BYTES && rest % PAGE_BYTES === 0
          : shape.rest === "text"
            ? rest >= 0 && rest <= ERROR_TEXT_BYTES_MAX
            : rest === 0;
    if (!fits) {
      throw new PeerError(
        WireError.PROTOCOL,
        `${shape.name}: body of ${this.bodyBytes} bytes does not fit a count of ${this.count}`,
      );
    }
  }

  #bodyComplete(): void {
    const shape = this.#shape!;
    checkEntries(this.type, shape, this.count, this.body);
    if (shape.rest === "some") this.#checkPageCount(shape);
    this.#handler.body(this);
    if (shape.rest === "all" || shape.rest === "some") {
      this.#enter(Stage.Pages);
      this.#pageIndex = -1;
      this.#nextPage();
    } else this.#frameComplete();
  }

  #checkPageCount(shape: FrameShape): void {
    let pages = 0;
    for (let i = 0; i < this.count; i += 1) if (this.pageStatus(i) === PageStatus.OK) pages += 1;
    if (this.bodyBytes - this.fixedBytes !== pages * PAGE_BYTES) {
      throw new PeerError(
        WireError.PROTOCOL,
        `${shape.name}: ${pages} pages announced, body of ${this.bodyBytes} bytes`,
      );
    }
  }

  /** Checksum in the `i`-th meta entry of the body. */
  pageChecksum(i: number): number {
    return this.body.getUint32(i * META_BYTES + 16, true);
  }

  /** Status in the `i`-th meta entry of the body. */
  pageStatus(i: number): number {
    return this.body.getUint32(i * META_BYTES + 20, true);
  }

  #nextPage(): void {
    this.#pagePosition = 0;
    this.#pageIndex += 1;
    if (this.type === FrameType.PAGES) {
      while (this.#pageIndex < this.count && this.pageStatus(this.#pageIndex) !== PageStatus.OK)
        this.#pageIndex += 1;
    }
    if (this.#pageIndex >= this.count) this.#frameComplete();
  }

  #passPages(bytes: Uint8Array, from: number, end: number): number {
    let at = from;
    while (at < end && this.#stage === Stage.Pages) {
      const whole = this.#wholePages(end - at);
      if (whole > 0) {
        this.#handler.pages!(this, this.#pageIndex, whole, bytes, at);
        at += whole * PAGE_BYTES;
        this.#pageIndex += whole - 1;
        this.#nextPage();
        continue;
      }
      const take = Math.min(PAGE_BYTES - this.#pagePosition, end - at);
      this.#handler.page(this, this.#pageIndex, bytes, at, at + take, this.#pagePosition);
      at += take;
      this.#pagePosition += take;
      if (this.#pagePosition === PAGE_BYTES) this.#nextPage();
    }
    return at;
  }

  /** Pages that lie whole in the next `available` bytes, where every entry has one. */
  #wholePages(available: number): number {
    if (this.#pagePosition !== 0 || this.#handler.pages === undefined || this.#shape!.rest !== "all")
      return 0;
    return Math.min(Math.floor(available / PAGE_BYTES), this.count - this.#pageIndex);
  }

  #frameComplete(): void {
    this.#enter(Stage.Header);
    this.#handler.end(this);
  }
}
