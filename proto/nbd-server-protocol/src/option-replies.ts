import { writeU64 } from "./bytes.ts";
import {
  InfoType,
  MAGIC_OPTION_REPLY_HIGH,
  MAGIC_OPTION_REPLY_LOW,
  OPTION_REPLY_HEADER_BYTES,
  OptionReply,
} from "./constants.ts";
import type { NbdBlockSize } from "./export.ts";
import { appendBytes, type NbdOutput } from "./output.ts";
import { encodeUtf8 } from "./utf8.ts";

/** A reply without data, or with a message for people if it is an error. */
export function writeOptionReply(output: NbdOutput, option: number, kind: number, message = ""): void {
  const text = encodeUtf8(message);
  reserveReply(output, option, kind, text.length, 0);
  appendBytes(output, text);
}

/** SERVER: one export of LIST. */
export function writeServer(output: NbdOutput, option: number, name: string, description: string): void {
  const nameBytes = encodeUtf8(name);
  const descriptionBytes = encodeUtf8(description);
  const length = 4 + nameBytes.length + descriptionBytes.length;
  const at = reserveReply(output, option, OptionReply.SERVER, length, 4);
  output.view.setUint32(at, nameBytes.length);
  appendBytes(output, nameBytes);
  appendBytes(output, descriptionBytes);
}

/** INFO of type EXPORT: size and transmission flags. */
export function writeInfoExport(output: NbdOutput, option: number, sizeBytes: number, flags: number): void {
  const at = reserveReply(output, option, OptionReply.INFO, 12, 12);
  output.view.setUint16(at, InfoType.EXPORT);
  writeU64(output.view, at + 2, sizeBytes);
  output.view.setUint16(at + 10, flags);
}

/** INFO of type NAME or DESCRIPTION. */
export function writeInfoText(output: NbdOutput, option: number, type: number, text: string): void {
  const bytes = encodeUtf8(text);
  const at = reserveReply(output, option, OptionReply.INFO, 2 + bytes.length, 2);
  output.view.setUint16(at, type);
  appendBytes(output, bytes);
}

/** INFO of type BLOCK_SIZE. */
export function writeInfoBlockSize(output: NbdOutput, option: number, sizes: NbdBlockSize): void {
  const at = reserveReply(output, option, OptionReply.INFO, 14, 14);
  output.view.setUint16(at, InfoType.BLOCK_SIZE);
  output.view.setUint32(at + 2, sizes.minimum);
  output.view.setUint32(at + 6, sizes.preferred);
  output.view.setUint32(at + 10, sizes.maximum);
}

/** META_CONTEXT: one metadata context. */
export function writeMetaContext(output: NbdOutput, option: number, id: number, name: string): void {
  const bytes = encodeUtf8(name);
  const at = reserveReply(output, option, OptionReply.META_CONTEXT, 4 + bytes.length, 4);
  output.view.setUint32(at, id);
  appendBytes(output, bytes);
}

/** Reserves a reply's header and the first `fixed` bytes of its data; returns where the data starts. */
function reserveReply(
  output: NbdOutput,
  option: number,
  kind: number,
  dataBytes: number,
  fixed: number,
): number {
  const at = output.reserve(OPTION_REPLY_HEADER_BYTES + fixed);
  const view = output.view;
  view.setUint32(at, MAGIC_OPTION_REPLY_HIGH);
  view.setUint32(at + 4, MAGIC_OPTION_REPLY_LOW);
  view.setUint32(at + 8, option);
  view.setUint32(at + 12, kind);
  view.setUint32(at + 16, dataBytes);
  return at + OPTION_REPLY_HEADER_BYTES;
}
