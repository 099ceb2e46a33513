import { invariant } from "./assert.ts";
import { PAGE_BYTES } from "./page.ts";
import { pageKernelBase64 } from "./page-kernel.generated.ts";

const WASM_PAGE_BYTES = 65_536;
/** Below 4 GiB: the end of every region must be an address too, or the kernel's loops stop early. */
const WASM_PAGES_MAX = 65_535;
/** What the kernel has for itself, at the memory's end: of what it wrote there, nothing is used in a later call. */
const KERNEL_BYTES = 192;

interface PageKernel {
  copy(dst: number, src: number, bytes: number): void;
  fill(dst: number, value: number, bytes: number): void;
  fillPattern(dst: number, low: number, high: number, bytes: number): void;
  xor(dst: number, src: number, bytes: number): void;
  isUniform(ptr: number, bytes: number): number;
  checksum(ptr: number, bytes: number, seedLow: number, seedHigh: number): number;
}

/**
 * One linear memory for every byte on the client's data path: receive buffers, page frames, send queues.
 * Addresses are numbers, so copying, checksums and XOR need no view objects and allocate nothing; they run in
 * WebAssembly (page-kernel.wat). The memory is fixed in size: growing would detach every view.
 */
export class Arena {
  readonly sizeBytes: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Copies `bytes` from src to dst; the ranges may overlap. */
  readonly copy: PageKernel["copy"];
  readonly fill: PageKernel["fill"];
  /** Fills with a repeated 64-bit little-endian pattern; `bytes` is a multiple of 32. */
  readonly fillPattern: PageKernel["fillPattern"];
  /** dst ^= src; `bytes` is a multiple of 32. */
  readonly xor: PageKernel["xor"];
  readonly #kernel: PageKernel;
  #allocated = 0;

  constructor(sizeBytes: number) {
    const wasmPages = Math.ceil((sizeBytes + KERNEL_BYTES) / WASM_PAGE_BYTES);
    invariant(
      sizeBytes >= 1 && wasmPages <= WASM_PAGES_MAX,
      `an arena takes 1 to ${WASM_PAGES_MAX * WASM_PAGE_BYTES - KERNEL_BYTES} bytes, not ${sizeBytes}`,
    );
    const memory = new WebAssembly.Memory({ initial: wasmPages, maximum: wasmPages });
    const module = new WebAssembly.Module(Buffer.from(pageKernelBase64, "base64"));
    this.sizeBytes = wasmPages * WASM_PAGE_BYTES - KERNEL_BYTES;
    const secret = new WebAssembly.Global({ value: "i32" }, this.sizeBytes);
    const instance = new WebAssembly.Instance(module, { arena: { memory, secret } });
    this.#kernel = instance.exports as unknown as PageKernel;
    this.copy = this.#kernel.copy;
    this.fill = this.#kernel.fill;
    this.fillPattern = this.#kernel.fillPattern;
    this.xor = this.#kernel.xor;
    this.bytes = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
  }

  /** Sets a region aside for good and returns its address. */
  allocate(bytes: number, align = PAGE_BYTES): number {
    invariant(
      Number.isSafeInteger(bytes) && bytes >= 0,
      `a region has a whole number of bytes, not ${bytes}`,
    );
    const at = Math.ceil(this.#allocated / align) * align;
    invariant(at + bytes <= this.sizeBytes, `arena of ${this.sizeBytes} bytes holds its regions`);
    this.#allocated = at + bytes;
    return at;
  }

  /** True if the page at `at` is one 64-bit word repeated. */
  isSameFilled(at: number): boolean {
    return this.#kernel.isUniform(at, PAGE_BYTES) === 1;
  }

  /**
   * Checksum of the page at `at`, an unsigned 32-bit number: XXH3 of 64 bits, seeded with the page id, folded. The
   * seed makes the right bytes of another page a mismatch too.
   */
  pageChecksum(at: number, pageIdLow: number, pageIdHigh: number): number {
    return this.#kernel.checksum(at, PAGE_BYTES, pageIdLow, pageIdHigh) >>> 0;
  }
}
