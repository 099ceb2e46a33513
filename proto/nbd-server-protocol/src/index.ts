export { BlockOutput } from "./block-output.ts";
export {
  BASE_ALLOCATION,
  CommandFlag,
  NbdAllocation,
  NbdCommand,
  NbdErrno,
  NbdOption,
  OptionReply,
  TransmissionFlag,
} from "./constants.ts";
export { NbdSessionError, type NbdSessionErrorCode, NbdUsageError } from "./errors.ts";
export type { NbdEvent } from "./events.ts";
export {
  checkExport,
  NBD_BLOCK_SIZE,
  type NbdBlockSize,
  type NbdExport,
  type NbdExports,
  NbdExportTable,
} from "./export.ts";
export { type NbdExtent, NbdExtents } from "./extents.ts";
export type { NbdHandler } from "./handler.ts";
export type { NbdTlsMode } from "./host.ts";
export { NBD_LIMITS, type NbdLimits } from "./limits.ts";
export { NBD_RESERVE_MAX, type NbdOutput } from "./output.ts";
export { NbdRequest } from "./request.ts";
export { NbdServerSession, type NbdSessionOptions, type NbdSessionState } from "./session.ts";
