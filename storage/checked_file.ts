/**
 * Small files that are read and written as a whole: one line that says what the file is, then JSON.
 *
 * ```text
 * flowmq meta 1 5a3c0f12
 * {"clusterId":"…","nodeId":1}
 * ```
 *
 * The line holds the kind of file, its format version, and a CRC-32C: of everything before it in the
 * line and everything behind the line. (In version 1 it was of what is behind the line only.) A new
 * content is written beside the old one, synced, and renamed over it, so there is always one that is
 * whole; what a crash leaves beside it is overwritten the next time.
 *
 * @module
 */

import { crc32c } from "./crc32c.ts";
import { CorruptFileError, UnsupportedFormatError } from "./errors.ts";
import { type FileSystem, parentPath, writeAll } from "./file_system.ts";
import { storageError } from "./failures.ts";

/**
 * Writes a file in place of the one of that name.
 *
 * @param files Where it goes.
 * @param path Its name.
 * @param kind What kind of file it is.
 * @param version The version of its format.
 * @param content What is in it.
 * @returns When it is durable.
 * @throws {StorageFailedError} when the file system fails.
 */
export async function writeCheckedFile(
  files: FileSystem,
  path: string,
  kind: string,
  version: number,
  content: unknown,
): Promise<void> {
  const body = new TextEncoder().encode(`${JSON.stringify(content)}\n`);
  const start = startOf(kind, `${version}`);
  const line = `${start}${hex(checksum(start, body))}\n`;
  const fresh = `${path}.new`;
  try {
    const file = files.open(fresh, { write: true, create: true });
    try {
      file.truncateSync(0);
      writeAll(file, new TextEncoder().encode(line), 0);
      writeAll(file, body, line.length);
      await file.syncData();
    } finally {
      file.close();
    }
    files.rename(fresh, path);
    await files.syncDirectory(parentPath(path));
  } catch (error) {
    throw storageError("write", path, error);
  }
}

/**
 * Reads a file.
 *
 * @param files Where it is.
 * @param path Its name.
 * @param kind What kind of file it must be.
 * @param versionMax The newest version of its format that the caller knows.
 * @returns What is in it, or `undefined` where there is no such file.
 * @throws {CorruptFileError} when it is not what was written.
 * @throws {UnsupportedFormatError} when its format is newer.
 */
export function readCheckedFile(
  files: FileSystem,
  path: string,
  kind: string,
  versionMax: number,
): unknown {
  if (!files.exists(path)) return undefined;
  const bytes = files.readFile(path);
  const lineEnd = bytes.indexOf(10);
  const line = new TextDecoder().decode(bytes.subarray(0, Math.max(0, lineEnd)));
  const [name, foundKind, version, crc] = line.split(" ");
  if (name !== "flowmq" || foundKind !== kind || !/^[1-9]\d*$/.test(version ?? "")) {
    throw new CorruptFileError(path, `it does not begin with the line of a ${kind} file`);
  }
  const body = bytes.subarray(lineEnd + 1);
  const expected = version === "1" ? crc32c(body) : checksum(startOf(kind, version!), body);
  // Before the version is believed: a damaged one must not pass for a newer format.
  if (hex(expected) !== crc) throw new CorruptFileError(path, "wrong checksum");
  if (Number(version) > versionMax) {
    throw new UnsupportedFormatError(path, Number(version), versionMax);
  }
  return JSON.parse(new TextDecoder().decode(body));
}

function startOf(kind: string, version: string): string {
  return `flowmq ${kind} ${version} `;
}

/** The CRC-32C of the start of the line and of what is behind it. */
function checksum(start: string, body: Uint8Array): number {
  const head = new TextEncoder().encode(start);
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return crc32c(bytes);
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}
