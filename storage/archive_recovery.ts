/**
 * Finds the sparse segments in the directory of a log, and checks them.
 *
 * @module
 */

import { crc32c } from "./crc32c.ts";
import { CorruptFileError, CorruptRecordError, DataDirectoryMismatchError } from "./errors.ts";
import { attempt } from "./failures.ts";
import { type FileHandle, type FileSystem, joinPath, readFull } from "./file_system.ts";
import type { IndexSet } from "./index_set.ts";
import { readU64, RecordEntry } from "./record.ts";
import { RecordPlaces } from "./record_places.ts";
import { segmentFirstIndex, segmentHeaderBytes } from "./segment.ts";
import { readSegment } from "./segment_reader.ts";
import { type ArchivedSegment, decodeSparseHeader, type SparseHeader } from "./sparse_segment.ts";

/** How much of a file is read at once. */
const chunkBytes = 1024 * 1024;

/** The files of a log, by what they are. */
export interface SegmentNames {
  /** The segments that count, the oldest first. */
  readonly names: readonly string[];
  /** The headers of those that are sparse. */
  readonly sparse: ReadonlyMap<string, SparseHeader>;
  /** Segments that a sparse one stands for, and that a crash has left or brought back. */
  readonly leftovers: readonly string[];
}

/**
 * Looks at the segments in a directory.
 *
 * @param files Where they are.
 * @param directory The directory.
 * @returns Which ones count.
 * @throws {CorruptFileError} when a sparse one stands for what another one stands for in part.
 */
export function listSegments(files: FileSystem, directory: string): SegmentNames {
  const names: string[] = [];
  const leftovers: string[] = [];
  const sparse = new Map<string, SparseHeader>();
  let coveredIndex = 0;
  for (const { name, isDirectory } of files.list(directory)) {
    const firstIndex = isDirectory ? undefined : segmentFirstIndex(name);
    if (firstIndex === undefined) continue;
    const path = joinPath(directory, name);
    const header = readSparseHeader(files, path);
    if (firstIndex <= coveredIndex) {
      if ((header?.lastIndex ?? 0) > coveredIndex) {
        throw new CorruptFileError(path, `it goes on from ${coveredIndex}, where another one ends`);
      }
      leftovers.push(name);
      continue;
    }
    names.push(name);
    if (header === undefined) continue;
    if (header.firstIndex !== firstIndex || header.lastIndex < firstIndex) {
      throw new CorruptFileError(path, `its header says that it begins at ${header.firstIndex}`);
    }
    sparse.set(name, header);
    coveredIndex = header.lastIndex;
  }
  return { names, sparse, leftovers };
}

function readSparseHeader(files: FileSystem, path: string): SparseHeader | undefined {
  const file = attempt("open", path, () => files.open(path, { read: true }));
  try {
    const head = new Uint8Array(segmentHeaderBytes);
    return decodeSparseHeader(head.subarray(0, readFull(file, head, 0)), path);
  } finally {
    file.close();
  }
}

/**
 * Reads all of a sparse segment, and checks that all of it is there.
 *
 * @param file The file.
 * @param path Its path.
 * @param header Its header.
 * @param shard The shard that it must belong to, if that is known.
 * @param found Takes the indexes of its records.
 * @returns What is known of it.
 * @throws {CorruptRecordError} when a record is damaged.
 * @throws {CorruptFileError} when it is not whole.
 */
export function scanSparse(
  file: FileHandle,
  path: string,
  header: SparseHeader,
  shard: number | undefined,
  found: IndexSet,
): ArchivedSegment {
  if (shard !== undefined && header.shard !== shard) {
    throw new DataDirectoryMismatchError(path, "shard", `${header.shard}`, `${shard}`);
  }
  const { firstIndex, lastIndex, lastTerm } = header;
  const size = file.size();
  const places = new RecordPlaces();
  const chunks = readSegment(file, {
    position: segmentHeaderBytes,
    nextIndex: firstIndex,
    previousTerm: 0,
    salt: 0,
    size,
    chunkBytes,
    reuse: true,
    sparse: true,
  });
  let crc = 0;
  let records = 0;
  let next = chunks.next();
  for (; !next.done; next = chunks.next()) {
    const { bytes, position, offsets } = next.value;
    for (const offset of offsets) {
      const index = readU64(bytes, offset + 16);
      if (index > lastIndex || readU64(bytes, offset + 8) > lastTerm) {
        throw new CorruptRecordError(path, position + offset, index, "it is behind the end");
      }
      places.note(index, position + offset);
      found.add(index);
    }
    records += offsets.length;
    crc = crc32c(bytes.subarray(0, new RecordEntry(bytes, offsets.at(-1)!).end), crc);
  }
  const { position, nextIndex, fault } = next.value;
  if (fault !== undefined) throw new CorruptRecordError(path, position, nextIndex, fault.reason);
  if (records !== header.records) {
    throw new CorruptFileError(path, `it has ${records} of its ${header.records} records`);
  }
  if (crc !== header.crc) throw new CorruptFileError(path, "its records have a wrong checksum");
  return {
    path,
    firstIndex,
    lastIndex,
    lastTerm,
    records,
    bytes: size,
    sparse: true,
    salt: 0,
    places,
  };
}
