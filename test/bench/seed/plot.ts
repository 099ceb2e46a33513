/** A bar, with the least and the most that was measured. */
export interface Bar {
  readonly label: string;
  readonly colour: string;
  readonly value: number;
  readonly least: number;
  readonly most: number;
}

/** Bars that share an axis. */
export interface Panel {
  readonly title: string;
  readonly bars: readonly Bar[];
}

export interface Plot {
  readonly title: string;
  /** What the axes show, with its unit. */
  readonly axis: string;
  readonly panels: readonly Panel[];
  /** A sentence below. */
  readonly note: string;
}

const WIDTH = 860;
const LEFT = 170;
const RIGHT = 90;
const BAR = 20;
const GAP = 8;
const PANEL_HEAD = 34;
const PANEL_FOOT = 46;
const LEGEND = 26;
const TOP = 40;
const TICKS_MAX = 7;
const FONT = "font-family='Helvetica, Arial, sans-serif'";
const INK = "#222";
const GRID = "#ddd";

/** An SVG document: panels of horizontal bars, each with an axis from 0, a legend, whiskers from least to most. */
export function svgOf(plot: Plot): string {
  const parts: string[] = [text(LEFT, 24, plot.title, "start", 16, "bold"), ...legend(plot, TOP)];
  let y = TOP + LEGEND;
  for (const panel of plot.panels) {
    parts.push(...panelParts(panel, plot.axis, y));
    y += PANEL_HEAD + panel.bars.length * (BAR + GAP) + PANEL_FOOT;
  }
  parts.push(text(LEFT, y + 4, plot.note, "start", 11));
  const height = y + 20;
  return [
    `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 ${WIDTH} ${height}' width='${WIDTH}' height='${height}'>`,
    `<title>${escaped(plot.title)}</title>`,
    `<rect width='${WIDTH}' height='${height}' fill='white'/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

/** One entry for each label, in the order in which they come. */
function legend(plot: Plot, y: number): string[] {
  const entries = new Map(
    plot.panels.flatMap(({ bars }) => bars.map((bar) => [bar.label, bar.colour] as const)),
  );
  const step = (WIDTH - 40) / Math.max(1, entries.size);
  return [...entries].flatMap(([label, colour], i) => [
    rect(20 + i * step, y - 2, 12, 12, colour),
    text(38 + i * step, y + 8, label, "start", 11),
  ]);
}

function panelParts({ title, bars }: Panel, axis: string, top: number): string[] {
  const ticks = ticksUpTo(Math.max(0, ...bars.map((bar) => bar.most)));
  const end = ticks.at(-1)!;
  const x = (value: number): number => LEFT + (value / end) * (WIDTH - LEFT - RIGHT);
  const first = top + PANEL_HEAD;
  const bottom = first + bars.length * (BAR + GAP);
  const parts = [text(LEFT, top + 22, title, "start", 13, "bold")];
  for (const tick of ticks) {
    parts.push(line(x(tick), first - 4, x(tick), bottom, GRID));
    parts.push(text(x(tick), bottom + 14, String(tick), "middle", 11));
  }
  parts.push(line(LEFT, first - 4, LEFT, bottom, INK), line(LEFT, bottom, WIDTH - RIGHT, bottom, INK));
  parts.push(text((LEFT + WIDTH - RIGHT) / 2, bottom + 30, axis, "middle", 11));
  bars.forEach((bar, i) => {
    const y = first + i * (BAR + GAP);
    const middle = y + BAR / 2;
    parts.push(text(LEFT - 8, middle + 4, bar.label, "end", 12));
    parts.push(rect(LEFT, y, Math.max(1, x(bar.value) - LEFT), BAR, bar.colour));
    if (bar.most > bar.least) {
      parts.push(line(x(bar.least), middle, x(bar.most), middle, INK));
      for (const edge of [bar.least, bar.most])
        parts.push(line(x(edge), middle - 4, x(edge), middle + 4, INK));
    }
    parts.push(text(x(bar.most) + 6, middle + 4, figure(bar.value), "start", 12));
  });
  return parts;
}

/** Round numbers from 0 to the first that is not below `most`: steps of 1, 2 or 5 times a power of ten. */
export function ticksUpTo(most: number): number[] {
  if (!(most > 0)) return [0, 1];
  const power = 10 ** Math.floor(Math.log10(most / TICKS_MAX));
  // Binary fractions are a little beside what they stand for: 0.001 / 0.0002 is more than 5.
  const steps = (width: number): number => Math.ceil(Number((most / width).toPrecision(12)));
  const step = [1, 2, 5, 10].map((times) => times * power).find((width) => steps(width) <= TICKS_MAX)!;
  return Array.from({ length: steps(step) + 1 }, (_, i) => Number((i * step).toPrecision(12)));
}

/** Three digits, as people read them. */
export function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function rect(x: number, y: number, width: number, height: number, fill: string): string {
  return `<rect x='${at(x)}' y='${at(y)}' width='${at(width)}' height='${at(height)}' fill='${fill}'/>`;
}

function line(x1: number, y1: number, x2: number, y2: number, stroke: string): string {
  return `<line x1='${at(x1)}' y1='${at(y1)}' x2='${at(x2)}' y2='${at(y2)}' stroke='${stroke}'/>`;
}

function text(x: number, y: number, words: string, anchor: string, size: number, weight = "normal"): string {
  const style = `${FONT} font-size='${size}' font-weight='${weight}' fill='${INK}' text-anchor='${anchor}'`;
  return `<text x='${at(x)}' y='${at(y)}' ${style}>${escaped(words)}</text>`;
}

const at = (value: number): string => String(Math.round(value * 10) / 10);

function escaped(words: string): string {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
