/**
 * The ready messages of each key, in the order in which they go: by rank, then by offset.
 *
 * A message that comes behind all others of its key, as nearly every one does when it is published, is
 * linked to the end of a line. The others, which came back, were delayed or have a priority, are in a
 * pairing heap: linked in at once, and put in order little by little as the first one is taken out. The
 * next message of a key is the first of its line or the root of its heap. Any message can be taken out,
 * wherever it is.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import { type KeyTable, resized } from "./key_table.ts";
import { NO_SLOT } from "./offset_index.ts";

const CAPACITY_MIN = 16;
/** Empty chains keep their memory up to here. */
const CAPACITY_KEPT = 65_536;

/** Links of messages, by key. */
export class KeyChains {
  readonly #keys: KeyTable;
  #offsets = new Float64Array(0);
  #ranks = new Uint8Array(0);
  /** Whether it is in the heap of its key, and not in the line. */
  #inHeap = new Uint8Array(0);
  #keyOf = new Uint32Array(0);
  /** The next one of the line, or the next child of the same parent; in a free one, the next free one. */
  #next = new Uint32Array(0);
  /** The one before; of a first child, the parent. */
  #previous = new Uint32Array(0);
  /** In a heap, the first child. */
  #child = new Uint32Array(0);
  #free = NO_SLOT;
  #size = 0;

  /**
   * @param keys Where each chain begins and ends.
   */
  constructor(keys: KeyTable) {
    this.#keys = keys;
  }

  /** How many messages there are. */
  get size(): number {
    return this.#size;
  }

