/**
 * A sparse segment: of a stretch of the log, the records that somebody still needs.
 *
 * ```text
 *  0  u8×8 magic "FLOWMQSG"
 *  8  u32  format version, 2
 * 12  u32  shard
 * 16  u64  the first index that it stands for
 * 24  u64  the last one
 * 32  u64  term of the entry at the last index
 * 40  u32  how many records there are
 * 44  u32  CRC-32C of all bytes from 64 on
 * 48  u8×12 reserved, 0
 * 60  u32  CRC-32C of bytes 0 to 59
 * 64  records (`record.ts`), their indexes rising; no marks
 * ```
 *
 * It is written once, beside what it replaces, and takes its name only when it is whole, synced, and
 * has been read back. So it is never torn: whatever is wrong with one is damage. Whoever finds other
 * files of the stretch beside it can be sure that they are left over.
 *
 * @module
 */

import { crc32c, crc32cRange } from "./crc32c.ts";
import { CorruptFileError } from "./errors.ts";
import { attempt, attemptAsync, openEmpty } from "./failures.ts";
import { type FileHandle, type FileSystem, joinPath, readFull, writeAll } from "./file_system.ts";
import { readU32, readU64, recordBytes, writeU32, writeU64 } from "./record.ts";
import { RecordPlaces } from "./record_places.ts";
import {
  type Segment,
  segmentHeaderBytes,
  segmentMagic,
  segmentName,
  segmentVersionOf,
  sparseVersion,
} from "./segment.ts";
import type { Pause } from "./snapshot_file.ts";

/** How much of a file is read back at once. */
const chunkBytes = 256 * 1024;

/** So much is written between two syncs, for each of them to be short. */
const syncBytes = 4 * 1024 * 1024;

/** A stretch of the log, and what a header says of it. */
export interface SparseHeader {
  readonly shard: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** The term of the entry at the last index, be it there or not. */
  readonly lastTerm: number;
  readonly records: number;
  readonly crc: number;
}

/** A segment in front of the log: sparse, or with all of its records but between sparse ones. */
export interface ArchivedSegment {
  readonly path: string;
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** The term of the entry at the last index. */
  readonly lastTerm: number;
  readonly records: number;
  /** The length of the file. */
  readonly bytes: number;
  readonly sparse: boolean;
  /** The salt of its marks, where there are any. */
  readonly salt: number;
  readonly places: RecordPlaces;
}

/**
 * A segment with all of its records, as one in front of the log.
 *
 * @param segment The segment, to which nothing is added any more.
 * @param lastTerm The term of its last record.
 * @returns What an archive knows of it.
 */
export function archivedSegment(segment: Segment, lastTerm: number): ArchivedSegment {
  const { path, firstIndex, lastIndex, bytes, places, header: { salt } } = segment;
  const records = lastIndex - firstIndex + 1;
  return { path, firstIndex, lastIndex, lastTerm, records, bytes, sparse: false, salt, places };
}

/**
 * Makes the header of a sparse segment.
 *
 * @param header What it says.
 * @returns Its bytes.
 */
export function encodeSparseHeader(header: SparseHeader): Uint8Array {
  const bytes = new Uint8Array(segmentHeaderBytes);
  bytes.set(segmentMagic);
  writeU32(bytes, 8, sparseVersion);
  writeU32(bytes, 12, header.shard);
  writeU64(bytes, 16, header.firstIndex);
  writeU64(bytes, 24, header.lastIndex);
  writeU64(bytes, 32, header.lastTerm);
  writeU32(bytes, 40, header.records);
  writeU32(bytes, 44, header.crc);
  writeU32(bytes, 60, crc32cRange(bytes, 0, 60));
  return bytes;
}

/**
 * Reads the header of a sparse segment.
 *
 * @param bytes The beginning of the file.
 * @param path The file, for errors.
 * @returns What it says, or `undefined` where it is none of a sparse segment.
 * @throws {UnsupportedFormatError} when it is a good header of a newer version.
 */
export function decodeSparseHeader(bytes: Uint8Array, path: string): SparseHeader | undefined {
  if (segmentVersionOf(bytes, path) !== sparseVersion) return undefined;
  return {
    shard: readU32(bytes, 12),
    firstIndex: readU64(bytes, 16),
    lastIndex: readU64(bytes, 24),
    lastTerm: readU64(bytes, 32),
    records: readU32(bytes, 40),
    crc: readU32(bytes, 44),
  };
}

