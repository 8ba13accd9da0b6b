/**
 * Calls of the file system whose failure ends the store.
 *
 * @module
 */

import { DiskFullError, StorageFailedError } from "./errors.ts";
import { errorCode, type FileHandle, type FileSystem, parentPath } from "./file_system.ts";

/**
 * Calls the file system.
 *
 * @param operation What is done, for the error.
 * @param path What it is done to.
 * @param call The call.
 * @returns What the call returns.
 * @throws {StorageFailedError} when the call throws.
 */
export function attempt<T>(operation: string, path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw storageError(operation, path, error);
  }
}

/**
 * Calls the file system, and waits for the disk.
 *
 * @param operation What is done, for the error.
 * @param path What it is done to.
 * @param call The call.
 * @returns What the call resolves to.
 * @throws {StorageFailedError} when the call fails.
 */
export async function attemptAsync<T>(
  operation: string,
  path: string,
  call: () => Promise<T>,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw storageError(operation, path, error);
  }
}

/**
 * Says that a call of the file system failed.
 *
 * @param operation What was done.
 * @param path What it was done to.
 * @param error What was thrown; one that says so already is passed on.
 * @returns The error to throw instead.
 */
export function storageError(operation: string, path: string, error: unknown): StorageFailedError {
  if (error instanceof StorageFailedError) return error;
  const code = errorCode(error);
  const full = code === "ENOSPC" || code === "EDQUOT";
  return new (full ? DiskFullError : StorageFailedError)(operation, path, error);
}

/**
 * Tells a failure of the file system from other errors.
 *
 * @param operation What was done.
 * @param path What it was done to.
 * @param error What was thrown.
 * @returns A {@linkcode StorageFailedError} if the file system threw it, else the error itself.
 */
export function asFailure(operation: string, path: string, error: unknown): unknown {
  return errorCode(error) === undefined ? error : storageError(operation, path, error);
}

/**
 * Makes a directory, and those above it, such that a power cut does not undo it.
 *
 * Each is made durable before the next one is made in it. So where one is there already, only its
 * own name can be one that a process made and did not live to sync.
 *
 * @param files Where.
 * @param path The directory; one that is there already is no error.
 * @throws {StorageFailedError} when the file system fails.
 */
export async function makeDirectoryDurable(files: FileSystem, path: string): Promise<void> {
  const missing: string[] = [];
  let above = path;
  for (; !files.exists(above); above = parentPath(above)) missing.push(above);
  try {
    await files.syncDirectory(parentPath(above));
  } catch (error) {
    // Where we may not look, we made nothing.
    if (!isRefusal(error)) throw storageError("sync", parentPath(above), error);
  }
  for (const made of missing.reverse()) {
    attempt("make", made, () => files.makeDirectory(made));
    const parent = parentPath(made);
    await attemptAsync("sync", parent, () => files.syncDirectory(parent));
  }
}

/**
 * Opens a file to be written from its beginning, whatever an earlier process has left there.
 *
 * @param files Where.
 * @param path The file.
 * @returns The file, empty.
 * @throws {StorageFailedError} when the file system fails.
 */
export function openEmpty(files: FileSystem, path: string): FileHandle {
  const file = attempt("create", path, () => {
    return files.open(path, { read: true, write: true, create: true });
  });
  try {
    attempt("truncate", path, () => file.truncateSync(0));
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** The system says no, or Deno does where it was started with few permissions. */
function isRefusal(error: unknown): boolean {
  return errorCode(error) === "EACCES" || (error as Error).name === "NotCapable";
}
