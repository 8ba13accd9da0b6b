/**
 * "Did you mean …?": the word a person most likely meant.
 *
 * @module
 */

/**
 * Counts the insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
 *
 * @param a One word.
 * @param b Another word.
 * @returns The number of single-letter changes between them.
 *
 * @example A swap of neighbours counts once
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(editDistance("srever", "server"), 1);
 * assertEquals(editDistance("listen", "lisen"), 1);
 * ```
 */
export function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(replaced, previous[j]! + 1, current[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, beforePrevious[j - 2]! + 1);
      }
      current.push(best);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length]!;
}

/**
 * Finds the known word that is closest to what was typed, if any is close.
 *
 * A beginning of a word counts as close from two letters on; otherwise a third of the letters,
 * and at least one, may differ.
 *
 * @param typed What a person typed.
 * @param known The words that would have been right.
 * @returns The closest of them, or `undefined` when none is close.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(closestWord("--lsiten", ["--listen", "--peer"]), "--listen");
 * assertEquals(closestWord("--zebra", ["--listen", "--peer"]), undefined);
 * ```
 */
export function closestWord(typed: string, known: Iterable<string>): string | undefined {
  const word = typed.replace(/^-+/, "").toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const name = candidate.replace(/^-+/, "").toLowerCase();
    const distance = word.length >= 2 && name.startsWith(word) ? 0.5 : editDistance(word, name);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}
