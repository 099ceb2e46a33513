import { PAGE_BYTES } from "../base/page.ts";
import { GroupState, NONE } from "../redundancy/group-table.ts";
import { Place } from "../slots/slot-map.ts";
import { type GroupView, isAccumulated, unprotectedPages, visitGroups } from "./group-view.ts";
import type { SimClient } from "./sim-client.ts";
import type { PageHolder, SimNode } from "./sim-node.ts";
import type { HeldPage, SimNodes } from "./sim-nodes.ts";
import type { SimOptions } from "./sim-options.ts";
import type { SimUser } from "./sim-user.ts";
import type { Trace } from "./trace.ts";
import { Violation } from "./violation.ts";

/** A page that a server held until it died or that vanished from it, and that its client has not yet heard of. */
interface LatePage {
  readonly user: SimUser;
  readonly pageId: number;
  readonly slot: number;
  readonly page: Uint8Array;
  readonly sinceMs: number;
}

/** Pages that one server alone had when it died, of which their client has the XOR of their groups itself. */
interface KeptPages {
  readonly user: SimUser;
  readonly slots: Map<number, number>;
  /** So many pages it said to be unprotected: of these it may give the XOR up in favour of others. */
  left: number;
}

/** No acknowledgement comes later than so long after its sender died. */
const LATE_MS = 60_000;
/** Most come at once. */
const SOON_MS = 500;

/**
 * Which pages may be lost, by looking at what servers really hold: when servers die, a page that was on one of them
 * may be lost if its group misses another part. If one server died alone, when all was protected since the last
 * death, then only pages may that their client has said to be unprotected. Pages that vanish from a server are, to
 * their client, a death of that server.
 */
export class Losses {
  readonly #options: SimOptions;
  readonly #nodes: SimNodes;
  readonly #users: readonly SimUser[];
  readonly #trace: Trace;
  /** Pages that may be lost already, by client. */
  readonly #lost = new Map<SimClient, Set<number>>();
  #late: LatePage[] = [];
  #kept: KeptPages[] = [];
  #clear = true;
  /** The last death was of one server, when all was protected. */
  #strict = true;

  constructor(options: SimOptions, nodes: SimNodes, users: readonly SimUser[], trace: Trace) {
    this.#options = options;
    this.#nodes = nodes;
    this.#users = users;
    this.#trace = trace;
  }

  /** True if a server may die now. */
  get allowed(): boolean {
    if (this.#options.redundancy === "none" || this.#options.losses === "any") return true;
    return this.look();
  }

  /** True if there was a moment since the last death at which every client had all its pages protected again. */
  look(): boolean {
    this.#clear ||= this.allProtected;
    return this.#clear;
  }

  /** Every client has all its pages protected now. */
  get allProtected(): boolean {
    return this.#users.every(({ client }) => unprotectedPages(client) === 0 && this.#isWhole(client));
  }

  /** Nothing that the client still needs lies on a dead server, whether or not the client knows. */
  #isWhole(client: SimClient): boolean {
    let whole = true;
    const lost = this.#lostOf(client);
    visitGroups(client, (group) => {
      if (!group.members.some((each) => each.live && !lost.has(each.pageId))) return;
      whole &&= this.#missingParts(client, group, undefined) === 0;
    });
    return whole && this.#deadSlots(client).every((slot) => lost.has(client.core.slots.pageId(slot)));
  }

  /** True while acknowledgements of the dead are likely to come, or XORs of their pages may be given up. */
  awaitsMore(nowMs: number): boolean {
    if (this.#kept.length > 0) return true;
    return this.#late.some(({ sinceMs }) => nowMs - sinceMs < SOON_MS);
  }

  /**
   * Acknowledgements that the dead sent come in: such a page may be lost if it found no group. If it has one, the
   * client has its XOR; but a client that was away while two servers died may hear from both, and put both in one.
   */
  lookForLate(nowMs: number): void {
    this.#late = this.#late.filter(({ user, pageId, slot, page, sinceMs }) => {
      if (nowMs - sinceMs > LATE_MS) return false;
      const { slots, redundancy } = user.client.core;
      const place = slots.place(slot);
      if (place === Place.LOST) {
        // A read has found that out already, in the turn of the acknowledgement or soon after.
        user.model.lose(slot, page);
        return false;
      }
      if (place < Place.FIRST_HOLDER || slots.pageId(slot) !== pageId) return true;
      const groups = redundancy.groups!;
      if (groups.state[groups.groupOf(groups.liveOf(slot))] !== GroupState.BARE) {
        if (this.#missesMore(user.client, pageId)) this.#loseUncovered(user, false, nowMs);
        return false;
      }
      this.#trace.event(`${user.client.host}: page ${pageId} of slot ${slot} was held by the dead only`);
      this.#lostOf(user.client).add(pageId);
      user.model.lose(slot, page);
      return false;
    });
  }

