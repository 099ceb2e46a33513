/** The media type of the text format. */
export const prometheusContentType = "text/plain; version=0.0.4; charset=utf-8";

export type MetricKind = "gauge" | "counter";
export type Labels = Readonly<Record<string, string>>;

/** Builds the Prometheus text exposition format: HELP and TYPE once a family, each series once. */
export class PrometheusText {
  #text = "";
  readonly #families = new Set<string>();

  /**
   * One family with all its samples. A series (a set of labels) that comes twice is written once: the format
   * forbids repeats. A family without samples is left out.
   */
  family(name: string, kind: MetricKind, help: string, samples: Iterable<readonly [Labels, number]>): void {
    if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) throw new Error(`not a metric name: ${name}`);
    if (this.#families.has(name)) throw new Error(`metric family written twice: ${name}`);
    this.#families.add(name);
    const lines = new Map<string, string>();
    for (const [labels, value] of samples) {
      const series = name + labelText(labels);
      if (!lines.has(series)) lines.set(series, `${series} ${valueText(value)}\n`);
    }
    if (lines.size === 0) return;
    this.#text += `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${kind}\n${[...lines.values()].join("")}`;
  }

  toString(): string {
    return this.#text;
  }
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function escapeHelp(help: string): string {
  return help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function valueText(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}
