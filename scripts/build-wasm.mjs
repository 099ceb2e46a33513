// Assembles src/base/page-kernel.wat into a module that carries the bytes: nothing is read from disk at run time.
import { readFileSync, writeFileSync } from "node:fs";
import wabtInit from "wabt";

const source = new URL("../src/base/page-kernel.wat", import.meta.url);
const target = new URL("../src/base/page-kernel.generated.ts", import.meta.url);

const wabt = await wabtInit();
const module = wabt.parseWat("page-kernel.wat", readFileSync(source, "utf8"), {
  simd: true,
  bulk_memory: true,
});
module.validate({ simd: true, bulk_memory: true });
const { buffer } = module.toBinary({});
const text = `// Made from page-kernel.wat by scripts/build-wasm.mjs.
export const pageKernelBase64 =
  "${Buffer.from(buffer).toString("base64")}";
`;
writeFileSync(target, text);
