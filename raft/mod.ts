/**
 * Consensus and nothing else: the Raft algorithm as a pure state machine.
 *
 * A `Raft` is fed with `step()`, `tick()` and `propose()`, which change memory only, and asked with
 * `ready()` what is to be written, sent and applied. It does no I/O, knows no clock, and takes its
 * randomness as a function. See {@linkcode Ready} for the order in which a shell does the work.
 *
 * @module
 */

export * from "./types.ts";
export * from "./messages.ts";
export * from "./ready.ts";
export * from "./config.ts";
export * from "./invariant.ts";
export * from "./membership.ts";
export * from "./memory_storage.ts";
export type { ProgressState } from "./progress.ts";
export { quorumVote } from "./quorum.ts";
export { Raft } from "./raft.ts";
