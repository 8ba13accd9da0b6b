import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { InvariantError } from "./invariant.ts";
import { TermRuns } from "./term_runs.ts";

Deno.test("TermRuns agrees with a plain list of terms", () => {
  fc.assert(fc.property(
    fc.array(
      fc.record({ keep: fc.nat(30), rise: fc.nat(2), count: fc.integer({ min: 1, max: 5 }) }),
    ),
    (steps: { keep: number; rise: number; count: number }[]) => {
      const runs = new TermRuns();
      const terms: number[] = [];
      for (const { keep, rise, count } of steps) {
        terms.length = Math.min(terms.length, keep);
        runs.truncateSuffix(terms.length);
        const term = (terms.at(-1) ?? 1) + rise;
        for (let i = 0; i < count; i++) {
          terms.push(term);
          runs.append(terms.length, term);
        }
      }
      assertEquals(runs.lastTerm, terms.at(-1) ?? 0);
      for (let index = 0; index <= terms.length; index++) {
        assertEquals(runs.termAt(index), terms[index - 1] ?? 0);
      }
      assertEquals([...runs].length, new Set(terms).size);
    },
  ));
});

Deno.test("TermRuns.append() takes a term that falls for a bug", () => {
  const runs = new TermRuns();
  runs.append(1, 5);
  assertThrows(() => runs.append(2, 4), InvariantError);
});
