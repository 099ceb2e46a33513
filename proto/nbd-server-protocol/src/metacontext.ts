import { BASE_ALLOCATION, NbdOption, OptionReply } from "./constants.ts";
import type { NbdLimits } from "./limits.ts";
import { OptionError, OptionReader } from "./option-reader.ts";

/** Data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export interface MetaQueries {
  exportName: string;
  /** Each with its namespace: "base:allocation". */
  queries: string[];
}

/** @throws OptionError */
export function parseMetaQueries(data: Uint8Array, limits: NbdLimits): MetaQueries {
  const reader = new OptionReader(data);
  const exportName = reader.text("the export's name", limits.nameBytesMax);
  const count = reader.u32("the number of queries");
  if (count > limits.metaQueriesMax) {
    const message = `${count} queries; at most ${limits.metaQueriesMax} are accepted`;
    throw new OptionError(OptionReply.ERR_TOO_BIG, message);
  }
  const queries: string[] = [];
  for (let index = 0; index < count; index++) {
    const query = reader.text("a query", limits.nameBytesMax);
    if (query.indexOf(":") < 1) {
      throw new OptionError(OptionReply.ERR_INVALID, "a query must begin with a namespace and a colon");
    }
    queries.push(query);
  }
  reader.end();
  return { exportName, queries };
}

/**
 * Whether the queries ask for base:allocation. To list, no query at all means every context, and "base:" all
 * of that namespace; to select, the context must be named.
 */
export function matchesAllocation(option: number, queries: readonly string[]): boolean {
  if (queries.includes(BASE_ALLOCATION)) return true;
  return option === NbdOption.LIST_META_CONTEXT && (queries.length === 0 || queries.includes("base:"));
}
