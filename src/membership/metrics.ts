import { type Labels, PrometheusText } from "../observe/prometheus.ts";
import type { ClientFigures, NodeRecord, TrafficFigures } from "./node-record.ts";
import type { SeenNode } from "./peer-table.ts";

/** The cluster as Prometheus text. @param nodes from `PeerTable.nodes()`, this node first */
export function metricsText(nodes: readonly SeenNode[], build: { version: string; node: string }): string {
  const text = new PrometheusText();
  text.family("nswap_build_info", "gauge", "Version of this node's program, always 1.", [
    [{ version: build.version, node_version: build.node }, 1],
  ]);
  text.family(
    "nswap_node_up",
    "gauge",
    "1 if this node sees the other up or draining, 0 if suspect or down.",
    nodes.map((node) => [labelsOf(node.record), node.state === "up" || node.state === "draining" ? 1 : 0]),
  );
  framesFamilies(text, nodes);
  clientFamilies(text, nodes);
  scrubFamilies(text, nodes);
  return text.toString();
}

function framesFamilies(text: PrometheusText, nodes: readonly SeenNode[]): void {
  const stores = nodes.filter((node) => node.record.role !== "client").map((node) => node.record);
  const family = (key: "used" | "free" | "limit", help: string) =>
    text.family(
      `nswap_frames_${key}`,
      "gauge",
      help,
      stores.map((record) => [labelsOf(record), record.frames[key]]),
    );
  family("used", "4 KiB frames that hold a page.");
  family("free", "4 KiB frames that are free.");
  family("limit", "4 KiB frames the node lends at most at present.");
}

function clientFamilies(text: PrometheusText, nodes: readonly SeenNode[]): void {
  const clients: { labels: Labels; figures: ClientFigures }[] = [];
  for (const { record } of nodes) {
    if (record.client) clients.push({ labels: labelsOf(record), figures: record.client });
  }
  const each = (pick: (figures: ClientFigures) => number): [Labels, number][] =>
    clients.map(({ labels, figures }) => [labels, pick(figures)]);
  const by = (label: string, pick: (figures: ClientFigures) => Readonly<Record<string, number>>) =>
    clients.flatMap(({ labels, figures }) =>
      Object.entries(pick(figures)).map(([value, n]): [Labels, number] => [{ ...labels, [label]: value }, n]),
    );
  text.family(
    "nswap_client_size_bytes",
    "gauge",
    "Size of the client's device.",
    each((c) => c.sizeBytes),
  );
  text.family(
    "nswap_client_slots",
    "gauge",
    "Slots of the device by what they hold.",
    by("kind", ({ slots }) => ({
      mapped: slots.mapped,
      same_filled: slots.sameFilled,
      on_disk: slots.onDisk,
    })),
  );
  text.family(
    "nswap_client_pages",
    "gauge",
    "The client's pages by condition; unprotected should return to 0.",
    by("condition", ({ pages }) => ({ live: pages.live, dead: pages.dead, unprotected: pages.unprotected })),
  );
  text.family(
    "nswap_client_pages_lost_total",
    "counter",
    "Pages that were provably lost.",
    each((c) => c.pages.lost),
  );
  text.family(
    "nswap_client_requests_in_flight",
    "gauge",
    "NBD requests not yet answered.",
    each((c) => c.requests.inFlight),
  );
  text.family(
    "nswap_client_request_errors_total",
    "counter",
    "NBD requests answered with an error.",
    each((c) => c.requests.errors),
  );
  text.family(
    "nswap_client_recovery_pages",
    "gauge",
    "Pages that the recovery under way has to do with; all 0 when nothing is to be recovered.",
    by("kind", ({ recovery }) => ({ done: recovery.done, all: recovery.total })),
  );
  text.family(
    "nswap_client_links",
    "gauge",
    "Servers the client is linked to.",
    by("to", ({ links }) => ({ servers: links.servers, parity: links.parity })),
  );
  trafficFamilies(text, each);
}

function scrubFamilies(text: PrometheusText, nodes: readonly SeenNode[]): void {
  const counter = (name: string, key: "scrubbed" | "skipped" | "mismatches" | "passes", help: string) =>
    text.family(
      `nswap_parity_${name}_total`,
      "counter",
      help,
      nodes.flatMap(({ record }): [Labels, number][] =>
        record.scrub === undefined ? [] : [[labelsOf(record), record.scrub[key]]],
      ),
    );
  counter("groups_scrubbed", "scrubbed", "Parity groups compared with their members.");
  counter("groups_skipped", "skipped", "Parity groups that could not be compared.");
  counter("mismatches", "mismatches", "Parity groups that are not the XOR of their members.");
  counter("passes", "passes", "Passes over all parity groups.");
}

function trafficFamilies(
  text: PrometheusText,
  each: (pick: (figures: ClientFigures) => number) => [Labels, number][],
): void {
  const counter = (name: string, key: keyof TrafficFigures, help: string) =>
    text.family(
      `nswap_client_${name}_total`,
      "counter",
      help,
      each((c) => c.traffic[key]),
    );
  counter("pages_out", "pagesOut", "Pages that servers have taken, without second copies and parity pages.");
  counter("pages_in", "pagesIn", "Pages read from servers.");
  counter("messages_sent", "messagesSent", "Messages of the page protocol sent to servers.");
  counter("messages_asking", "messagesAsking", "Messages sent to servers that ask for pages.");
  counter("bytes_sent", "bytesSent", "Bytes of the messages sent to servers.");
}

function labelsOf(record: NodeRecord): Labels {
  return { node: record.name, role: record.role, control: record.control };
}
