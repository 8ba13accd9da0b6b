/**
 * The copy of the sources that mutants are planted in.
 *
 * @module
 */

import { repositoryRoot } from "../paths.ts";
import { type Mutant, mutate } from "./mutant.ts";

/** What the simulators need of the repository. */
const PARTS = [
  "deno.json",
  "deno.lock",
  "raft",
  "queue",
  "storage",
  "wire",
  "client",
  "broker",
  "tests/simulation",
  "tests/mutants",
  "tests/paths.ts",
];

/** A copy of the sources in a directory of its own, which goes when the copy is disposed of. */
export class Workspace implements Disposable {
  /** Where it is, with a slash at its end. */
  readonly root: string;
  readonly #originals = new Map<string, string>();

  constructor() {
    this.root = `${Deno.makeTempDirSync({ prefix: "flowmq-mutants-" })}/`;
    for (const part of PARTS) copy(repositoryRoot + part, this.root + part);
  }

  /**
   * Plants a mutant, in place of the one before it.
   *
   * @param mutant The mutant.
   * @returns The files that were changed.
   * @throws {StaleMutantError} when an edit does not apply exactly once.
   */
  plant(mutant: Mutant): string[] {
    this.restore();
    const read = (file: string) => Deno.readTextFileSync(this.root + file);
    const changed = mutate(mutant, read);
    for (const [file, text] of changed) {
      this.#originals.set(file, read(file));
      Deno.writeTextFileSync(this.root + file, text);
    }
    return [...changed.keys()];
  }

  /** Takes the mutant out. */
  restore(): void {
    for (const [file, text] of this.#originals) Deno.writeTextFileSync(this.root + file, text);
    this.#originals.clear();
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

function copy(from: string, to: string): void {
  if (Deno.statSync(from).isFile) {
    Deno.mkdirSync(to.slice(0, to.lastIndexOf("/")), { recursive: true });
    Deno.copyFileSync(from, to);
    return;
  }
  for (const { name } of Deno.readDirSync(from)) copy(`${from}/${name}`, `${to}/${name}`);
}
