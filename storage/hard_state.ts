/**
 * Term and vote, kept so that no single damaged byte and no crash can make a node vote twice.
 *
 * Two files, `hard-state-a` and `hard-state-b`, hold the same. Each has two slots, 4,096 bytes apart:
 * generation n goes to slot n mod 2 of both files, then both are synced. A crash can tear the slots
 * that are being written; the others still hold the generation before, and the torn one was never
 * answered for. Damage in one file leaves the other. The highest generation that is readable counts;
 * at every start it is written once more where it is.
 *
 * ```text
 *  0  u8×4 magic "FMHS"
 *  4  u32  format version, 1
 *  8  u64  generation, from 1
 * 16  u64  term
 * 24  u64  vote, 0 for none
 * 32  u64  commit index: a hint, as of the last change of term or vote, and durable then
 * 40  u32  shard
 * 44  u8×16 reserved, 0
 * 60  u32  CRC-32C of bytes 0 to 59
 * ```
 *
 * @module
 */

import type { HardState } from "../raft/types.ts";
import { crc32cRange } from "./crc32c.ts";
import { CorruptFileError, DataDirectoryMismatchError, UnsupportedFormatError } from "./errors.ts";
import { type FileHandle, type FileSystem, joinPath, readFull, writeAll } from "./file_system.ts";
import { readU32, readU64, writeU32, writeU64 } from "./record.ts";
import { storageError } from "./failures.ts";

/** The names of both files. */
export const hardStateNames = ["hard-state-a", "hard-state-b"] as const;
const magic = [0x46, 0x4d, 0x48, 0x53];
const version = 1;

/** How long a slot is. */
export const slotBytes = 64;

/** How far the second slot is from the first, so that one write never touches both. */
export const slotDistance = 4096;

/** What a slot says. */
export interface Slot extends HardState {
  readonly generation: number;
  readonly shard: number;
}

/** The files of term and vote of a shard. */
export class HardStateFiles {
  readonly #directory: string;
  readonly #shard: number;
  readonly #handles: readonly FileHandle[];
  #generation: number;
  #current: HardState;
  /** A file that lacked what the other one has when they were opened: torn by a crash, or damaged. */
  readonly mended: string | undefined;

  private constructor(
    directory: string,
    shard: number,
    handles: readonly FileHandle[],
    generation: number,
    current: HardState,
    mended: string | undefined,
  ) {
    this.#directory = directory;
    this.#shard = shard;
    this.#handles = handles;
    this.#generation = generation;
    this.#current = current;
    this.mended = mended;
  }

  /**
   * Opens the files, and mends what a crash or damage has done to one of them.
   *
   * @param files Where they are.
   * @param directory Their directory.
   * @param shard The shard they belong to.
   * @param create Make them, with term 0, where there are none.
   * @returns The files, with what they hold durable.
   * @throws {CorruptFileError} when neither file is readable.
   * @throws {StorageFailedError} when the file system fails.
   */
  static async open(
    files: FileSystem,
    directory: string,
    shard: number,
    create: boolean,
  ): Promise<HardStateFiles> {
    const paths = hardStateNames.map((name) => joinPath(directory, name));
    const found = readHardState(files, directory);
    if (found === undefined && !create) {
      throw new CorruptFileError(paths[0]!, `neither it nor ${hardStateNames[1]} is there`);
    }
    if (found !== undefined && found.shard !== shard) {
      throw new DataDirectoryMismatchError(directory, "shard", `${found.shard}`, `${shard}`);
    }
    const handles: FileHandle[] = [];
    try {
      for (const path of paths) handles.push(files.open(path, { write: true, create: true }));
    } catch (error) {
      for (const handle of handles) handle.close();
      throw storageError("open", directory, error);
    }
    const generation = found?.generation ?? 1;
    const { term, vote, commit } = found ?? { term: 0, vote: 0, commit: 0 };
    const mended = found && paths.find((path) => !hasGeneration(files, path, found.generation));
    const current = { term, vote, commit };
    const state = new HardStateFiles(directory, shard, handles, generation, current, mended);
    try {
      // In its place in both files once more: what was torn or damaged is whole again, and what was
      // only in the page cache is surely on disk. The generation before it stays as it is.
      await state.#put(state.current);
      await files.syncDirectory(directory);
    } catch (error) {
      state.close();
      throw storageError("write", directory, error);
    }
    return state;
  }

  /** What the files hold. */
  get current(): HardState {
    return this.#current;
  }

