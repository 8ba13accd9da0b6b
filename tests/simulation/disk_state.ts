/**
 * What is on a simulated disk, and what a power cut does to it.
 *
 * Files and directories hold what can be read, and beside it the changes that are not yet durable. A
 * file's change remembers what was there before: a crash takes all of them back, the newest first,
 * and then makes some of them again, the oldest first. Which ones is up to chance.
 *
 * @module
 */

/** The smallest part of a write that is there or not, but for a sector torn in two. */
const sectorBytes = 512;

/** What a new file has memory for. */
const fileBytesFirst = 1024;

/** How often what happened. */
export interface DiskCounts {
  writes: number;
  shortWrites: number;
  bytesWritten: number;
  syncs: number;
  failedSyncs: number;
  fullErrors: number;
  crashes: number;
  /** Unsynced writes and truncations that a crash kept in full, in part, or lost. */
  changesKept: number;
  changesTorn: number;
  changesLost: number;
  /** Files that were taken back from the trash, to be written again. */
  filesReused: number;
  /** Unsynced changes of names that a crash kept or lost. */
  namesKept: number;
  namesLost: number;
}

/** A change of a file that is not yet durable. */
export interface Change {
  readonly kind: "write" | "truncate";
  /** The length of the file before. */
  readonly sizeBefore: number;
  readonly position: number;
  readonly length: number;
  /** What was in the place before, up to the end of the file then. */
  readonly before: Uint8Array;
  /** A sync failed that was to make it durable: it can be read, but is lost. */
  lost: boolean;
}

export class FileNode {
  bytes = new Uint8Array(0);
  size = 0;
  changes: Change[] = [];
  lockedBy: object | undefined;
  readonly sharedBy = new Set<object>();

  /** Takes back the locks of one handle, or of all. */
  unlock(handle?: object): void {
    if (handle === undefined || this.lockedBy === handle) this.lockedBy = undefined;
    if (handle === undefined) this.sharedBy.clear();
    else this.sharedBy.delete(handle);
  }

  reserve(size: number): void {
    if (size <= this.bytes.length) return;
    const length = Math.max(size, this.bytes.length * 2, fileBytesFirst);
    this.bytes = new Uint8Array(this.bytes.buffer.transfer(length));
  }

  resize(size: number): void {
    this.reserve(size);
    if (size < this.size) this.bytes.fill(0, size, this.size);
    this.size = size;
  }

  undo(change: Change): void {
    this.resize(change.sizeBefore);
    this.bytes.set(change.before, change.position);
  }

  /** Takes all changes back. What is left is durable; each of them comes with what it wrote. */
  undoAll(): { readonly change: Change; readonly bytes: Uint8Array }[] {
    const undone = [];
    for (const change of this.changes.reverse()) {
      const bytes = this.bytes.slice(change.position, change.position + change.length);
      undone.push({ change, bytes });
      this.undo(change);
    }
    this.changes = [];
    return undone.reverse();
  }

  /** Makes changes durable, but for those that a failed sync has lost. */
  settle(covered: ReadonlySet<Change>): void {
    const open = this.changes.filter((change) => !covered.has(change));
    if (!this.changes.some((change) => change.lost)) {
      this.changes = open;
      return;
    }
    // What was lost is still read. It becomes one change that goes before those that are open, and
    // that takes the file back to what is durable.
    const visible = this.bytes.slice(0, this.size);
    for (const { change, bytes } of this.undoAll()) {
      if (change.lost || !covered.has(change)) continue;
      const end = change.position + bytes.length;
      this.resize(change.kind === "write" ? Math.max(this.size, end) : end);
      this.bytes.set(bytes, change.position);
    }
    const before = this.bytes.slice(0, this.size);
    const { length } = visible;
    const kind = "write";
    const lost = { kind, sizeBefore: this.size, position: 0, length, before, lost: true } as const;
    this.changes = [lost, ...open.filter((change) => !change.lost)];
    this.resize(length);
    this.bytes.set(visible);
  }
}

