/** What went out by some connections together, in frames of their protocol; read by observers. */
export class Traffic {
  /** Frames begun, by type (0 to 255). */
  readonly frames = new Float64Array(256);
  /** Bytes of all frames, headers included. */
  bytes = 0;

  /** Frames of all types. */
  get messages(): number {
    return this.frames.reduce((sum, count) => sum + count, 0);
  }
}