  /** The page's group misses something else as well. */
  #missesMore(client: SimClient, pageId: number): boolean {
    let misses = false;
    visitGroups(client, (group) => {
      const isIn = group.members.some((each) => each.pageId === pageId);
      if (isIn) misses = this.#missingParts(client, group, pageId) > 0;
    });
    return misses;
  }

  #expectLate(user: SimUser, nodes: readonly SimNode[], sinceMs: number): void {
    const { slots, redundancy } = user.client.core;
    for (const { role, core } of nodes) {
      if (role === "parity") continue;
      core.visitPages((identity, pageId, slot, frame) => {
        if (identity !== user.client.identity || slot >= slots.slots) return;
        if (redundancy.groups!.find(slot, pageId) !== NONE) return;
        this.#late.push({ user, pageId, slot, page: pageIn(core, frame), sinceMs });
      });
    }
  }

  /** The server stands, but has these pages of a client no more. */
  vanished(node: SimNode, client: SimClient, pages: readonly HeldPage[], nowMs: number): void {
    const user = this.#users.find((each) => each.client === client)!;
    this.#nodes.vanish(node.identity, client.identity, pages);
    if (this.#options.redundancy === "none") {
      for (const { slot, page } of pages) user.model.lose(slot, page);
      return;
    }
    this.#strict = this.look();
    this.#clear = false;
    if (this.#strict) this.#kept = [];
    for (const kept of this.#kept) kept.left = Number.POSITIVE_INFINITY;
    this.#keep(user, this.#loseUncovered(user, this.#strict, nowMs));
    if (node.role === "parity") return;
    const { slots, redundancy } = client.core;
    for (const { pageId, slot, page } of pages) {
      if (slot >= slots.slots || redundancy.groups!.find(slot, pageId) !== NONE) continue;
      this.#late.push({ user, pageId, slot, page, sinceMs: nowMs });
    }
  }

  /**
   * Until a client hears of it, it may merge groups that lost a page each, which then have lost two. (One server that
   * dies alone takes one page of a merged group, too.)
   */
  lookForMerged(nowMs: number): void {
    if (this.#clear || this.#strict) return;
    for (const user of this.#users) this.#loseUncovered(user, false, nowMs);
  }

  /** Servers have just died at the same time (they are buried). */
  died(nodes: readonly SimNode[], nowMs: number): void {
    this.#strict = this.#options.redundancy !== "none" && nodes.length === 1 && this.look();
    this.#clear = false;
    if (this.#strict) this.#kept = [];
    for (const kept of this.#kept) kept.left = Number.POSITIVE_INFINITY;
    for (const user of this.#users) {
      if (this.#options.redundancy === "none") loseAll(user, nodes);
      else {
        this.#keep(user, this.#loseUncovered(user, this.#strict, nowMs));
        this.#expectLate(user, nodes, nowMs);
      }
    }
  }

  /** A client that does not know yet that a server died gives up what it has of that server's pages. */
  lookForGivenUp(nowMs: number): void {
    for (const kept of this.#kept) {
      const { client } = kept.user;
      const { slots, redundancy } = client.core;
      const groups = redundancy.groups!;
      for (const [slot, pageId] of kept.slots) {
        const isMeant = slots.place(slot) >= Place.FIRST_HOLDER && slots.pageId(slot) === pageId;
        const state = isMeant ? groups.state[groups.groupOf(groups.liveOf(slot))] : GroupState.FREE;
        if (state === GroupState.OPEN || state === GroupState.CLOSING || state === GroupState.PROTECTED)
          continue;
        kept.slots.delete(slot);
        if (state === GroupState.BARE) this.#giveUp(kept, slot, nowMs);
      }
    }
    this.#kept = this.#kept.filter((kept) => kept.slots.size > 0);
  }

  #giveUp(kept: KeptPages, slot: number, nowMs: number): void {
    const { host } = kept.user.client;
    if (kept.left <= 0)
      throw new Violation(nowMs, `${host}: slot ${slot} was protected when its server died, and is given up`);
    kept.left -= 1;
    this.#trace.event(
      `${host}: the page of slot ${slot} was unprotected when its server died, and is given up`,
    );
    this.#lose(kept.user, slot);
  }

  #loseUncovered(user: SimUser, strict: boolean, nowMs: number): number {
    const { client } = user;
    const { slots } = client.core;
    const lost = this.#lostOf(client);
    const groups = new Map<number, GroupView>();
    visitGroups(client, (group) => {
      for (const { pageId } of group.members) groups.set(pageId, group);
    });
    const uncovered = this.#deadSlots(client).filter((slot) => {
      const pageId = slots.pageId(slot);
      const group = groups.get(pageId);
      return !lost.has(pageId) && (group === undefined || this.#missingParts(client, group, pageId) > 0);
    });
    if (strict && uncovered.length > unprotectedPages(client)) {
      const what = `${unprotectedPages(client)} pages are said to be unprotected, but ${uncovered.length}`;
      throw new Violation(nowMs, `${client.host}: ${what} are lost with one server: slots ${uncovered}`);
    }
    if (uncovered.length > 0) {
      this.#trace.event(
        `${client.host}: pages may be lost, ${unprotectedPages(client)} unprotected: slots ${uncovered}`,
      );
    }
    for (const slot of uncovered) this.#lose(user, slot);
    return uncovered.length;
  }

  /**
   * A death has cost the client so many pages; others are with it alone, or in groups that it has said may have their
   * parity given up. After two deaths any of them may go.
   */
  #keep(user: SimUser, uncovered: number): void {
    const { slots, redundancy } = user.client.core;
    const groups = redundancy.groups!;
    const left = this.#strict ? unprotectedPages(user.client) - uncovered : Number.POSITIVE_INFINITY;
    const kept = { user, slots: new Map<number, number>(), left };
    const isExposed = unprotectedPages(user.client) >= groups.liveMembers;
    for (const slot of this.#deadSlots(user.client)) {
      const group = groups.groupOf(groups.liveOf(slot));
      const state = groups.state[group];
      const isWithClient = state === GroupState.OPEN || state === GroupState.CLOSING;
      const isKept = isWithClient || isExposed || groups.degraded[group] === 1;
      if (isKept && !this.#lostOf(user.client).has(slots.pageId(slot)))
        kept.slots.set(slot, slots.pageId(slot));
    }
    this.#kept.push(kept);
  }

  /** The page that the slot means may be lost. */
  #lose({ client, model }: SimUser, slot: number): void {
    const { slots, table } = client.core;
    const pageId = slots.pageId(slot);
    const { identity } = table.at(slots.place(slot) - Place.FIRST_HOLDER);
    this.#lostOf(client).add(pageId);
    const page = this.#nodes.pageOf(identity, client.identity, pageId);
    if (page !== undefined) model.lose(slot, page);
  }

  /** Parts of the group, `except` this page, that no living server has and the client has not either. */
  #missingParts(client: SimClient, group: GroupView, except: number | undefined): number {
    const has = (holder: string | undefined, pageId: number): boolean =>
      this.#nodes.holds(holder, client.identity, pageId);
    let missing = this.#hasXor(client, group) ? 0 : 1;
    for (const { pageId, holder } of group.members) {
      if (pageId !== except && !has(holder, pageId)) missing += 1;
    }
    return missing;
  }

  /**
   * The XOR of the group's pages is at a living server, or with the client. It gives its own away when it hears that a
   * server has it: one that died with that on its way does not count.
   */
  #hasXor(client: SimClient, group: GroupView): boolean {
    if (!isAccumulated(group)) return this.#nodes.holds(group.holder, client.identity, group.id);
    if (group.sentTo === undefined || this.#nodes.holds(group.sentTo, client.identity, group.id)) return true;
    return this.#nodes.pageOf(group.sentTo, client.identity, group.id) === undefined;
  }

  /** Slots whose page is on a dead server, or has vanished. */
  #deadSlots(client: SimClient): number[] {
    const { slots, table } = client.core;
    const found: number[] = [];
    for (let slot = 0; slot < slots.slots; slot += 1) {
      const place = slots.place(slot);
      if (place < Place.FIRST_HOLDER) continue;
      const { identity } = table.at(place - Place.FIRST_HOLDER);
      const isGone = this.#nodes.hasVanished(identity, client.identity, slots.pageId(slot));
      if (isGone || !this.#nodes.lives(identity)) found.push(slot);
    }
    return found;
  }

  #lostOf(client: SimClient): Set<number> {
    let lost = this.#lost.get(client);
    if (lost === undefined) {
      lost = new Set();
      this.#lost.set(client, lost);
    }
    return lost;
  }
}

function pageIn(core: PageHolder, frame: number): Uint8Array {
  const copy = new Uint8Array(PAGE_BYTES);
  core.readFrame(frame, copy, 0);
  return copy;
}

/** Without redundancy all that a server held may be lost. */
function loseAll({ client, model }: SimUser, nodes: readonly SimNode[]): void {
  for (const { core } of nodes) {
    core.visitPages((identity, _pageId, slot, frame) => {
      if (identity !== client.identity) return;
      model.lose(slot, pageIn(core, frame));
    });
  }
}
