/**
 * Mistakes in what is kept on disk.
 *
 * @module
 */

import type { Mutant } from "./mutant.ts";

export const STORAGE_MUTANTS: readonly Mutant[] = [
  {
    name: "skips-the-sync",
    breaks: "what a store has answered for survives a power cut",
    edits: [{
      file: "storage/segment_writer.ts",
      find: "    this.#reserveFor(written);\n    await this.#sync();\n",
      replace: "    this.#reserveFor(written);\n",
    }],
    foundBy: "cluster",
  },
  {
    name: "skips-the-directory-sync",
    breaks: "the name of a new segment survives a power cut",
    edits: [{
      file: "storage/segment_writer.ts",
      find: "segment, firstGroup);\n    await this.#syncDirectory();",
      replace: "segment, firstGroup);",
    }],
    foundBy: "cluster",
  },
  {
    name: "begins-a-segment-before-the-last-is-synced",
    breaks: "only the newest segment can have a torn tail",
    edits: [{
      file: "storage/segment_writer.ts",
      find: "          if (unsynced) await this.#sync();\n          await this.#create",
      replace: "          await this.#create",
    }],
    foundBy: "cluster",
  },
  {
    name: "leaves-what-is-reserved-in-a-full-segment",
    breaks: "only the newest segment ends in zeros",
    edits: [{
      file: "storage/segment_writer.ts",
      find: "          if (this.#trim()) unsynced = true;\n",
      replace: "",
    }],
    foundBy: "cluster",
  },
  {
    name: "takes-a-failed-sync-for-done",
    breaks: "after a failed sync nothing is answered for",
    edits: [{
      file: "storage/segment_writer.ts",
      find: 'return attemptAsync("sync", path, () => this.#file!.syncData());',
      replace: 'return attemptAsync("sync", path, () => this.#file!.syncData().catch(() => {}));',
    }],
    foundBy: "cluster",
  },
  {
    name: "does-not-sync-term-and-vote",
    breaks: "term and vote survive a power cut",
    edits: [{
      file: "storage/hard_state.ts",
      find: "await Promise.all(this.#handles.map((handle) => handle.syncData()));",
      replace: "",
    }],
    foundBy: "cluster",
  },
  {
    name: "writes-before-the-cut-is-synced",
    breaks: "a crash leaves a longer or a shorter log, but never old records behind new ones",
    edits: [{
      file: "storage/segment_writer.ts",
      find: "file.truncateSync(size));\n    await this.#sync();",
      replace: "file.truncateSync(size));",
    }],
    foundBy: "disk",
    why: "a cut and a power cut seldom meet in a whole cluster",
  },
  {
    name: "trusts-the-page-cache-at-start",
    breaks: "what a restarted process finds is made durable before it counts",
    edits: [{
      file: "storage/log_recovery.ts",
      find: "        await file.syncData();",
      replace: "",
    }],
    foundBy: "disk",
    why: "it takes a kill, and then a power cut before anything else is written",
  },
  {
    name: "gives-back-the-log-of-live-messages",
    breaks: "the log keeps every entry with a message that is not acked",
    edits: [{
      file: "storage/shard_store.ts",
      find: "let last = Math.min(lastIndex, this.#stored.neededIndex - 1);",
      replace: "let last = Math.min(lastIndex, this.#stored.index);",
    }],
    foundBy: "cluster",
  },
  {
    name: "gives-back-the-log-before-its-snapshot-is-synced",
    breaks: "a snapshot is durable before the log that it stands for goes",
    edits: [{
      file: "storage/snapshot_file.ts",
      find: 'await attemptAsync("sync", this.#fresh, () => file.syncData());',
      replace: "",
    }],
    foundBy: "cluster",
  },
  {
    name: "rewrites-without-delivered-messages",
    breaks: "a segment that is rewritten keeps every entry with a message that is not acked",
    edits: [{
      file: "queue/live_entries.ts",
      find: "(fresh < offset || holdsKnown || isKept)",
      replace: "(fresh < offset || isKept)",
    }],
    foundBy: "cluster",
  },
  {
    name: "names-a-sparse-segment-before-it-is-synced",
    breaks: "a sparse segment is durable before it takes the place of others",
    edits: [{
      file: "storage/sparse_segment.ts",
      find: "writeAll(file, header, 0));\n    await this.sync();",
      replace: "writeAll(file, header, 0));",
    }],
    foundBy: "disk",
    why: "the power has to go right after a rewriting, and to take the one file",
  },
  {
    name: "removes-what-was-rewritten-too-soon",
    breaks: "segments go only once the name of the one that stands for them is durable",
    edits: [{
      file: "storage/log_front.ts",
      find: "await this.#syncDirectory();\n    if (this.#isRetired) return;",
      replace: "if (this.#isRetired) return;",
    }],
    foundBy: "rewriting",
    why: "the power has to go between two changes of a directory",
  },
  {
    name: "names-a-spare-segment-before-it-has-its-header",
    breaks: "a segment that is written again never has its new name and its old header",
    edits: [{
      file: "storage/segment_writer.ts",
      find: 'await attemptAsync("sync", spare, () => file.syncData());',
      replace: "",
    }],
    foundBy: "disk",
    why: "the power has to go right after a renaming",
  },
  {
    name: "cuts-a-segment-with-old-records-within-a-group",
    breaks: "a segment that is written again ends behind a whole group of records",
    edits: [{
      file: "storage/segment_writer.ts",
      find: "if (segment.isReused) await this.#replaceByCopy(segment, size);",
      replace: "",
    }],
    foundBy: "reuse",
    why: "a cut and two power cuts seldom meet",
  },
  {
    name: "reads-on-into-what-a-segment-was-before",
    breaks: "no bytes that a client sent can become a part of the log by themselves",
    edits: [{
      file: "storage/record_group.ts",
      find: "if (header.firstGroup === undefined) return size;",
      replace: "return size;",
    }],
    foundBy: "reuse",
    why: "somebody has to know what the next record will be",
  },
  {
    name: "ends-a-log-where-a-group-was-torn",
    breaks: "what follows on a torn group is found",
    edits: [{
      file: "storage/record_group.ts",
      find: "group !== undefined; group = this.#groupAt(start)) {",
      replace: "group !== undefined; group = undefined) {",
    }],
    foundBy: "reuse",
    why: "two power cuts have to meet the same place",
  },
  {
    name: "frees-what-may-get-its-name-back",
    breaks: "a file is cut shorter only once a crash cannot bring back its name",
    edits: [{
      file: "storage/trash.ts",
      find: 'await attemptAsync("sync", directory, () => this.#files.syncDirectory(directory));',
      replace: "",
    }],
    foundBy: "disk",
    why: "the power has to go between two changes of a directory",
  },
  {
    name: "leaves-trash-for-ever",
    breaks: "what a crash has left of what was being freed goes at the next start",
    edits: [{
      file: "storage/shard_file.ts",
      find: "(new|trash)$/",
      replace: "new$/",
    }],
    foundBy: "disk",
    why: "nothing but space is lost",
  },
  {
    name: "forgets-to-remove-what-came-back",
    breaks: "files that a sparse segment stands for do not count, and are removed",
    edits: [{
      file: "storage/archive_recovery.ts",
      find: "if (firstIndex <= coveredIndex) {",
      replace: "if (firstIndex < coveredIndex - 1e9) {",
    }],
    foundBy: "disk",
    why: "the power has to go after a file is removed, and bring it back",
  },
  {
    name: "cuts-off-a-damaged-record",
    breaks: "damage in what was durable is reported, not cut off",
    edits: [{
      file: "storage/log_recovery.ts",
      find: "if (rest === undefined || wasDurable(rest, index, segment.header.salt)) {",
      replace: "if (rest === undefined) {",
    }],
    foundBy: "damage",
    why: "no bit rots on the disks of the simulated cluster",
  },
];
