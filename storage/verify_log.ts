/**
 * Checks every byte of a log, and goes on behind what is damaged.
 *
 * @module
 */

import { EntryKind } from "../raft/types.ts";
import { listSegments, scanSparse, type SegmentNames } from "./archive_recovery.ts";
import type { LogExtent } from "./consistency.ts";
import { type FileHandle, type FileSystem, joinPath, readFull } from "./file_system.ts";
import { type Finding, findingOf } from "./findings.ts";
import { IndexSet } from "./index_set.ts";
import {
  markKind,
  readU32,
  readU64,
  recordAlignment,
  recordBytes,
  recordFault,
  recordHeaderBytes,
} from "./record.ts";
import { usedBytes } from "./record_group.ts";
import {
  decodeSegmentHeader,
  isReserved,
  segmentFirstIndex,
  type SegmentHeader,
  segmentHeaderBytes,
  wasDurable,
} from "./segment.ts";
import { readSegment, type SegmentEnd } from "./segment_reader.ts";
import type { SparseHeader } from "./sparse_segment.ts";
import { TermRuns } from "./term_runs.ts";

/** How much of a file is read at once. */
const chunkBytes = 1024 * 1024;

/** What a look over a log has found. */
export interface VerifiedLog {
  readonly findings: readonly Finding[];
  /** How many good records there are. */
  readonly records: number;
  /** The entries whose records are good. */
  readonly held: IndexSet;
  /** How far it goes; `undefined` where damage leaves that open. */
  readonly extent: LogExtent | undefined;
}

/** Where a log ends, up to some segment. */
interface LogEnd {
  readonly lastIndex: number;
  readonly lastTerm: number;
}

/** A place in a log from which on it can be read. */
interface Place {
  readonly position: number;
  readonly nextIndex: number;
}

/**
 * Looks for what is wrong with the segments of a log.
 *
 * @param files Where they are.
 * @param directory Their directory.
 * @param shard The shard that they must belong to.
 * @param salt The salt of a segment whose own is unreadable.
 * @returns What was found.
 */
export function verifyLog(
  files: FileSystem,
  directory: string,
  shard: number,
  salt: number,
): VerifiedLog {
  return new LogVerifier(files, directory, shard, salt).run();
}

class LogVerifier {
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #shard: number;
  readonly #salt: number;
  readonly #findings: Finding[] = [];
  readonly #held = new IndexSet();
  #terms = new TermRuns();
  #records = 0;
  /** Where the log is so far known to end, unless it was damaged there. */
  #end: LogEnd | undefined;
  /** The first segment since the last sparse one. */
  #first: SegmentHeader | undefined;
  #reachIndex: number | undefined;

  constructor(files: FileSystem, directory: string, shard: number, salt: number) {
    this.#files = files;
    this.#directory = directory;
    this.#shard = shard;
    this.#salt = salt;
  }

