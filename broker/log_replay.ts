/**
 * Goes through the log of a shard on disk as the node would, without a node: for tools.
 *
 * Which entries are committed is known to the cluster only, so all of them are carried out. A few at the
 * end of a log may be ones that never were, and that the next leader replaces.
 *
 * @module
 */

import { EntryKind } from "../raft/mod.ts";
import type { Command, Reply, ShardMachine } from "../queue/mod.ts";
import {
  CorruptRecordError,
  type FileSystem,
  type LocatedEntry,
  readShardRecords,
  readShardSnapshot,
  type StoredSnapshot,
} from "../storage/mod.ts";
import { commandTimestampMs, decodeCommand, MalformedFrameError } from "../wire/mod.ts";
import { openMachine } from "./machine_codec.ts";

/** An entry of the log, and what became of it. */
export interface ReplayedEntry extends LocatedEntry {
  /** The command in it; `undefined` for a change of members, and for the first entry of a term. */
  readonly command: Command | undefined;
  /** The machine's answer; `undefined` where the snapshot holds what came of it. */
  readonly reply: Reply | undefined;
}

/** One run through a log. */
export class LogReplay {
  /** What the run begins with. */
  readonly snapshot: StoredSnapshot | undefined;
  /** Has the state as of the entry that was handed out last. */
  readonly machine: ShardMachine;
  readonly #files: FileSystem;
  readonly #directory: string;

  /**
   * Reads the snapshot, where there is one.
   *
   * @param files Where the shard is.
   * @param directory Its directory.
   * @param shard Its number.
   * @throws {CorruptFileError} when a file is damaged.
   */
  constructor(files: FileSystem, directory: string, shard: number) {
    this.#files = files;
    this.#directory = directory;
    const found = readShardSnapshot(files, directory);
    this.snapshot = found?.stored;
    this.machine = openMachine(shard, found?.state);
  }

  /**
   * Goes through the log, once.
   *
   * @returns Its entries. Their data are good until the next one is asked for.
   * @throws {CorruptRecordError} at a damaged record.
   * @throws {CorruptFileError} at a damaged header.
   */
  *entries(): Generator<ReplayedEntry, void> {
    const known = this.snapshot?.index ?? 0;
    for (const located of readShardRecords(this.#files, this.#directory)) {
      const { index, term, kind, data } = located.entry;
      if (kind !== EntryKind.command || data.length === 0) {
        yield { ...located, command: undefined, reply: undefined };
        continue;
      }
      const command = decode(located);
      const reply = index <= known
        ? undefined
        : this.machine.apply({ index, term, timestampMs: commandTimestampMs(data) }, command);
      yield { ...located, command, reply };
    }
  }

  /** Goes through all of the log. @returns The machine, with the state at its end. */
  finish(): ShardMachine {
    for (const _ of this.entries()) { /* the machine follows */ }
    return this.machine;
  }
}

function decode({ path, offset, entry }: LocatedEntry): Command {
  try {
    return decodeCommand(entry.data);
  } catch (error) {
    if (!(error instanceof MalformedFrameError)) throw error;
    throw new CorruptRecordError(path, offset, entry.index, error.message);
  }
}
