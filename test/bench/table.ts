/** A Markdown table whose source reads as a table too; all but the first two columns are aligned right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, at) => Math.max(3, title.length, ...rows.map((row) => row[at]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => (at < 2 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join(" | ")} |`;
  const dashes = (width: number, at: number) =>
    at < 2 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`;
  const rule = `|${widths.map(dashes).join("|")}|`;
  return [line(head), rule, ...rows.map(line)];
}