  /**
   * Adds a message.
   *
   * @param key Its key.
   * @param offset The message.
   * @param rank Lower ones go first.
   * @returns Its link.
   */
  add(key: number, offset: number, rank: number): number {
    if (this.#free === NO_SLOT) this.#grow();
    const link = this.#free;
    this.#free = this.#next[link]!;
    this.#size++;
    this.#offsets[link] = offset;
    this.#ranks[link] = rank;
    this.#keyOf[link] = key;
    this.#next[link] = this.#previous[link] = this.#child[link] = NO_SLOT;
    const { heads, tails, roots } = this.#keys;
    const tail = tails[key]!;
    const isLast = tail === NO_SLOT || this.#isBefore(tail, link);
    this.#inHeap[link] = isLast ? 0 : 1;
    if (!isLast) {
      roots[key] = this.#meld(roots[key]!, link);
    } else {
      if (tail === NO_SLOT) heads[key] = link;
      else this.#next[tail] = link;
      this.#previous[link] = tail;
      tails[key] = link;
    }
    return link;
  }

  /**
   * Finds the message of a key that goes first.
   *
   * @param key A key with messages.
   * @returns Its offset.
   */
  first(key: number): number {
    const head = this.#keys.heads[key]!;
    const root = this.#keys.roots[key]!;
    const isHead = root === NO_SLOT || (head !== NO_SLOT && this.#isBefore(head, root));
    return this.#offsets[isHead ? head : root]!;
  }

  /**
   * Takes a message out.
   *
   * @param link Its link, free afterwards.
   */
  remove(link: number): void {
    const { heads, tails, roots } = this.#keys;
    const key = this.#keyOf[link]!;
    const next = this.#next[link]!;
    const previous = this.#previous[link]!;
    if (this.#inHeap[link] === 0) {
      if (previous === NO_SLOT) heads[key] = next;
      else this.#next[previous] = next;
      if (next === NO_SLOT) tails[key] = previous;
      else this.#previous[next] = previous;
    } else {
      const children = this.#meldAll(this.#child[link]!);
      if (roots[key] === link) {
        roots[key] = children;
      } else {
        if (this.#child[previous] === link) this.#child[previous] = next;
        else this.#next[previous] = next;
        if (next !== NO_SLOT) this.#previous[next] = previous;
        roots[key] = this.#meld(roots[key]!, children);
      }
    }
    this.#size--;
    if (this.#size === 0 && this.#offsets.length > CAPACITY_KEPT) return this.clear();
    this.#next[link] = this.#free;
    this.#free = link;
  }

  /** Takes all messages out. What keys know of chains is left as it is. */
  clear(): void {
    this.#resize(0);
    this.#free = NO_SLOT;
    this.#size = 0;
  }

  /**
   * Checks the chain of a key.
   *
   * @param key The key.
   * @returns The offsets of its messages, in no order.
   */
  check(key: number): number[] {
    const { heads, tails, roots } = this.#keys;
    const offsets: number[] = [];
    let previous = NO_SLOT;
    for (let link = heads[key]!; link !== NO_SLOT; link = this.#next[link]!) {
      invariant(this.#previous[link] === previous, "A line is linked both ways");
      invariant(this.#inHeap[link] === 0 && this.#keyOf[link] === key, "A line is of its key");
      invariant(previous === NO_SLOT || this.#isBefore(previous, link), "A line is in order");
      offsets.push(this.#offsets[link]!);
      previous = link;
    }
    invariant(tails[key] === previous, "A line ends where it should");
    const heap = roots[key] === NO_SLOT ? [] : [roots[key]!];
    for (const parent of heap) {
      invariant(this.#inHeap[parent] === 1 && this.#keyOf[parent] === key, "A heap is of its key");
      offsets.push(this.#offsets[parent]!);
      let before = parent;
      for (let link = this.#child[parent]!; link !== NO_SLOT; link = this.#next[link]!) {
        invariant(this.#previous[link] === before, "Children are linked both ways");
        invariant(this.#isBefore(parent, link), "A parent goes before its children");
        heap.push(link);
        before = link;
      }
    }
    return offsets;
  }

  #isBefore(one: number, other: number): boolean {
    const [rank, otherRank] = [this.#ranks[one]!, this.#ranks[other]!];
    return rank < otherRank || (rank === otherRank && this.#offsets[one]! < this.#offsets[other]!);
  }

  /** Makes one heap of two, of which either may be empty; their roots have nothing beside them. */
  #meld(one: number, other: number): number {
    if (one === NO_SLOT) return other;
    if (other === NO_SLOT) return one;
    const [parent, link] = this.#isBefore(one, other) ? [one, other] : [other, one];
    const sibling = this.#child[parent]!;
    this.#next[link] = sibling;
    this.#previous[link] = parent;
    if (sibling !== NO_SLOT) this.#previous[sibling] = link;
    this.#child[parent] = link;
    return parent;
  }

  /** Makes one heap of those that are beside each other: in pairs, then the pairs from the last one. */
  #meldAll(first: number): number {
    let pairs = NO_SLOT;
    for (let one = first; one !== NO_SLOT;) {
      const other = this.#next[one]!;
      const after = other === NO_SLOT ? NO_SLOT : this.#next[other]!;
      this.#separate(one);
      if (other !== NO_SLOT) this.#separate(other);
      const pair = this.#meld(one, other);
      this.#next[pair] = pairs;
      pairs = pair;
      one = after;
    }
    let root = NO_SLOT;
    while (pairs !== NO_SLOT) {
      const pair = pairs;
      pairs = this.#next[pair]!;
      this.#separate(pair);
      root = this.#meld(root, pair);
    }
    return root;
  }

  #separate(link: number): void {
    this.#next[link] = this.#previous[link] = NO_SLOT;
  }

  #grow(): void {
    const from = this.#offsets.length;
    const capacity = Math.max(CAPACITY_MIN, from * 2);
    this.#resize(capacity);
    for (let link = capacity - 1; link >= from; link--) {
      this.#next[link] = this.#free;
      this.#free = link;
    }
  }

  #resize(capacity: number): void {
    this.#offsets = resized(this.#offsets, new Float64Array(capacity));
    this.#ranks = resized(this.#ranks, new Uint8Array(capacity));
    this.#inHeap = resized(this.#inHeap, new Uint8Array(capacity));
    this.#keyOf = resized(this.#keyOf, new Uint32Array(capacity));
    this.#next = resized(this.#next, new Uint32Array(capacity));
    this.#previous = resized(this.#previous, new Uint32Array(capacity));
    this.#child = resized(this.#child, new Uint32Array(capacity));
  }
}