/** A change of names that is not yet durable. */
export type NameChange =
  | { readonly kind: "set"; readonly name: string; readonly node: Node }
  | { readonly kind: "remove"; readonly name: string }
  | { readonly kind: "rename"; readonly from: string; readonly to: string };

export class DirectoryNode {
  names = new Map<string, Node>();
  durable = new Map<string, Node>();
  changes: NameChange[] = [];

  change(change: NameChange): void {
    apply(this.names, change);
    this.changes.push(change);
  }

  /** Makes changes durable. */
  settle(covered: ReadonlySet<NameChange>): void {
    for (const change of this.changes) if (covered.has(change)) apply(this.durable, change);
    this.changes = this.changes.filter((change) => !covered.has(change));
  }
}

export type Node = FileNode | DirectoryNode;

function apply(names: Map<string, Node>, change: NameChange): void {
  switch (change.kind) {
    case "set":
      names.set(change.name, change.node);
      break;
    case "remove":
      names.delete(change.name);
      break;
    case "rename": {
      const node = names.get(change.from);
      if (node === undefined) return;
      names.delete(change.from);
      names.set(change.to, node);
      break;
    }
  }
}

/** What is on a disk: it outlives processes and crashes. */
export class DiskState {
  readonly root = new DirectoryNode();
  readonly counts = newCounts();
  usedBytes = 0;
}

export interface Chance {
  readonly random: () => number;
  readonly keepChance: number;
  readonly counts: DiskCounts;
}

/** Lets a directory, and those in it, lose some of the names that were not synced. */
export function loseNames(directory: DirectoryNode, chance: Chance): void {
  for (const change of directory.changes) {
    if (chance.random() < chance.keepChance) {
      apply(directory.durable, change);
      chance.counts.namesKept++;
    } else {
      chance.counts.namesLost++;
    }
  }
  directory.changes = [];
  directory.names = new Map(directory.durable);
  for (const node of directory.names.values()) {
    if (node instanceof DirectoryNode) loseNames(node, chance);
  }
}

/** Lets a file lose some of what was not synced. */
export function loseChanges(node: FileNode, chance: Chance): void {
  for (const { change, bytes } of node.undoAll()) {
    if (change.lost) chance.counts.changesLost++;
    else if (change.kind === "write") rewrite(node, change.position, bytes, chance);
    else if (chance.random() < chance.keepChance) node.resize(change.position);
  }
}

/** Makes a part of a write again: some of its sectors, and perhaps a length ahead of them. */
function rewrite(node: FileNode, position: number, bytes: Uint8Array, chance: Chance): void {
  const { random, keepChance, counts } = chance;
  let kept = 0;
  for (let start = 0; start < bytes.length;) {
    const sectorEnd = (Math.floor((position + start) / sectorBytes) + 1) * sectorBytes - position;
    const end = Math.min(bytes.length, sectorEnd);
    if (random() < keepChance) {
      const torn = random() < 0.02 ? start + Math.floor(random() * (end - start)) : end;
      node.resize(Math.max(node.size, position + torn));
      node.bytes.set(bytes.subarray(start, torn), position + start);
      kept += torn - start;
    }
    start = end;
  }
  if (random() < keepChance / 4) node.resize(Math.max(node.size, position + bytes.length));
  if (kept === bytes.length) counts.changesKept++;
  else if (kept === 0) counts.changesLost++;
  else counts.changesTorn++;
}

export function* filesOf(directory: DirectoryNode): Iterable<FileNode> {
  for (const node of directory.names.values()) {
    if (node instanceof FileNode) yield node;
    else yield* filesOf(node);
  }
}

function newCounts(): DiskCounts {
  return {
    writes: 0,
    shortWrites: 0,
    bytesWritten: 0,
    syncs: 0,
    failedSyncs: 0,
    fullErrors: 0,
    crashes: 0,
    changesKept: 0,
    changesTorn: 0,
    changesLost: 0,
    namesKept: 0,
    namesLost: 0,
    filesReused: 0,
  };
}
