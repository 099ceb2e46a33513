/** What can go wrong between two control ports; the text of a refusal begins with the code. */
export type ControlErrorCode =
  | "UNREACHABLE"
  | "KEY_REQUIRED"
  | "KEY_NOT_EXPECTED"
  | "KEY_WRONG"
  | "VERSION"
  | "PROTOCOL"
  | "BUSY"
  | "TIMEOUT"
  | "CLOSED";

/** A named failure of a control connection. `retry`: whether trying again later may help without anybody's doing. */
export class ControlError extends Error {
  override readonly name = "ControlError";
  readonly retry: boolean;

  constructor(
    readonly code: ControlErrorCode,
    text: string,
    cause?: unknown,
  ) {
    super(text, cause === undefined ? undefined : { cause });
    this.retry = code === "UNREACHABLE" || code === "BUSY" || code === "TIMEOUT" || code === "CLOSED";
  }
}

/** WebSocket close codes of refusals (4000 to 4999 are free for applications). */
const closeCodes: Readonly<Partial<Record<ControlErrorCode, number>>> = {
  PROTOCOL: 4400,
  KEY_REQUIRED: 4401,
  KEY_NOT_EXPECTED: 4402,
  KEY_WRONG: 4403,
  TIMEOUT: 4408,
  VERSION: 4426,
  BUSY: 4429,
};

export function closeCodeOf(code: ControlErrorCode): number {
  return closeCodes[code] ?? 4400;
}

/** The error that a peer's close code stands for, with its reason made safe to show. */
export function errorFromClose(closeCode: number, reason: string): ControlError {
  const shown = reason.replace(/[^\x20-\x7e]/g, "?");
  for (const [code, known] of Object.entries(closeCodes)) {
    if (known === closeCode) return new ControlError(code as ControlErrorCode, shown || `refused: ${code}`);
  }
  return new ControlError("CLOSED", `the connection ended (${closeCode}${shown ? `: ${shown}` : ""})`);
}
