/**
 * What a look over a data directory finds.
 *
 * @module
 */

import { CorruptFileError, CorruptRecordError, UnsupportedFormatError } from "./errors.ts";

/** Something that is not as it should be, or not as one might expect. */
export interface Finding {
  /**
   * - `damage`: what was written is not what is there;
   * - `remark`: what the end of a process may leave, and the next start sees to.
   */
  readonly kind: "damage" | "remark";
  /** The file or directory. */
  readonly path: string;
  /** Where in the file, in bytes. */
  readonly offset?: number;
  /** The log index concerned. */
  readonly index?: number;
  /** What it is, for people. */
  readonly reason: string;
}

/**
 * Turns what reading a file throws into a finding.
 *
 * @param error What was thrown.
 * @returns The finding.
 * @throws The error itself, where it says nothing about the file.
 */
export function findingOf(error: unknown): Finding {
  if (error instanceof CorruptFileError) {
    return { kind: "damage", path: error.path, reason: error.reason };
  }
  if (error instanceof CorruptRecordError) {
    const { path, offset, index, reason } = error;
    return { kind: "damage", path, offset, index, reason };
  }
  if (error instanceof UnsupportedFormatError) {
    const reason = `its format version is ${error.version}, newer than this program reads`;
    return { kind: "damage", path: error.path, reason };
  }
  throw error;
}
