import type { StartClientNode, StartMemoryNode } from "./running-node.ts";

/** The composition roots, loaded only when one is run, so that `nswap status` starts fast. */
export async function loadMemoryNode(): Promise<StartMemoryNode> {
  const path: string = "./memory-node.ts";
  return (await import(path)).startMemoryNode;
}

export async function loadClientNode(): Promise<StartClientNode> {
  const path: string = "./client-node.ts";
  return (await import(path)).startClientNode;
}
