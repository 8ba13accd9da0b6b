/**
 * A snapshot of a shard's state in a file, named after the index that it stands for.
 *
 * ```text
 *  0  u8×8 magic "FLOWMQSN"
 *  8  u32  format version, 1
 * 12  u32  shard
 * 16  u64  index: the state is that after the entry there
 * 24  u64  term of that entry
 * 32  u64  the lowest index that the state needs of the log
 * 40  u64  length of the state
 * 48  u32  CRC-32C of the state
 * 52  u32  length of the configuration
 * 56  u32  CRC-32C of the configuration
 * 60  u32  CRC-32C of bytes 0 to 59
 * 64  the configuration, as JSON; then the state
 * ```
 *
 * What the state is nobody here knows. It is written in pieces, so that a large one holds nothing up.
 * The file has the name of a finished one only once it is whole, synced, and has been read back.
 *
 * @module
 */

import type { Configuration, SnapshotMetadata } from "../raft/types.ts";
import { isConfiguration } from "./configuration.ts";
import { crc32c, crc32cRange } from "./crc32c.ts";
import { CorruptFileError, UnsupportedFormatError } from "./errors.ts";
import { attempt, attemptAsync, openEmpty } from "./failures.ts";
import { type FileHandle, type FileSystem, joinPath, readFull, writeAll } from "./file_system.ts";
import { invariant } from "./invariant.ts";
import { readU32, readU64, writeU32, writeU64 } from "./record.ts";

/** The newest format of snapshots that we read, and the one that we write. */
export const snapshotVersion = 1;

const headerBytes = 64;
const configurationBytesMax = 1024 * 1024;

/** How much of a file is read back at once. */
const chunkBytes = 1024 * 1024;

const magic = new TextEncoder().encode("FLOWMQSN");

/** What a snapshot stands for, and what it needs beside it. */
export interface ShardSnapshotMetadata extends SnapshotMetadata {
  /**
   * The lowest index of the log that the state refers to, `index + 1` where it refers to none: the log
   * must reach back to here for the snapshot to be of use.
   */
  readonly neededIndex: number;
}

/** A snapshot on disk. */
export interface StoredSnapshot extends ShardSnapshotMetadata {
  /** The length of the state. */
  readonly bytes: number;
  /** The CRC-32C of the state. */
  readonly crc: number;
}

/** Lets others have their turn; resolves when it is ours again. */
export type Pause = () => Promise<void>;

/**
 * The name of a snapshot's file.
 *
 * @param index The index that it stands for.
 * @returns The name, such that the order of names is that of indexes.
 */
export function snapshotName(index: number): string {
  return `${String(index).padStart(20, "0")}.snap`;
}

/**
 * The index that a snapshot stands for.
 *
 * @param name The name of a file.
 * @returns The index, or `undefined` where the name is none of a finished snapshot.
 */
export function snapshotIndex(name: string): number | undefined {
  return /^\d{20}\.snap$/.test(name) ? Number(name.slice(0, 20)) : undefined;
}

/** Writes one snapshot, piece by piece. */
export class SnapshotFileWriter {
  readonly path: string;
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #shard: number;
  readonly #metadata: ShardSnapshotMetadata;
  readonly #configuration: Uint8Array;
  #file: FileHandle | undefined;
  #bytes = 0;
  #crc = 0;

  /**
   * Makes the file, under a name that is not yet that of a snapshot.
   *
   * @param files Where it goes.
   * @param directory The directory.
   * @param shard The shard.
   * @param metadata What the snapshot stands for.
   */
  constructor(
    files: FileSystem,
    directory: string,
    shard: number,
    metadata: ShardSnapshotMetadata,
  ) {
    this.path = joinPath(directory, snapshotName(metadata.index));
    this.#files = files;
    this.#directory = directory;
    this.#shard = shard;
    this.#metadata = metadata;
    this.#configuration = new TextEncoder().encode(JSON.stringify(metadata.configuration));
    this.#file = openEmpty(files, this.#fresh);
  }

