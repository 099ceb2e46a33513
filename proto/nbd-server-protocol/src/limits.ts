import { NbdUsageError } from "./errors.ts";

/** Every bound on what one client can make a session hold, read or answer. */
export interface NbdLimits {
  /** Data of one option that is kept and parsed; longer ones are read, dropped and answered ERR_TOO_BIG. Bytes. */
  optionBytesMax: number;
  /** Data of one option that is read at all; a longer one ends the session. Bytes. */
  optionDrainBytesMax: number;
  /** Options in one negotiation; one more ends the session. Clients that list ask two or three times per export. */
  optionsMax: number;
  /** An export's name or a context query. The protocol's own bound. Bytes of UTF-8. */
  nameBytesMax: number;
  /** Queries in one LIST_META_CONTEXT or SET_META_CONTEXT; more are answered ERR_TOO_BIG. */
  metaQueriesMax: number;
  /** Requests taken and not answered; at this count the session stalls. */
  requestsInFlightMax: number;
  /**
   * Payload of a refused WRITE that is read and dropped. Twice the protocol's default maximum: a client that
   * misjudges the limit is told so and goes on; one that announces gigabytes would only keep the link busy,
   * and its session ends. Bytes.
   */
  writeDrainBytesMax: number;
  /** Extents in one BLOCK_STATUS reply; the protocol allows a reply to stop early. */
  extentsMax: number;
}

/** The bounds of a session that is given none. */
export const NBD_LIMITS: Readonly<NbdLimits> = Object.freeze({
  optionBytesMax: 64 * 1024,
  optionDrainBytesMax: 1024 * 1024,
  optionsMax: 1024,
  nameBytesMax: 4096,
  metaQueriesMax: 64,
  requestsInFlightMax: 1024,
  writeDrainBytesMax: 64 * 1024 * 1024,
  extentsMax: 1024,
});

/** The highest value each limit may be given: what the protocol or this code can carry. */
const CEILING: Readonly<NbdLimits> = {
  optionBytesMax: 16 * 1024 * 1024,
  optionDrainBytesMax: 0xffffffff,
  optionsMax: 1_000_000,
  nameBytesMax: 4096,
  metaQueriesMax: 65_536,
  requestsInFlightMax: 1_000_000,
  writeDrainBytesMax: 0xffffffff,
  extentsMax: 1_000_000,
};

/**
 * The defaults with `given` laid over them.
 * @throws NbdUsageError for an unknown name, or a value that is not an integer from 1 to its ceiling.
 */
export function resolveLimits(given: Partial<NbdLimits> = {}): NbdLimits {
  const limits: NbdLimits = { ...NBD_LIMITS };
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(NBD_LIMITS, name)) throw new NbdUsageError(`unknown limit ${name}`);
    const ceiling = CEILING[name as keyof NbdLimits];
    if (!Number.isInteger(value) || value < 1 || value > ceiling) {
      throw new NbdUsageError(`limit ${name} is ${value}; an integer from 1 to ${ceiling} is accepted`);
    }
    limits[name as keyof NbdLimits] = value;
  }
  if (limits.optionDrainBytesMax < limits.optionBytesMax) {
    throw new NbdUsageError("limit optionDrainBytesMax must be at least optionBytesMax");
  }
  return limits;
}
