/** Heads of chains are allocated so many at a time, as a power of two. */
const CHUNK_BITS = 12;
const CHUNK = 1 << CHUNK_BITS;

/**
 * Finds members by the ids of their pages, of which a client has no two alike: a hash table with a chain a bucket. It
 * grows bucket by bucket (linear hashing), and so never stops to arrange itself anew.
 *
 *     buckets:  0 … split-1 | split … size-1 | size … size+split-1      by 2*size | by size | by 2*size
 *
 * Ids that were given one after the other share cache lines. Bytes: 4 a member, and 4 for each that was ever in it at
 * a time.
 */
export class PageIndex {
  readonly #members: Readonly<{ pageId: Float64Array }>;
  /** First member of each chain and the one after each member, plus 1; 0 for none. */
  readonly #heads: Int32Array[] = [new Int32Array(CHUNK)];
  #next = new Int32Array(0);
  #size = CHUNK;
  #split = 0;
  #count = 0;

  constructor(members: Readonly<{ pageId: Float64Array }>) {
    this.#members = members;
  }

  /** The memory that there is for each member, in their order. */
  get memory(): Int32Array {
    return this.#next;
  }

  /** There may be so many members from now on; none before. */
  grow(capacity: number): void {
    const larger = new Int32Array(capacity);
    larger.set(this.#next);
    this.#next = larger;
  }

  /** The member with this page, or -1. */
  find(pageId: number): number {
    const { pageId: ids } = this.#members;
    let one = this.#head(this.#bucketOf(pageId));
    while (one !== 0 && ids[one - 1] !== pageId) one = this.#next[one - 1]!;
    return one - 1;
  }

  add(member: number): void {
    this.#count += 1;
    if (this.#count > this.#size + this.#split) this.#splitOne();
    this.#push(this.#bucketOf(this.#members.pageId[member]!), member);
  }

  remove(member: number): void {
    this.#count -= 1;
    this.#relink(member, this.#next[member]!);
  }

  /** The member's page is that of another one from now on. */
  move(from: number, to: number): void {
    this.#next[to] = this.#next[from]!;
    this.#relink(from, to + 1);
  }

  /** Whatever pointed to the member points to another one (plus 1). */
  #relink(member: number, to: number): void {
    const bucket = this.#bucketOf(this.#members.pageId[member]!);
    let before = this.#head(bucket);
    if (before === member + 1) {
      this.#setHead(bucket, to);
      return;
    }
    while (this.#next[before - 1] !== member + 1) before = this.#next[before - 1]!;
    this.#next[before - 1] = to;
  }

  #push(bucket: number, member: number): void {
    this.#next[member] = this.#head(bucket);
    this.#setHead(bucket, member + 1);
  }

  /** One bucket more, for half of what is in another one. */
  #splitOne(): void {
    const bucket = this.#split;
    const added = this.#size + bucket;
    if (added >>> CHUNK_BITS === this.#heads.length) this.#heads.push(new Int32Array(CHUNK));
    this.#split += 1;
    let one = this.#head(bucket);
    this.#setHead(bucket, 0);
    while (one !== 0) {
      const next = this.#next[one - 1]!;
      this.#push(this.#bucketOf(this.#members.pageId[one - 1]!), one - 1);
      one = next;
    }
    if (this.#split === this.#size) {
      this.#size *= 2;
      this.#split = 0;
    }
  }

  #bucketOf(pageId: number): number {
    const hash = hashOf(pageId);
    const bucket = hash & (this.#size - 1);
    return bucket < this.#split ? hash & ((this.#size << 1) - 1) : bucket;
  }

  #head(bucket: number): number {
    return this.#heads[bucket >>> CHUNK_BITS]![bucket & (CHUNK - 1)]!;
  }

  #setHead(bucket: number, to: number): void {
    this.#heads[bucket >>> CHUNK_BITS]![bucket & (CHUNK - 1)] = to;
  }
}

/** 16 ids in a row get 16 hashes in a row, in some order: ids at regular distances are scattered all the same. */
function hashOf(pageId: number): number {
  const low = pageId | 0;
  let row = Math.imul(low >>> 4, 0x9e37_79b1) ^ Math.imul((pageId * 2 ** -32) | 0, 0x85eb_ca6b);
  row ^= row >>> 15;
  return (row << 4) | ((low ^ (row >>> 28)) & 15);
}
