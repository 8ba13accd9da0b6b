/**
 * Mistakes in the consensus core.
 *
 * @module
 */

import type { Mutant } from "./mutant.ts";

export const RAFT_MUTANTS: readonly Mutant[] = [
  {
    name: "commits-entries-of-earlier-terms",
    breaks: "a leader counts replicas only for entries of its own term (Raft paper, 5.4.2)",
    edits: [{
      file: "raft/replication.ts",
      find: "if (index <= log.commitIndex || index < core.termFirstIndex) return false;",
      replace: "if (index <= log.commitIndex) return false;",
    }],
    foundBy: "cluster",
  },
  {
    name: "acknowledges-before-sync",
    breaks: "a follower acknowledges what its disk has",
    edits: [{
      file: "raft/core.ts",
      find: "else waiting.push(message);",
      replace: "else this.#messages.push(message);",
    }],
    foundBy: "cluster",
  },
  {
    name: "votes-before-sync",
    breaks: "a vote is on the voter's disk before anybody hears of it",
    edits: [{
      file: "raft/elections.ts",
      find: 'core.sendAfterPersist({\n    kind: "voteResponse",',
      replace: 'core.send({\n    kind: "voteResponse",',
    }],
    foundBy: "cluster",
  },
  {
    name: "leader-counts-itself-before-sync",
    breaks: "a leader counts its own disk for what is on it",
    edits: [{
      file: "raft/replication.ts",
      find: "own.acknowledge(core.log.durableIndex)",
      replace: "own.acknowledge(core.log.lastIndex)",
    }],
    foundBy: "cluster",
  },
  {
    name: "forgets-its-vote-at-restart",
    breaks: "a node has one vote a term, over restarts",
    edits: [{
      file: "raft/core.ts",
      find: "this.vote = hardState.vote;",
      replace: "this.vote = 0;",
    }],
    foundBy: "cluster",
  },
  {
    name: "votes-twice",
    breaks: "a node has one vote a term",
    edits: [{
      file: "raft/elections.ts",
      find: "(core.vote === 0 && core.leader === 0) ||",
      replace: "core.leader === 0 ||",
    }],
    foundBy: "cluster",
  },
  {
    name: "votes-for-shorter-logs",
    breaks: "nobody votes for a log that is less complete than its own (Raft paper, 5.4.1)",
    edits: [{
      file: "raft/raft_log.ts",
      find: "(lastTerm === this.#lastTerm && lastIndex >= this.#lastIndex)",
      replace: "lastTerm === this.#lastTerm",
    }],
    foundBy: "cluster",
  },
  {
    name: "half-of-the-nodes-commits",
    breaks: "an entry is committed when more than half of the voters have it",
    edits: [{
      file: "raft/quorum.ts",
      find: "return scratch[count - (count >> 1) - 1]!;",
      replace: "return scratch[Math.min(count - 1, count - (count >> 1))]!;",
    }],
    foundBy: "cluster",
  },
  {
    name: "half-of-the-nodes-elects",
    breaks: "a leader has the votes of more than half of the voters",
    edits: [{
      file: "raft/quorum.ts",
      find: "const majority = (voters.length >> 1) + 1;",
      replace: "const majority = (voters.length + 1) >> 1;",
    }],
    foundBy: "core",
    why: "half of an odd number of nodes rounds to a majority: it takes a cluster of four",
  },
  {
    name: "leads-before-its-own-vote-is-durable",
    breaks: "a candidate does not lead before its own vote is on its disk",
    edits: [{
      file: "raft/elections.ts",
      find: 'result === "won" && core.votes.has(core.id)',
      replace: 'result === "won"',
    }],
    foundBy: "cluster",
  },
  {
    name: "accepts-acknowledgements-of-old-terms",
    breaks: "an acknowledgement counts in the term that it was given in",
    edits: [{
      file: "raft/step.ts",
      find: "return answerLowerTerm(core, message);",
      replace: 'if (message.kind !== "appendResponse") return answerLowerTerm(core, message);',
    }],
    foundBy: "core",
    why: "the streams between nodes keep messages in order, and seldom leave one over",
  },
  {
    name: "any-message-resets-the-election-timer",
    breaks: "only a leader, and whoever gets this node's vote, may make it wait",
    edits: [{
      file: "raft/step.ts",
      find: "  if (message.term > core.term) {\n    if (!settleHigherTerm",
      replace:
        "  core.electionElapsed = 0;\n  if (message.term > core.term) {\n    if (!settleHigherTerm",
    }],
    foundBy: "cluster",
  },
  {
    name: "cuts-its-log-at-a-stale-append",
    breaks: "a late append that agrees with the log takes nothing away from it",
    edits: [{
      file: "raft/raft_log.ts",
      find: "if (previousIndex < this.#lastIndex) {",
      replace: "if (previousIndex < this.#commitIndex) {",
    }],
    foundBy: "core",
    why: "the streams between nodes do not repeat messages",
  },
  {
    name: "cuts-committed-entries",
    breaks: "what is committed is never cut off, whatever a late append says",
    edits: [{
      file: "raft/step_follower.ts",
      find: "if (previousIndex < log.commitIndex) {",
      replace: "if (previousIndex < 0) {",
    }, {
      file: "raft/raft_log.ts",
      find: "if (previousIndex < this.#lastIndex) {",
      replace: "if (previousIndex < 0) {",
    }, {
      file: "raft/raft_log.ts",
      find: "conflict > this.#commitIndex,",
      replace: "conflict > 0,",
    }],
    foundBy: "cluster",
  },
  {
    name: "heartbeats-commit-what-may-be-missing",
    breaks: "a follower commits what it is known to hold",
    edits: [{
      file: "raft/replication.ts",
      find: "const known = Math.min(progress.matchIndex, commit);",
      replace: "const known = commit;",
    }],
    foundBy: "cluster",
  },
  {
    name: "changes-members-before-an-own-commit",
    breaks: "a leader changes members only after it has committed an entry of its term",
    edits: [{
      file: "raft/proposals.ts",
      find: 'if (!core.termCommitted) return "termNotCommitted";',
      replace: "",
    }],
    foundBy: "core",
    why: "the brokers do not change members yet",
  },
  {
    name: "reads-without-a-quorum",
    breaks: "a read waits until a quorum has confirmed the leader",
    edits: [{
      file: "raft/reads.ts",
      find: "if (isOnlyVoter(core) || holdsLease(core)) {",
      replace: "if (core.termCommitted) {",
    }],
    foundBy: "cluster",
  },
  {
    name: "reads-before-its-term-is-established",
    breaks: "a new leader serves no read before it has committed an entry of its own term",
    edits: [{
      file: "raft/reads.ts",
      find: "if (!core.termCommitted) {",
      replace: "if (core.log.commitIndex < 0) {",
    }],
    foundBy: "cluster",
  },
  {
    name: "forgets-the-members-of-a-snapshot",
    breaks: "a snapshot brings its members along",
    edits: [{
      file: "raft/raft.ts",
      find: "core.rebuildProgress(ready.snapshot!.metadata.configuration);",
      replace: "",
    }],
    foundBy: "core",
    why: "the brokers do not change members yet",
  },
];
