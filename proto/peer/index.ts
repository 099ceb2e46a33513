export * from "./errors.ts";
export * from "./handshake.ts";
export * from "./hello.ts";
export * from "./parity-frames.ts";
export * from "./reader.ts";
export * from "./wire.ts";
export * from "./writer.ts";