  get #fresh(): string {
    return `${this.path}.new`;
  }

  /** How much of the state has been written. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Writes the next piece of the state.
   *
   * @param bytes The piece, which may be changed afterwards.
   */
  write(bytes: Uint8Array): void {
    const file = this.#open;
    const position = headerBytes + this.#configuration.length + this.#bytes;
    attempt("write", this.#fresh, () => writeAll(file, bytes, position));
    this.#bytes += bytes.length;
    this.#crc = crc32c(bytes, this.#crc);
  }

  /**
   * Makes the file whole and durable, reads it back, and gives it its name.
   *
   * @param pause Called between pieces of work.
   * @returns What is on disk now, or `undefined` where the file was given up meanwhile.
   * @throws {CorruptFileError} when what is read is not what was written.
   */
  async finish(pause: Pause): Promise<StoredSnapshot | undefined> {
    const file = this.#open;
    const stored = { ...this.#metadata, bytes: this.#bytes, crc: this.#crc };
    attempt("write", this.#fresh, () => {
      writeAll(file, this.#configuration, headerBytes);
      writeAll(file, encodeHeader(this.#shard, stored, this.#configuration), 0);
    });
    await attemptAsync("sync", this.#fresh, () => file.syncData());
    if (this.#file === undefined) return undefined;
    const size = headerBytes + this.#configuration.length + this.#bytes;
    if (file.size() !== size) throw new CorruptFileError(this.#fresh, "it has another length");
    let crc = 0;
    const start = headerBytes + this.#configuration.length;
    for (let at = 0; at < this.#bytes && this.#file !== undefined; at += chunkBytes) {
      const length = Math.min(chunkBytes, this.#bytes - at);
      crc = crc32c(readPiece(file, this.#fresh, start + at, length), crc);
      await pause();
    }
    if (this.#file === undefined) return undefined;
    if (crc !== this.#crc) throw new CorruptFileError(this.#fresh, "wrong checksum when read back");
    this.#close();
    attempt("rename", this.#fresh, () => this.#files.rename(this.#fresh, this.path));
    await attemptAsync("sync", this.#directory, () => this.#files.syncDirectory(this.#directory));
    return stored;
  }

  /** Gives the file up; a `finish()` that is under way comes to its end without it. */
  discard(): void {
    if (this.#file === undefined) return;
    this.#close();
    if (this.#files.exists(this.#fresh)) {
      attempt("remove", this.#fresh, () => this.#files.remove(this.#fresh));
    }
  }

  /** Closes the file and leaves it where it is: the next start removes it. */
  abandon(): void {
    this.#close();
  }

  get #open(): FileHandle {
    invariant(this.#file !== undefined, "nothing is written to a snapshot that was given up");
    return this.#file;
  }

  #close(): void {
    this.#file?.close();
    this.#file = undefined;
  }
}

/** Reads a snapshot in pieces, for as long as that takes: also when it was replaced meanwhile. */
export class SnapshotFileReader {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #start: number;
  readonly #bytes: number;

  /**
   * @param files Where it is.
   * @param path The file.
   * @param stored The snapshot.
   */
  constructor(files: FileSystem, path: string, stored: StoredSnapshot) {
    this.#path = path;
    this.#file = attempt("open", this.#path, () => files.open(this.#path, { read: true }));
    this.#file.share();
    const header = readPiece(this.#file, path, 0, headerBytes);
    this.#start = headerBytes + readU32(header, 52);
    this.#bytes = stored.bytes;
  }

  /**
   * Reads a piece.
   *
   * @param position Where in the state it begins.
   * @param length How long it is at most.
   * @returns The piece, as far as there is so much.
   */
  read(position: number, length: number): Uint8Array {
    const due = Math.max(0, Math.min(length, this.#bytes - position));
    const piece = readPiece(this.#file, this.#path, this.#start + position, due);
    if (piece.length < due) throw new CorruptFileError(this.#path, "it got shorter");
    return piece;
  }

  /**
   * Checks all of it.
   *
   * @throws {CorruptFileError} when it is not what was written.
   */
  check(): void {
    checkSnapshot(this.#file, this.#path, undefined);
  }

  /** Reads all of it piece by piece, and closes the file. */
  *pieces(): Generator<Uint8Array> {
    try {
      for (let at = 0; at < this.#bytes; at += chunkBytes) yield this.read(at, chunkBytes);
    } finally {
      this.close();
    }
  }

  /** Closes the file. */
  close(): void {
    this.#file.close();
  }
}

/**
 * Checks a whole snapshot.
 *
 * @param files Where it is.
 * @param path The file.
 * @param shard The shard that it must be of, if that is known.
 * @returns What it stands for.
 * @throws {CorruptFileError} when it is not what was written.
 * @throws {UnsupportedFormatError} when its format is newer.
 */
export function checkSnapshotFile(
  files: FileSystem,
  path: string,
  shard: number | undefined,
): StoredSnapshot {
  const file = attempt("open", path, () => files.open(path, { read: true }));
  try {
    return checkSnapshot(file, path, shard);
  } finally {
    file.close();
  }
}

function checkSnapshot(file: FileHandle, path: string, shard: number | undefined): StoredSnapshot {
  const header = readPiece(file, path, 0, headerBytes);
  if (
    header.length < headerBytes || magic.some((byte, i) => header[i] !== byte) ||
    crc32cRange(header, 0, 60) !== readU32(header, 60)
  ) {
    throw new CorruptFileError(path, "the header is not what was written");
  }
  const version = readU32(header, 8);
  if (version > snapshotVersion) throw new UnsupportedFormatError(path, version, snapshotVersion);
  if (shard !== undefined && readU32(header, 12) !== shard) {
    throw new CorruptFileError(path, `it is of shard ${readU32(header, 12)}`);
  }
  const bytes = readU64(header, 40);
  const start = headerBytes + readU32(header, 52);
  if (file.size() !== start + bytes) {
    throw new CorruptFileError(
      path,
      `it has ${file.size()} bytes, and should have ${start + bytes}`,
    );
  }
  const configuration = readPiece(file, path, headerBytes, start - headerBytes);
  if (crc32c(configuration) !== readU32(header, 56)) {
    throw new CorruptFileError(path, "the configuration has a wrong checksum");
  }
  let crc = 0;
  for (let at = start; at < start + bytes; at += chunkBytes) {
    crc = crc32c(readPiece(file, path, at, Math.min(chunkBytes, start + bytes - at)), crc);
  }
  if (crc !== readU32(header, 48)) {
    throw new CorruptFileError(path, "the state has a wrong checksum");
  }
  return {
    index: readU64(header, 16),
    term: readU64(header, 24),
    configuration: readConfiguration(configuration, path),
    neededIndex: readU64(header, 32),
    bytes,
    crc,
  };
}

/** Reads some bytes, or as many as there are. */
function readPiece(file: FileHandle, path: string, position: number, length: number): Uint8Array {
  const piece = new Uint8Array(length);
  return piece.subarray(0, attempt("read", path, () => readFull(file, piece, position)));
}

function encodeHeader(
  shard: number,
  stored: StoredSnapshot,
  configuration: Uint8Array,
): Uint8Array {
  invariant(configuration.length <= configurationBytesMax, "a configuration is small");
  const bytes = new Uint8Array(headerBytes);
  bytes.set(magic);
  writeU32(bytes, 8, snapshotVersion);
  writeU32(bytes, 12, shard);
  writeU64(bytes, 16, stored.index);
  writeU64(bytes, 24, stored.term);
  writeU64(bytes, 32, stored.neededIndex);
  writeU64(bytes, 40, stored.bytes);
  writeU32(bytes, 48, stored.crc);
  writeU32(bytes, 52, configuration.length);
  writeU32(bytes, 56, crc32c(configuration));
  writeU32(bytes, 60, crc32cRange(bytes, 0, 60));
  return bytes;
}

function readConfiguration(bytes: Uint8Array, path: string): Configuration {
  const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
  if (!isConfiguration(value)) throw new CorruptFileError(path, "it holds no configuration");
  return value;
}
