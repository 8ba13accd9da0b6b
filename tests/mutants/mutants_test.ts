/**
 * That the mutants can still be planted: a change of the code must not disarm them unnoticed.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { repositoryRoot } from "../paths.ts";
import { type Edit, type Mutant, mutate, StaleMutantError } from "./mutant.ts";
import { MUTANTS } from "./mutants.ts";

function read(file: string): string {
  return Deno.readTextFileSync(repositoryRoot + file);
}

Deno.test("each mutant's text is in the sources exactly once", async (t) => {
  for (const mutant of MUTANTS) {
    await t.step(mutant.name, () => {
      const changed = mutate(mutant, read);
      assert(changed.size > 0);
      for (const [file, text] of changed) assert(text !== read(file), `${file} stays as it is`);
    });
  }
});

Deno.test("mutants have names of their own, and are in code that is shipped", () => {
  assertEquals(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
  for (const { name, edits, foundBy, why } of MUTANTS) {
    assert(/^[a-z]+(-[a-z]+)*$/.test(name), name);
    assertEquals(foundBy !== "cluster", why !== undefined, name);
    for (const { file } of edits) {
      assert(/^(raft|queue|storage|wire|client|broker)\/[a-z_0-9]+\.ts$/.test(file), file);
      assert(!/_test\.ts$|\/_/.test(file), file);
    }
  }
});

Deno.test("mutate() makes one edit after the other", () => {
  const edits = [edit("a", "one", "two"), edit("a", "two;", "three;"), edit("b", "x", "y")];
  const files: Record<string, string> = { a: "let one;", b: "x" };
  assertEquals(
    mutate(mutantOf(edits), (file) => files[file]!),
    new Map([["a", "let three;"], ["b", "y"]]),
  );
});

Deno.test("mutate() puts text in as it is, dollars included", () => {
  const changed = mutate(mutantOf([edit("a", "1", "$& $1 $$")]), () => "a1b");
  assertEquals(changed.get("a"), "a$& $1 $$b");
});

Deno.test("mutate() refuses a text that is not there, or there twice", () => {
  for (const [text, count] of [["", 0], ["x x", 2]] as const) {
    const error = assertThrows(
      () => mutate(mutantOf([edit("a", "x", "y")]), () => text),
      StaleMutantError,
      "Mutant sample is stale",
    );
    assertEquals([error.file, error.count], ["a", count]);
  }
});

function edit(file: string, find: string, replace: string): Edit {
  return { file, find, replace };
}

function mutantOf(edits: readonly Edit[]): Mutant {
  return { name: "sample", breaks: "nothing", edits, foundBy: "cluster" };
}
