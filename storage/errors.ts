/**
 * What can go wrong with files, by what the caller does about it.
 *
 * - The process must end: {@linkcode StorageFailedError}, {@linkcode DiskFullError}.
 * - A copy is damaged and wants repair: {@linkcode CorruptRecordError}, {@linkcode CorruptFileError},
 *   {@linkcode ForgottenEntriesError}, {@linkcode ForgottenTermError}.
 * - The person who started the process gave the wrong directory:
 *   {@linkcode DataDirectoryLockedError}, {@linkcode DataDirectoryMismatchError},
 *   {@linkcode UnsupportedFormatError}.
 *
 * @module
 */

/**
 * A write or sync failed. What the disk holds is unknown from here on (after a failed sync the page
 * cache may claim what the disk does not have), so the store accepts nothing more and the process
 * must end; the next start reads what is really there.
 */
export class StorageFailedError extends Error {
  override name = "StorageFailedError";
  /** What failed, such as `write` or `sync`. */
  readonly operation: string;
  /** The file or directory it failed on. */
  readonly path: string;

  /**
   * @param operation What failed.
   * @param path The file or directory it failed on.
   * @param cause What the file system said.
   */
  constructor(operation: string, path: string, cause: unknown) {
    super(`Cannot ${operation} ${path}: ${reasonOf(cause)}`, { cause });
    this.operation = operation;
    this.path = path;
  }
}

/** The disk is full: {@linkcode StorageFailedError} for a reason that a person can remove. */
export class DiskFullError extends StorageFailedError {
  override name = "DiskFullError";
}

/** A record is not what was once written, at a place where a crash cannot have torn it. */
export class CorruptRecordError extends Error {
  override name = "CorruptRecordError";
  /** The file. */
  readonly path: string;
  /** Where in the file the damaged record begins, in bytes. */
  readonly offset: number;
  /** The log index of the damaged record. */
  readonly index: number;
  /** What is wrong with it. */
  readonly reason: string;

  /**
   * @param path The file.
   * @param offset Where in the file the damaged record begins.
   * @param index The log index of the damaged record.
   * @param reason What is wrong with it.
   */
  constructor(path: string, offset: number, index: number, reason: string) {
    super(`Damaged record in ${path} at byte ${offset}, log index ${index}: ${reason}`);
    this.path = path;
    this.offset = offset;
    this.index = index;
    this.reason = reason;
  }
}

/** A file that is read as a whole is damaged, or missing where others say that it must be there. */
export class CorruptFileError extends Error {
  override name = "CorruptFileError";
  /** The file. */
  readonly path: string;
  /** What is wrong with it. */
  readonly reason: string;

  /**
   * @param path The file.
   * @param reason What is wrong with it.
   */
  constructor(path: string, reason: string) {
    super(`Damaged file ${path}: ${reason}`);
    this.path = path;
    this.reason = reason;
  }
}

/** A disk was rolled back: others know of entries that it had, and it has not. */
export class ForgottenEntriesError extends Error {
  override name = "ForgottenEntriesError";

  /**
   * @param shard The shard.
   * @param index An entry that this node acknowledged.
   * @param lastIndex The last one that it has.
   */
  constructor(shard: number, index: number, lastIndex: number) {
    super(
      `The log of shard ${shard} ends at ${lastIndex}, but this node had acknowledged entry ` +
        `${index}: its disk was rolled back`,
    );
  }
}

/** A disk was rolled back: others have heard this node speak of a later term than it knows. */
export class ForgottenTermError extends Error {
  override name = "ForgottenTermError";

  /**
   * @param shard The shard.
   * @param term The term that it has forgotten.
   */
  constructor(shard: number, term: number) {
    super(`This node has forgotten term ${term} of shard ${shard}: its disk was rolled back`);
  }
}

/** Bytes that should be records are none: from the network, or from a tool. */
export class MalformedRecordError extends Error {
  override name = "MalformedRecordError";
  /** Where in the bytes the bad record begins. */
  readonly offset: number;

  /**
   * @param offset Where in the bytes the bad record begins.
   * @param reason What is wrong with it.
   */
  constructor(offset: number, reason: string) {
    super(`Malformed record at byte ${offset}: ${reason}`);
    this.offset = offset;
  }
}

/** Another process uses the data directory. */
export class DataDirectoryLockedError extends Error {
  override name = "DataDirectoryLockedError";
  /** The directory. */
  readonly path: string;
  /** The process that has it, if it could be told. */
  readonly pid: number | undefined;

  /**
   * @param path The directory.
   * @param pid The process that has it.
   */
  constructor(path: string, pid: number | undefined) {
    const holder = pid === undefined ? "another process" : `process ${pid}`;
    super(`Cannot use data directory ${path} as ${holder} is using it`);
    this.path = path;
    this.pid = pid;
  }
}

/** The data directory belongs to another cluster or node than the one that opens it. */
export class DataDirectoryMismatchError extends Error {
  override name = "DataDirectoryMismatchError";
  /** The directory. */
  readonly path: string;
  /** What differs. */
  readonly field: "clusterId" | "nodeId" | "shard";
  /** What the directory says. */
  readonly found: string;
  /** What was asked for. */
  readonly expected: string;

  /**
   * @param path The directory.
   * @param field What differs.
   * @param found What the directory says.
   * @param expected What was asked for.
   */
  constructor(
    path: string,
    field: "clusterId" | "nodeId" | "shard",
    found: string,
    expected: string,
  ) {
    const noun = { clusterId: "cluster", nodeId: "node", shard: "shard" }[field];
    super(`Cannot use directory ${path} for ${noun} ${expected} as it belongs to ${noun} ${found}`);
    this.path = path;
    this.field = field;
    this.found = found;
    this.expected = expected;
  }
}

/** A file was written by a newer program. */
export class UnsupportedFormatError extends Error {
  override name = "UnsupportedFormatError";
  /** The file. */
  readonly path: string;
  /** The version it has. */
  readonly version: number;

  /**
   * @param path The file.
   * @param version The version it has.
   * @param versionMax The newest version that this program reads.
   */
  constructor(path: string, version: number, versionMax: number) {
    super(
      `Cannot read ${path} as its format is newer than this program: ` +
        `version ${version}, supported up to ${versionMax}`,
    );
    this.path = path;
    this.version = version;
  }
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
