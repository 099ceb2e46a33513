import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ClusterKey, randomNonce } from "../../../src/io/cluster-key.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nswap-key-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function keyFile(name: string, content: string | Uint8Array, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode });
  return path;
}

describe("ClusterKey", () => {
  it("proves to a holder of the same key only", () => {
    const key = ClusterKey.load(keyFile("a", "0123456789abcdef\n"));
    const same = ClusterKey.load(keyFile("b", "0123456789abcdef"));
    const other = ClusterKey.load(keyFile("c", "0123456789abcdeF"));
    const nonce = randomNonce();
    const proof = key.proof("label", nonce);
    expect(proof).toHaveLength(32);
    expect(same.verify(proof, "label", nonce)).toBe(true);
    expect(other.verify(proof, "label", nonce)).toBe(false);
    expect(same.verify(proof, "other label", nonce)).toBe(false);
    expect(same.verify(proof, "label", randomNonce())).toBe(false);
    expect(same.verify(proof.subarray(0, 31), "label", nonce)).toBe(false);
  });

  it("does not take one list of parts for another", () => {
    const key = ClusterKey.fromBytes(new Uint8Array(32));
    const bytes = (...values: number[]) => Uint8Array.from(values);
    expect(key.proof("l", bytes(1), bytes(2))).not.toEqual(key.proof("l", bytes(1, 2)));
    expect(key.proof("l", bytes(), bytes(1))).not.toEqual(key.proof("l", bytes(1)));
    expect(key.proof("la", bytes(1))).not.toEqual(key.proof("l", Buffer.from("a"), bytes(1)));
  });

  it("is the HMAC-SHA256 that another implementation computes", async () => {
    const key = ClusterKey.fromBytes(Buffer.from("0123456789abcdef"));
    const subtle = globalThis.crypto.subtle;
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const raw = await subtle.importKey("raw", Buffer.from("0123456789abcdef"), algorithm, false, ["sign"]);
    const input = Buffer.from([0, 0, 0, 1, 0x6c, 0, 0, 0, 2, 7, 8]);
    const signed = new Uint8Array(await subtle.sign(algorithm, raw, input));
    expect(Uint8Array.from(key.proof("l", Uint8Array.from([7, 8])))).toEqual(signed);
  });

  it.each([
    ["missing", () => join(folder, "nowhere"), "does not exist"],
    ["empty", () => keyFile("empty", ""), "is empty"],
    ["only line ends", () => keyFile("lines", "\n\r\n"), "is empty"],
    ["too short", () => keyFile("short", "0123456789abcde\n"), "holds 15 bytes; accepted: 16 to 4096"],
    ["too long", () => keyFile("long", new Uint8Array(4097).fill(65)), "accepted: 16 to 4096"],
    [
      "much too long (it was said to hold 4099 bytes)",
      () => keyFile("longer", new Uint8Array(5000).fill(65)),
      "holds 5000 bytes",
    ],
    ["readable by the group", () => keyFile("group", "x".repeat(32), 0o640), "chmod 600"],
    ["readable by all", () => keyFile("all", "x".repeat(32), 0o644), "mode 644"],
    ["a folder", () => folder, "is not a regular file"],
  ])("refuses a file that is %s", (_, path, problem) => {
    expect(() => ClusterKey.load(path())).toThrow(problem);
    expect(() => ClusterKey.load(path())).toThrow("--key-file");
  });
});
