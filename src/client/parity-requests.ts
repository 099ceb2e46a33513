import {
  beginCompose,
  beginGroups,
  beginRecover,
  beginServers,
  composeSourcesAt,
  type FrameSink,
  FrameType,
  GROUP_BYTES,
  type GroupMember,
  type LostPage,
  OWN_STORE,
  putGroup,
  putLostPage,
  putMember,
  putServer,
  putSource,
  recoverSourcesAt,
  type Source,
} from "../../proto/peer/index.ts";
import type { GroupTable } from "../redundancy/group-table.ts";
import { type Operation, OperationKind } from "../redundancy/operation.ts";

const member: GroupMember = { pageId: 0, checksum: 0, server: 0 };
const source: Source = { pageId: 0, server: 0 };
const lost: LostPage = { pageId: 0, slot: 0, checksum: 0, newPageId: 0, target: 0 };

/** What a link to a parity server is asked to say; identities of memory servers are announced before their index. */
export class ParityRequests {
  readonly #out: FrameSink;
  readonly #groups: GroupTable;
  readonly #identityOf: (holder: number) => Uint8Array;
  readonly #announced: (Uint8Array | undefined)[] = [];

  constructor(out: FrameSink, groups: GroupTable, identityOf: (holder: number) => Uint8Array) {
    this.#out = out;
    this.#groups = groups;
    this.#identityOf = identityOf;
  }

  #announce(holder: number): void {
    if (holder === OWN_STORE) return;
    const identity = this.#identityOf(holder);
    if (this.#announced[holder] === identity) return;
    this.#announced[holder] = identity;
    putServer(this.#out, beginServers(this.#out, 1), holder, identity);
  }

  /** GROUPS for groups whose parity page was put before, or was described before. */
  describe(groups: readonly number[]): void {
    const table = this.#groups;
    for (const group of groups) {
      for (let m = table.first(group); m < table.last(group); m += 1) this.#announce(table.holder[m]!);
    }
    let at = beginGroups(this.#out, groups.length);
    for (const group of groups) {
      putGroup(this.#out.view, at, table.parityId[group]!, table.count[group]!, 0, group);
      for (let m = table.first(group), k = 0; m < table.last(group); m += 1, k += 1) {
        member.pageId = table.pageId[m]!;
        member.checksum = table.checksum[m]!;
        member.server = table.holder[m]!;
        putMember(this.#out.view, at, k, member);
      }
      at += GROUP_BYTES;
    }
  }

  /** COMPOSE or REBUILD. */
  operate(operation: Operation, seq: number): void {
    this.#announceAll(operation);
    if (operation.kind === OperationKind.COMPOSE) return this.#compose(operation, seq);
    this.#announce(operation.target);
    this.#recover(FrameType.REBUILD, operation, seq);
  }

  /** RECOVER, answered by PAGES. */
  recover(operation: Operation, seq: number): void {
    this.#announceAll(operation);
    this.#recover(FrameType.RECOVER, operation, seq);
  }

  #announceAll(operation: Operation): void {
    for (let i = 0; i < operation.sourceCount; i += 1) this.#announce(operation.sourceHolders[i]!);
    for (let i = 0; i < operation.memberCount; i += 1) this.#announce(operation.memberHolders[i]!);
  }

  #compose(operation: Operation, seq: number): void {
    const at = beginCompose(this.#out, 1, seq);
    const { view } = this.#out;
    putGroup(view, at, operation.newPageId, operation.memberCount, operation.sourceCount, operation.group);
    for (let i = 0; i < operation.memberCount; i += 1) {
      member.pageId = operation.memberIds[i]!;
      member.checksum = operation.memberChecksums[i]!;
      member.server = operation.memberHolders[i]!;
      putMember(view, at, i, member);
    }
    this.#sources(operation, composeSourcesAt(at));
  }

  #recover(
    type: typeof FrameType.REBUILD | typeof FrameType.RECOVER,
    operation: Operation,
    seq: number,
  ): void {
    const at = beginRecover(this.#out, type, 1, seq);
    lost.pageId = operation.pageId;
    lost.slot = operation.slot;
    lost.checksum = operation.checksum;
    lost.newPageId = type === FrameType.REBUILD ? operation.newPageId : 0;
    lost.target = type === FrameType.REBUILD ? operation.target : 0;
    putLostPage(this.#out.view, at, lost, operation.sourceCount);
    this.#sources(operation, recoverSourcesAt(at));
  }

  #sources(operation: Operation, at: number): void {
    for (let i = 0; i < operation.sourceCount; i += 1) {
      source.pageId = operation.sourceIds[i]!;
      source.server = operation.sourceHolders[i]!;
      putSource(this.#out.view, at, i, source);
    }
  }
}
