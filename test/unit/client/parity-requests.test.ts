import { expect, it } from "vitest";
import { HeapBlockPool } from "../../../src/base/blocks.ts";
import { OutQueue } from "../../../src/base/out-queue.ts";
import { ParityRequests } from "../../../src/client/parity-requests.ts";
import { GroupTable } from "../../../src/redundancy/group-table.ts";
import { Operation, OperationKind } from "../../../src/redundancy/operation.ts";

it("RECOVER has no target: whatever server that was at an earlier use is not named", () => {
  const out = new OutQueue(new HeapBlockPool(1, 65_536), () => {});
  const identityOf = (holder: number): Uint8Array => {
    if (holder !== 5) throw new Error(`there is no holder ${holder}`);
    return new Uint8Array(16);
  };
  const requests = new ParityRequests(out, new GroupTable(8, 4), identityOf);
  const operation = new Operation(0);
  operation.reset(OperationKind.REBUILD);
  operation.addSource(77, 5);
  expect(() => requests.recover(operation, 0)).not.toThrow();
  expect(() => requests.operate(operation, 1)).toThrow("there is no holder 0");
});
