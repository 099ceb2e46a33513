import { COMPOSE_SOURCES_MAX, GROUP_MEMBERS_MAX, OWN_STORE } from "../../proto/peer/index.ts";

/** What a parity server is asked to do in the background. */
export const OperationKind = { IDLE: 0, COMPOSE: 1, REBUILD: 2 } as const;

/**
 * One request to a parity server: what it is to XOR, and what the outcome is for. Used again and again.
 *
 * COMPOSE: the result is the parity page `newPageId` of group `group`, whose members are to be `members`, taken out
 * of the groups `from`. REBUILD: the result is the page `pageId` of `slot`, a member of `from[0]`, put on `target` as
 * `newPageId`.
 */
export class Operation {
  kind = 0;
  /** Index in its pool. */
  readonly index: number;
  newPageId = 0;
  group = -1;
  readonly from = new Int32Array(GROUP_MEMBERS_MAX);
  fromCount = 0;
  readonly memberIds = new Float64Array(GROUP_MEMBERS_MAX);
  readonly memberSlots = new Int32Array(GROUP_MEMBERS_MAX);
  readonly memberChecksums = new Uint32Array(GROUP_MEMBERS_MAX);
  readonly memberHolders = new Uint16Array(GROUP_MEMBERS_MAX);
  memberCount = 0;
  readonly sourceIds = new Float64Array(COMPOSE_SOURCES_MAX);
  /** Index of the holder, or OWN_STORE. */
  readonly sourceHolders = new Uint16Array(COMPOSE_SOURCES_MAX);
  sourceCount = 0;
  pageId = 0;
  slot = 0;
  checksum = 0;
  target = 0;
  /** Index of the parity server's holder. */
  server = 0;
  /** COMPOSE: for the sake of dead members' frames, not of protection. */
  reclaims = false;

  constructor(index: number) {
    this.index = index;
  }

  reset(kind: number): void {
    this.kind = kind;
    this.group = -1;
    this.reclaims = false;
    this.fromCount = 0;
    this.memberCount = 0;
    this.sourceCount = 0;
  }

  /** True if some source is on a memory server. */
  get needsOthers(): boolean {
    for (let i = 0; i < this.sourceCount; i += 1) if (this.sourceHolders[i] !== OWN_STORE) return true;
    return false;
  }

  addSource(pageId: number, holder: number): void {
    this.sourceIds[this.sourceCount] = pageId;
    this.sourceHolders[this.sourceCount] = holder;
    this.sourceCount += 1;
  }
}

/** The operations that may be under way at a time, and one more: what one has led to may need another at once. */
export class OperationPool {
  /** So many may be under way. */
  readonly size: number;
  readonly #all: Operation[] = [];
  readonly #free: Operation[] = [];

  constructor(size: number) {
    this.size = size;
    for (let i = 0; i <= size; i += 1) this.#all.push(new Operation(i));
    for (const operation of this.#all) this.#free.push(operation);
  }

  get underWay(): number {
    return this.#all.length - this.#free.length;
  }

  at(index: number): Operation {
    return this.#all[index]!;
  }

  /** True if one is to put the page on the target. */
  anyRebuilds(newPageId: number, target: number): boolean {
    for (const operation of this.#all) {
      if (operation.kind !== OperationKind.REBUILD) continue;
      if (operation.newPageId === newPageId && operation.target === target) return true;
    }
    return false;
  }

  take(kind: number): Operation | undefined {
    const operation = this.#free.pop();
    operation?.reset(kind);
    return operation;
  }

  give(operation: Operation): void {
    operation.kind = 0;
    this.#free.push(operation);
  }
}
