/**
 * Where a node's lines go. It never blocks and its memory is bounded: what whoever reads the lines leaves no room for
 * is dropped and counted, and when there is room again a line says how many were dropped.
 */
export interface LineSink {
  /** Makes the line, with its end, that says that so many were dropped. */
  describeDropped: (count: number) => string;
  /** Takes a line with its end. */
  write(line: string): void;
  /**
   * Waits until what was taken is written, for so long at most and not at all if writing fails. False if a write is
   * still under way: then the process cannot end by itself.
   */
  finish(waitMsMax: number): Promise<boolean>;
  /** The process ends at this moment: writes what can be written without waiting for anybody. */
  lastWords(): void;
}

/** Says so in plain text. */
export function droppedText(count: number): string {
  return `nswap: ${count} lines were dropped: nobody read them in time\n`;
}
