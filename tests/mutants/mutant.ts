/**
 * What a mutant is: a mistake, planted on purpose into a copy of the sources, that a simulator has to
 * find.
 *
 * A mutant is a list of edits, each a text that occurs exactly once in a file and what stands there
 * instead. So no switch for it exists in the code that is shipped. The price is that a change of the
 * code can take away the text: then the mutant is stale and says so, and has to be written anew.
 *
 * @module
 */

/** One change of a file. */
export interface Edit {
  /** The file, from the root of the repository. */
  readonly file: string;
  /** What stands there, exactly once. */
  readonly find: string;
  /** What stands there in the mutant. */
  readonly replace: string;
}

/**
 * Who looks for a mutant.
 *
 * - `cluster`: the simulator of whole clusters (`simulation/simulation.ts`);
 * - `core`: the simulation of bare Raft cores (`simulation/raft_core.ts`);
 * - `disk`: random histories of a shard's store with crashes (`storage/shard_store_crash_test.ts`);
 * - `rewriting`: every moment at which a rewriting may end (`storage/rewriting_test.ts`);
 * - `reuse`: segments that are written again, with what clients and crashes may put into them
 *   (`storage/reused_segment_test.ts`);
 * - `damage`: every bit of a log flipped (`storage/segmented_log_test.ts`);
 * - `model`: the queue machine against its naive model (`queue/model_test.ts`);
 * - `client`: the client's publisher and a server of its own (`client/publisher_test.ts`);
 * - `peers`: a node's connections to its peers, scripted (`broker/peer_network_test.ts`);
 * - `stories`: named scenarios on the simulated cluster (`simulation/stories/`).
 */
export type SimulatorName =
  | "cluster"
  | "core"
  | "disk"
  | "rewriting"
  | "reuse"
  | "damage"
  | "model"
  | "client"
  | "peers"
  | "stories";

/** A planted mistake. */
export interface Mutant {
  /** What it does wrong, in kebab case. */
  readonly name: string;
  /** The promise that it breaks, in a sentence. */
  readonly breaks: string;
  readonly edits: readonly Edit[];
  /** Who finds it: `cluster`, unless there is a reason. */
  readonly foundBy: SimulatorName;
  /** Why it is not the simulator of whole clusters. */
  readonly why?: string;
}

/** The text that an edit looks for is not there exactly once. */
export class StaleMutantError extends Error {
  override readonly name = "StaleMutantError";
  /** The mutant. */
  readonly mutant: string;
  readonly file: string;
  /** How often the text is there. */
  readonly count: number;

  /**
   * @param mutant The mutant.
   * @param edit The edit that does not apply.
   * @param count How often its text is there.
   */
  constructor(mutant: string, edit: Edit, count: number) {
    super(
      `Mutant ${mutant} is stale: its text is in ${edit.file} ${count} times, not once:\n` +
        edit.find.split("\n").map((line) => `    ${line}`).join("\n"),
    );
    this.mutant = mutant;
    this.file = edit.file;
    this.count = count;
  }
}

/**
 * Plants a mistake.
 *
 * @param mutant The mutant.
 * @param read Gives the text of a file.
 * @returns The changed files, by name.
 * @throws {StaleMutantError} when an edit does not apply exactly once.
 */
export function mutate(mutant: Mutant, read: (file: string) => string): Map<string, string> {
  const changed = new Map<string, string>();
  for (const edit of mutant.edits) {
    const text = changed.get(edit.file) ?? read(edit.file);
    const parts = text.split(edit.find);
    if (parts.length !== 2) throw new StaleMutantError(mutant.name, edit, parts.length - 1);
    changed.set(edit.file, parts.join(edit.replace));
  }
  return changed;
}