/** Writes a sparse segment under a name that is not yet that of a segment. */
export class SparseSegmentWriter {
  readonly path: string;
  readonly #files: FileSystem;
  readonly #shard: number;
  readonly #firstIndex: number;
  readonly #places = new RecordPlaces();
  #file: FileHandle | undefined;
  #bytes = segmentHeaderBytes;
  #syncedBytes = 0;
  #records = 0;
  #crc = 0;

  /**
   * Makes the file.
   *
   * @param files Where it goes.
   * @param directory The directory.
   * @param shard The shard.
   * @param firstIndex The first index that the segment will stand for.
   */
  constructor(files: FileSystem, directory: string, shard: number, firstIndex: number) {
    this.path = joinPath(directory, segmentName(firstIndex));
    this.#files = files;
    this.#shard = shard;
    this.#firstIndex = firstIndex;
    this.#file = openEmpty(files, this.#fresh);
  }

  get #fresh(): string {
    return `${this.path}.new`;
  }

  /** How long the file is so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many records there are so far. */
  get records(): number {
    return this.#records;
  }

  /**
   * Writes records behind all others.
   *
   * @param bytes Whole, good records of rising indexes, one after the other.
   */
  write(bytes: Uint8Array): void {
    const file = this.#file;
    if (file === undefined || bytes.length === 0) return;
    attempt("write", this.#fresh, () => writeAll(file, bytes, this.#bytes));
    for (let at = 0; at < bytes.length; at += recordBytes(readU32(bytes, at + 4))) {
      this.#places.note(readU64(bytes, at + 16), this.#bytes + at);
      this.#records++;
    }
    this.#bytes += bytes.length;
    this.#crc = crc32c(bytes, this.#crc);
  }

  /** Syncs what was written, once that is much. */
  async syncSome(): Promise<void> {
    if (this.#bytes - this.#syncedBytes >= syncBytes) await this.sync();
  }

  /** Syncs what was written. */
  async sync(): Promise<void> {
    this.#syncedBytes = this.#bytes;
    await attemptAsync("sync", this.#fresh, async () => await this.#file?.syncData());
  }

  /**
   * Makes the file whole and durable, and reads it back.
   *
   * @param lastIndex The last index that the segment stands for.
   * @param lastTerm The term of the entry there.
   * @param pause Called between pieces of work.
   * @returns The segment, which {@linkcode publish} gives its name; `undefined` where it was given up.
   * @throws {CorruptFileError} when what is read is not what was written.
   */
  async finish(
    lastIndex: number,
    lastTerm: number,
    pause: Pause,
  ): Promise<ArchivedSegment | undefined> {
    const file = this.#file;
    if (file === undefined) return undefined;
    const header = encodeSparseHeader({
      shard: this.#shard,
      firstIndex: this.#firstIndex,
      lastIndex,
      lastTerm,
      records: this.#records,
      crc: this.#crc,
    });
    attempt("write", this.#fresh, () => writeAll(file, header, 0));
    await this.sync();
    if (this.#file === undefined) return undefined;
    if (file.size() !== this.#bytes) {
      throw new CorruptFileError(this.#fresh, "it has another length than was written");
    }
    const piece = new Uint8Array(chunkBytes);
    let crc = 0;
    for (let at = segmentHeaderBytes; at < this.#bytes; at += piece.length) {
      const due = piece.subarray(0, this.#bytes - at);
      crc = crc32c(
        due.subarray(0, attempt("read", this.#fresh, () => readFull(file, due, at))),
        crc,
      );
      await pause();
      if (this.#file === undefined) return undefined;
    }
    const head = new Uint8Array(segmentHeaderBytes);
    attempt("read", this.#fresh, () => readFull(file, head, 0));
    if (crc !== this.#crc || head.some((byte, i) => byte !== header[i])) {
      throw new CorruptFileError(this.#fresh, "wrong checksum when read back");
    }
    this.abandon();
    return {
      path: this.path,
      firstIndex: this.#firstIndex,
      lastIndex,
      lastTerm,
      records: this.#records,
      bytes: this.#bytes,
      sparse: true,
      salt: 0,
      places: this.#places,
    };
  }

  /** Gives the finished file its name, in place of a file that has it. The directory is yet to be synced. */
  publish(): void {
    attempt("rename", this.#fresh, () => this.#files.rename(this.#fresh, this.path));
  }

  /** Gives the file up. */
  discard(): void {
    this.abandon();
    attempt("remove", this.#fresh, () => this.#files.remove(this.#fresh));
  }

  /** Closes the file and leaves it where it is: the next start removes it. */
  abandon(): void {
    this.#file?.close();
    this.#file = undefined;
  }
}
