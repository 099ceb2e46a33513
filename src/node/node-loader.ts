import type { StartClientNode, StartServerNode } from "./running-node.ts";

/** The composition roots, loaded only when one is run, so that `nswap status` starts fast. */
export async function loadMemoryNode(): Promise<StartServerNode> {
  return (await import("./memory-node.ts")).startMemoryNode;
}

export async function loadParityNode(): Promise<StartServerNode> {
  return (await import("./parity-node.ts")).startParityNode;
}

export async function loadClientNode(): Promise<StartClientNode> {
  return (await import("./client-node.ts")).startClientNode;
}
