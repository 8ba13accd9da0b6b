import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { configurationOf } from "./_test_group.ts";
import { majorityIndex, majorityVote, quorumIndex, quorumVote, type VoteResult } from "./quorum.ts";

/** By definition: the highest index for which more than half can be counted. */
function naiveMajorityIndex(voters: readonly number[], reached: ReadonlyMap<number, number>) {
  if (voters.length === 0) return Infinity;
  const has = (index: number) => voters.filter((id) => (reached.get(id) ?? 0) >= index).length;
  const candidates = [0, ...reached.values()].filter((index) => 2 * has(index) > voters.length);
  return Math.max(...candidates);
}

/** By definition: what follows from every way in which the missing votes could still come out. */
function naiveVote(voters: readonly number[], votes: ReadonlyMap<number, boolean>): VoteResult {
  const missing = voters.filter((id) => !votes.has(id));
  const outcomes = new Set<boolean>();
  for (let bits = 0; bits < 1 << missing.length; bits++) {
    const yes = voters.filter((id) => votes.get(id) ?? (bits >> missing.indexOf(id)) % 2 === 1);
    outcomes.add(voters.length === 0 || 2 * yes.length > voters.length);
  }
  if (outcomes.size === 2) return "pending";
  return outcomes.has(true) ? "won" : "lost";
}

const voters = fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { maxLength: 9 });
const reached = fc.array(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.nat({ max: 20 })))
  .map((pairs) => new Map(pairs));
const votes = fc.array(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.boolean()))
  .map((pairs) => new Map(pairs));

Deno.test("majorityIndex() agrees with counting by definition", () => {
  fc.assert(fc.property(voters, reached, (voters, reached) => {
    const fast = majorityIndex(voters, (id) => reached.get(id) ?? 0);
    assertEquals(fast, naiveMajorityIndex(voters, reached));
  }));
});

Deno.test("quorumIndex() is the lower of both halves", () => {
  fc.assert(fc.property(voters, voters, reached, (incoming, outgoing, reached) => {
    const fast = quorumIndex(configurationOf(incoming, outgoing), (id) => reached.get(id) ?? 0);
    const halves = [naiveMajorityIndex(incoming, reached), naiveMajorityIndex(outgoing, reached)];
    assertEquals(fast, Math.min(...halves));
  }));
});

Deno.test("majorityVote() agrees with trying out every outcome", () => {
  fc.assert(fc.property(voters, votes, (voters, votes) => {
    assertEquals(majorityVote(voters, votes), naiveVote(voters, votes));
  }));
});

Deno.test("quorumVote() needs both halves to be won, and one to be lost", () => {
  fc.assert(fc.property(voters, voters, votes, (incoming, outgoing, votes) => {
    const halves = [naiveVote(incoming, votes), naiveVote(outgoing, votes)];
    const expected = halves.includes("lost")
      ? "lost"
      : halves.includes("pending")
      ? "pending"
      : "won";
    assertEquals(quorumVote(configurationOf(incoming, outgoing), votes), expected);
  }));
});
