import { readFileSync } from "node:fs";
import type { Capacity, GroupMember, LostPage, Mismatch, Result, Source } from "../../../proto/peer/index.ts";

/** Bytes as the vectors write them: hex, or `hex*count` for a repeated one. */
export type Piece = string;

export interface Meta {
  pageId: number;
  slot: number;
  checksum: number;
  status: number;
}

export interface GroupFields {
  groupId: number;
  handle: number;
  members: GroupMember[];
}

export interface ComposeFields extends GroupFields {
  sources: Source[];
}

/** Where the type reserves a field it is null in what was received with another value than 0. */
export interface LostFields extends Omit<LostPage, "newPageId" | "target"> {
  newPageId: number | null;
  target: number | null;
  sources: Source[];
}

/** A HELLO with its bytes in hex. */
export interface HelloFields {
  role: 1 | 2 | 3;
  keyed: boolean;
  pagesPerFrame: number;
  epoch: number;
  name: string;
  identity: string;
  nonce: string;
}

/** A frame's header and the fields of its body; which there are depends on the type. */
export interface FrameFields {
  type: string;
  count: number;
  bodyBytes: number;
  seq: number;
  aux: number;
  hello?: HelloFields;
  proof?: string;
  capacity?: Capacity;
  text?: string;
  metas?: Meta[];
  pages?: Piece[];
  entries?: { seq: number; accepted: number; status: number }[];
  pageIds?: number[];
  groups?: GroupFields[];
  servers?: { index: number; identity: string }[];
  composes?: ComposeFields[];
  lost?: LostFields[];
  results?: Result[];
  mismatches?: Mismatch[];
}

export interface FrameVector {
  name: string;
  bytes: Piece[];
  frame: FrameFields;
  /** True if its reserved bytes are not 0: it is to be understood, and never sent. */
  receivedOnly?: boolean;
}

export interface BadFrame {
  name: string;
  bytes: Piece[];
  error: string;
  message: string;
}

export interface BadHello {
  name: string;
  body: string;
  error: string;
  message: string;
}

export interface ProofVector {
  name: string;
  key: string;
  connectorHello: string;
  acceptorHello: string;
  connectorProof: string;
  acceptorProof: string;
}

export const vectorsFolder = new URL("../../../proto/peer/vectors/", import.meta.url);

function load<T>(name: string): T[] {
  return JSON.parse(readFileSync(new URL(`${name}.json`, vectorsFolder), "utf8")) as T[];
}

export const frameVectors = load<FrameVector>("frames");
export const badFrames = load<BadFrame>("bad-frames");
export const badHellos = load<BadHello>("bad-hellos");
export const proofVectors = load<ProofVector>("proofs");

export function unpack(pieces: Piece[]): Buffer {
  return Buffer.concat(
    pieces.map((piece) => {
      const [digits, count] = piece.split("*");
      const unit = Buffer.from(digits!, "hex");
      return Buffer.concat(Array.from({ length: Number(count ?? 1) }, () => unit));
    }),
  );
}
