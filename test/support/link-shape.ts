/** What tbf lets through in one go; it must hold the largest packet that segmentation offload makes. */
const BURST = "256kb";
/** Longest time that a packet waits for the link before it is dropped. */
const QUEUE = "20ms";

/** Arguments of `tc` that make what leaves by `device` a link of a stated rate. */
export function shapeOf(device: string, mbitPerSecond: number): string[] {
  const rate = ["rate", `${mbitPerSecond}mbit`, "burst", BURST, "latency", QUEUE];
  return ["qdisc", "add", "dev", device, "root", "tbf", ...rate];
}
