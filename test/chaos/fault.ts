import type { Prng } from "../../src/base/prng.ts";

/** kill, restart: the memory is lost; pause: the process stands still and goes on. */
export type FaultKind = "kill" | "restart" | "pause";

/** One thing that happens to one server. */
export interface Fault {
  readonly kind: FaultKind;
  /** Name of the node. */
  readonly node: string;
  /** How long it is away, ms. */
  readonly awayMs: number;
}

export const losesMemory = (fault: Fault): boolean => fault.kind !== "pause";

export const describeFault = ({ kind, node, awayMs }: Fault): string =>
  `${{ kill: "SIGKILL", restart: "SIGTERM", pause: "SIGSTOP" }[kind]} ${node}, away for ${awayMs} ms`;

/** Draws what happens next; memory is only lost where redundancy makes good for it. */
export function drawFault(
  prng: Prng,
  nodes: { readonly servers: number; readonly parity: number },
  mayLose: boolean,
): Fault {
  const die = prng.below(100);
  const kind = !mayLose || die < 35 ? "pause" : die < 85 ? "kill" : "restart";
  const ofParity = nodes.parity > 0 && prng.chance(0.25);
  const node = ofParity
    ? `parity-${1 + prng.below(nodes.parity)}`
    : `server-${1 + prng.below(nodes.servers)}`;
  const awayMs = kind === "pause" ? 1_000 + prng.below(4_000) : prng.chance(0.4) ? 0 : prng.below(4_000);
  return { kind, node, awayMs };
}
