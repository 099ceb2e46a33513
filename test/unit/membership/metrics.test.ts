import { describe, expect, it } from "vitest";
import { metricsText } from "../../../src/membership/metrics.ts";
import { PrometheusText } from "../../../src/observe/prometheus.ts";
import { recordOf } from "./records.ts";

/** Checks the text format line by line; the samples by series. */
function parse(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const typed = new Map<string, string>();
  const helped = new Set<string>();
  expect(text.endsWith("\n")).toBe(true);
  for (const line of text.slice(0, -1).split("\n")) {
    const meta = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line);
    if (meta?.[1] === "HELP") {
      expect(helped.has(meta[2])).toBe(false);
      helped.add(meta[2]);
    } else if (meta) {
      expect(["gauge", "counter"]).toContain(meta[3]);
      typed.set(meta[2], meta[3]);
    } else {
      const sample = /^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)$/.exec(line);
      expect(sample, line).not.toBeNull();
      const [series] = line.split(/ (?=\S+$)/);
      expect(typed.has(sample![1]) && helped.has(sample![1])).toBe(true);
      expect(typed.get(sample![1]) === "counter").toBe(sample![1].endsWith("_total"));
      expect(samples.has(series)).toBe(false);
      samples.set(series, Number(sample![3]));
    }
  }
  return samples;
}

describe("metrics", () => {
  it("show nodes, frames and clients", () => {
    const figures = {
      ...{ name: "c", redundancy: "none" as const, sizeBytes: 8192 },
      slots: { mapped: 1, sameFilled: 2, onDisk: 3 },
      pages: { live: 4, dead: 5, unprotected: 6, lost: 7 },
      requests: { inFlight: 8, errors: 9 },
      traffic: { pagesOut: 10, pagesIn: 11, messagesSent: 12, messagesAsking: 13, bytesSent: 14 },
      recovery: { state: "rebuilding" as const, done: 15, total: 16 },
      links: { servers: 17, parity: 18 },
      suspects: [],
      roomNeeded: { servers: 0, parity: 0 },
    };
    const scrub = {
      ...{ state: "idle" as const, done: 0, total: 0 },
      ...{ scrubbed: 1, skipped: 2, unreachable: 1, mismatches: 3, passes: 4 },
    };
    const client = recordOf(2, { name: "c", role: "client", data: null, client: figures });
    const text = metricsText(
      [
        { record: recordOf(1), state: "up" },
        { record: client, state: "draining" },
        { record: recordOf(3), state: "suspect" },
        { record: recordOf(4, { role: "parity", scrub }), state: "up" },
      ],
      { version: "1.2.3", node: "20.0.0" },
    );
    const samples = parse(text);
    const of = (name: string, role: string, n: number) =>
      `node="${name}",role="${role}",control="127.0.0.1:${10_000 + n}"`;
    expect(samples.get(`nswap_frames_used{${of("node-4", "parity", 4)}}`)).toBe(1);
    expect(samples.get(`nswap_parity_mismatches_total{${of("node-4", "parity", 4)}}`)).toBe(3);
    expect(samples.get(`nswap_parity_passes_total{${of("node-4", "parity", 4)}}`)).toBe(4);
    expect(samples.has(`nswap_parity_passes_total{${of("node-1", "server", 1)}}`)).toBe(false);
    expect(samples.get(`nswap_client_recovery_pages{${of("c", "client", 2)},kind="done"}`)).toBe(15);
    expect(samples.get(`nswap_client_links{${of("c", "client", 2)},to="parity"}`)).toBe(18);
    expect(samples.get('nswap_build_info{version="1.2.3",node_version="20.0.0"}')).toBe(1);
    expect(samples.get(`nswap_node_up{${of("node-1", "server", 1)}}`)).toBe(1);
    expect(samples.get(`nswap_node_up{${of("c", "client", 2)}}`)).toBe(1);
    expect(samples.get(`nswap_node_up{${of("node-3", "server", 3)}}`)).toBe(0);
    expect(samples.get(`nswap_frames_used{${of("node-1", "server", 1)}}`)).toBe(1);
    expect(samples.get(`nswap_frames_limit{${of("node-3", "server", 3)}}`)).toBe(3);
    expect(samples.has(`nswap_frames_limit{${of("c", "client", 2)}}`)).toBe(false);
    expect(samples.get(`nswap_client_bytes_sent_total{${of("c", "client", 2)}}`)).toBe(14);
    expect(samples.get(`nswap_client_slots{${of("c", "client", 2)},kind="same_filled"}`)).toBe(2);
    expect(samples.get(`nswap_client_pages{${of("c", "client", 2)},condition="unprotected"}`)).toBe(6);
    expect(samples.get(`nswap_client_pages_lost_total{${of("c", "client", 2)}}`)).toBe(7);
    expect(samples.get(`nswap_client_request_errors_total{${of("c", "client", 2)}}`)).toBe(9);
  });

  it("write a series once, whatever the labels", () => {
    const node = { record: recordOf(1), state: "up" as const };
    parse(metricsText([node, node], { version: "1", node: "2" }));
  });

  it("escape labels and help, and name special values", () => {
    const text = new PrometheusText();
    text.family("a", "gauge", "back\\slash\nnew line", [
      [{ l: 'quote " back \\ line \n end' }, Number.POSITIVE_INFINITY],
      [{}, Number.NaN],
    ]);
    expect(String(text)).toBe(
      '# HELP a back\\\\slash\\nnew line\n# TYPE a gauge\na{l="quote \\" back \\\\ line \\n end"} +Inf\na NaN\n',
    );
    expect(() => text.family("a", "gauge", "", [])).toThrow("twice");
    expect(() => text.family("a b", "gauge", "", [])).toThrow("not a metric name");
  });
});
