import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { LineSink } from "../io/line-sink.ts";
import type { LogFormat } from "./log.ts";
import { formatReadyLine, type RunningNode } from "./running-node.ts";

/** What a node is run within: a process, or a test's stand-in for one. */
export interface NodeHost {
  /** Where the ready line goes: standard output, never waited for. */
  readonly output: LineSink;
  on(event: NodeJS.Signals | "disconnect", listener: () => void): unknown;
  off(event: NodeJS.Signals | "disconnect", listener: () => void): unknown;
}

const endSignals = ["SIGTERM", "SIGINT"] as const;

const againText = `again after ${limits.sameSignalMs / 1000} s to stop at once`;

/**
 * Prints the ready line and waits for the end of the node: the first SIGTERM or SIGINT drains it, a later one stops
 * it (not one that comes with the first, see limits.sameSignalMs), and so does the end of a parent process that holds
 * an IPC channel to this one (`nswap local`). SIGHUP, the end of a terminal, is no reason to end.
 * Returns the exit status.
 */
export async function runNode(
  node: RunningNode,
  format: LogFormat,
  log: Log,
  host: NodeHost,
  nowMs: () => number = () => performance.now(),
): Promise<number> {
  let firstMs: number | null = null;
  const onSignal = () => {
    if (firstMs === null) {
      firstMs = nowMs();
      log.info(`leaving in order; send the signal ${againText}`);
      node.drain().catch((error: unknown) => {
        log.error("leaving in order failed; stopping", { error: String(error) });
        node.stop();
      });
    } else if (nowMs() - firstMs >= limits.sameSignalMs) {
      log.warn("stopping at once");
      node.stop();
    }
  };
  const onHangUp = () =>
    log.warn("SIGHUP is ignored: this node goes on without its terminal; SIGTERM ends it");
  const onOrphaned = () => {
    log.warn("the process that started this node is gone; stopping at once");
    node.stop();
  };
  for (const signal of endSignals) host.on(signal, onSignal);
  host.on("SIGHUP", onHangUp);
  host.on("disconnect", onOrphaned);
  try {
    host.output.write(formatReadyLine(node.ready, format));
    await node.ended;
    return 0;
  } catch (error) {
    log.error("the node failed", { error: error instanceof Error ? error.message : String(error) });
    return 1;
  } finally {
    for (const signal of endSignals) host.off(signal, onSignal);
    host.off("SIGHUP", onHangUp);
    host.off("disconnect", onOrphaned);
  }
}