  run(): VerifiedLog {
    const { names, sparse, leftovers } = this.#list();
    for (const name of leftovers) {
      const path = joinPath(this.#directory, name);
      const reason = "left over, and does not count: a sparse segment stands for it";
      this.#findings.push({ kind: "remark", path, reason });
    }
    for (const [i, name] of names.entries()) {
      const path = joinPath(this.#directory, name);
      const file = this.#files.open(path, { read: true });
      try {
        const header = sparse.get(name);
        if (header !== undefined) this.#verifySparse(path, file, header);
        else this.#verifySegment(path, file, segmentFirstIndex(name)!, i === names.length - 1);
      } catch (error) {
        this.#findings.push(findingOf(error));
      } finally {
        file.close();
      }
    }
    const isWhole = this.#findings.every(({ kind }) => kind === "remark");
    return {
      findings: this.#findings,
      records: this.#records,
      held: this.#held,
      extent: isWhole ? this.#extent() : undefined,
    };
  }

  #list(): SegmentNames {
    try {
      return listSegments(this.#files, this.#directory);
    } catch (error) {
      this.#findings.push(findingOf(error));
      return { names: [], sparse: new Map(), leftovers: [] };
    }
  }

  /** Nothing of a sparse segment can be torn. What is before it lies in front of the log, too. */
  #verifySparse(path: string, file: FileHandle, header: SparseHeader): void {
    const { firstIndex, lastIndex, lastTerm } = header;
    const before = this.#end;
    this.#end = undefined;
    this.#reachIndex ??= firstIndex;
    this.#first = undefined;
    this.#terms = new TermRuns();
    if (header.shard !== this.#shard) {
      return this.#note("damage", path, 0, firstIndex, `it is of shard ${header.shard}`);
    }
    const archived = scanSparse(file, path, header, undefined, this.#held);
    this.#records += archived.records;
    this.#end = { lastIndex, lastTerm };
    if (before === undefined || firstIndex === before.lastIndex + 1) return;
    const reason = `it begins where index ${before.lastIndex + 1} is due: a segment is missing`;
    this.#note("damage", path, 0, firstIndex, reason);
  }

  #extent(): LogExtent {
    const firstIndex = this.#first?.firstIndex ?? 1;
    const reachIndex = this.#reachIndex ?? firstIndex;
    const lastIndex = this.#end?.lastIndex ?? firstIndex - 1;
    return {
      firstIndex,
      lastIndex,
      reachIndex,
      term: (index) => {
        if (index < firstIndex - 1 || index > lastIndex) return undefined;
        if (index < firstIndex) return this.#first?.previousTerm ?? 0;
        return this.#terms.termAt(index);
      },
    };
  }

  #verifySegment(
    path: string,
    file: FileHandle,
    firstIndex: number,
    newest: boolean,
  ): void {
    const before = this.#end;
    this.#end = undefined;
    const head = new Uint8Array(segmentHeaderBytes);
    const header = decodeSegmentHeader(head.subarray(0, readFull(file, head, 0)), path);
    if (header === undefined) {
      if (newest && !wasDurable(restOf(file, segmentHeaderBytes), firstIndex, this.#salt)) {
        this.#end = before;
        this.#note("remark", path, 0, firstIndex, "the header was not written; the file goes");
      } else {
        this.#note("damage", path, 0, firstIndex, "the header is not what was written");
      }
      return;
    }
    this.#first ??= header;
    this.#reachIndex ??= firstIndex;
    this.#verifyHeader(path, header, firstIndex, before);
    this.#verifyRecords(path, file, header, newest);
  }

  #verifyHeader(
    path: string,
    header: SegmentHeader,
    firstIndex: number,
    before: LogEnd | undefined,
  ): void {
    const wrong = (reason: string) => this.#note("damage", path, 0, firstIndex, reason);
    if (header.firstIndex !== firstIndex) {
      return wrong(`its header says that it begins at ${header.firstIndex}`);
    }
    if (header.shard !== this.#shard) return wrong(`it is of shard ${header.shard}`);
    if (before === undefined) return;
    const { lastIndex, lastTerm } = before;
    if (firstIndex !== lastIndex + 1) {
      wrong(`it begins where index ${lastIndex + 1} is due: a segment is missing`);
    } else if (header.previousTerm !== lastTerm) {
      wrong(
        `it follows on term ${header.previousTerm}, but the segment before it ends in ${lastTerm}`,
      );
    }
  }

  #verifyRecords(path: string, file: FileHandle, header: SegmentHeader, newest: boolean): void {
    const { salt } = header;
    const size = newest ? usedBytes(file, header) : file.size();
    let lastTerm = header.previousTerm;
    let place: Place = { position: segmentHeaderBytes, nextIndex: header.firstIndex };
    let isDamaged = false;
    for (;;) {
      const end = this.#readRecords(file, place, lastTerm, salt, size);
      lastTerm = end.lastTerm;
      const { position, nextIndex, fault } = end;
      const rest = restOf(file, position);
      if (fault === undefined || (newest && isReserved(rest))) {
        // What follows on a damaged part goes on from where this one really ended.
        this.#end = { lastIndex: nextIndex - 1, lastTerm };
        return;
      }
      const isReused = header.firstGroup !== undefined;
      if (newest && (isReused || !isDamaged) && !wasDurable(rest, nextIndex, salt)) {
        const reason = `torn: ${fault.reason}; ${rest.length} bytes go at the next start`;
        // In a file that was a segment before, it is what that held.
        if (!isReused) this.#note("remark", path, position, nextIndex, reason);
        this.#end = { lastIndex: nextIndex - 1, lastTerm };
        return;
      }
      isDamaged = true;
      const again = findRecord(rest, nextIndex, lastTerm, salt);
      this.#note(
        "damage",
        path,
        position,
        nextIndex,
        `${fault.reason}; ${behind(position, again)}`,
      );
      if (again === undefined) return;
      place = { position: position + again.position, nextIndex: again.nextIndex };
    }
  }

  /** Reads on to the end, or to the next fault. */
  #readRecords(
    file: FileHandle,
    place: Place,
    previousTerm: number,
    salt: number,
    size: number,
  ): SegmentEnd & { readonly lastTerm: number } {
    const chunks = readSegment(file, {
      ...place,
      previousTerm,
      salt,
      size,
      chunkBytes,
      reuse: true,
    });
    let lastTerm = previousTerm;
    let next = chunks.next();
    for (; !next.done; next = chunks.next()) {
      const { bytes, firstIndex, offsets } = next.value;
      this.#records += offsets.length;
      for (const [i, offset] of offsets.entries()) {
        this.#held.add(firstIndex + i);
        lastTerm = readU64(bytes, offset + 8);
        if (lastTerm >= this.#terms.lastTerm) this.#terms.append(firstIndex + i, lastTerm);
      }
    }
    return { ...next.value, lastTerm };
  }

  #note(kind: Finding["kind"], path: string, offset: number, index: number, reason: string): void {
    this.#findings.push({ kind, path, offset, index, reason });
  }
}

/** All of a file from a position on. */
function restOf(file: FileHandle, position: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(0, file.size() - position));
  return bytes.subarray(0, readFull(file, bytes, position));
}

/** Finds the first good record or mark behind a bad one that can belong to the same log. */
function findRecord(
  bytes: Uint8Array,
  index: number,
  lastTerm: number,
  salt: number,
): Place | undefined {
  for (let at = recordAlignment; at + recordHeaderBytes <= bytes.length; at += recordAlignment) {
    const kind = bytes[at + 24]!;
    if (kind > EntryKind.configChange && kind !== markKind) continue;
    if (at + recordBytes(readU32(bytes, at + 4)) > bytes.length) continue;
    const nextIndex = readU64(bytes, at + 16);
    if (nextIndex < index || nextIndex - index > at / recordHeaderBytes) continue;
    if (kind !== markKind && readU64(bytes, at + 8) < lastTerm) continue;
    if (recordFault(bytes, at, bytes.length, salt) === undefined) {
      return { position: at, nextIndex };
    }
  }
  return undefined;
}

function behind(position: number, again: Place | undefined): string {
  return again === undefined
    ? "nothing behind it can be read"
    : `readable again from byte ${position + again.position}, index ${again.nextIndex}`;
}