  /**
   * Writes both files.
   *
   * @param state What to write.
   * @returns When it is durable.
   * @throws {StorageFailedError} when the file system fails. The files must not be written any more.
   */
  async write(state: HardState): Promise<void> {
    this.#generation++;
    await this.#put(state);
    this.#current = state;
  }

  /** Closes the files. */
  close(): void {
    for (const handle of this.#handles) handle.close();
  }

  /** Writes the slot of this generation in both files. */
  async #put(state: HardState): Promise<void> {
    const generation = this.#generation;
    const slot = encodeSlot({ ...state, generation, shard: this.#shard });
    try {
      for (const handle of this.#handles) {
        writeAll(handle, slot, generation % 2 * slotDistance);
      }
      await Promise.all(this.#handles.map((handle) => handle.syncData()));
    } catch (error) {
      throw storageError("write", joinPath(this.#directory, hardStateNames[0]), error);
    }
  }
}

/**
 * Reads term and vote.
 *
 * @param files Where the files are.
 * @param directory Their directory.
 * @returns What they hold, or `undefined` where there are none, or none that were ever finished.
 * @throws {CorruptFileError} when neither is readable.
 */
export function readHardState(files: FileSystem, directory: string): Slot | undefined {
  let best: Slot | undefined;
  let exists = false;
  for (const name of hardStateNames) {
    const path = joinPath(directory, name);
    if (!files.exists(path)) continue;
    const bytes = readSlotBytes(files, path);
    exists ||= !isUnfinished(bytes);
    for (const slot of readSlots(bytes, path)) {
      if (best === undefined || slot.generation > best.generation) best = slot;
    }
  }
  if (exists && best === undefined) {
    throw new CorruptFileError(
      joinPath(directory, hardStateNames[0]),
      `nor is ${hardStateNames[1]} readable`,
    );
  }
  return best;
}

/** Whether a file has a readable slot of a generation. */
function hasGeneration(files: FileSystem, path: string, generation: number): boolean {
  return files.exists(path) &&
    readSlots(readSlotBytes(files, path), path).some((slot) => slot.generation === generation);
}

/** All of a file, with zeros where it is too short. */
function readSlotBytes(files: FileSystem, path: string): Uint8Array {
  const file = files.open(path, { read: true });
  try {
    const bytes = new Uint8Array(slotDistance + slotBytes);
    readFull(file, bytes, 0);
    return bytes;
  } finally {
    file.close();
  }
}

/**
 * Whether a file holds at most a part of the first generation, which goes to the second slot and says
 * term 0: a crash tore it when the shard was made, and nothing was ever answered for.
 */
function isUnfinished(bytes: Uint8Array): boolean {
  const isZero = (byte: number) => byte === 0;
  return bytes.subarray(0, slotDistance).every(isZero) &&
    bytes.subarray(slotDistance + 16, slotDistance + 40).every(isZero);
}

function readSlots(bytes: Uint8Array, path: string): Slot[] {
  return [0, slotDistance]
    .map((at) => decodeSlot(bytes.subarray(at, at + slotBytes), path))
    .filter((slot) => slot !== undefined);
}

function encodeSlot(slot: Slot): Uint8Array {
  const bytes = new Uint8Array(slotBytes);
  bytes.set(magic);
  writeU32(bytes, 4, version);
  writeU64(bytes, 8, slot.generation);
  writeU64(bytes, 16, slot.term);
  writeU64(bytes, 24, slot.vote);
  writeU64(bytes, 32, slot.commit);
  writeU32(bytes, 40, slot.shard);
  writeU32(bytes, 60, crc32cRange(bytes, 0, 60));
  return bytes;
}

/**
 * Reads a slot.
 *
 * @param bytes Its bytes.
 * @param path The file, for errors.
 * @returns What it says, or `undefined` where it is no good slot.
 * @throws {UnsupportedFormatError} when it is a good slot of a newer version.
 */
export function decodeSlot(bytes: Uint8Array, path: string): Slot | undefined {
  if (magic.some((byte, i) => bytes[i] !== byte)) return undefined;
  if (crc32cRange(bytes, 0, 60) !== readU32(bytes, 60)) return undefined;
  const found = readU32(bytes, 4);
  if (found > version) throw new UnsupportedFormatError(path, found, version);
  return {
    generation: readU64(bytes, 8),
    term: readU64(bytes, 16),
    vote: readU64(bytes, 24),
    commit: readU64(bytes, 32),
    shard: readU32(bytes, 40),
  };
}
