/**
 * All mutants, in the order in which they are hunted.
 *
 * @module
 */

import { BROKER_MUTANTS } from "./broker_mutants.ts";
import { GROWTH_MUTANTS } from "./growth_mutants.ts";
import { LIFE_MUTANTS } from "./life_mutants.ts";
import type { Mutant } from "./mutant.ts";
import { QUEUE_MUTANTS } from "./queue_mutants.ts";
import { RAFT_MUTANTS } from "./raft_mutants.ts";
import { STORAGE_MUTANTS } from "./storage_mutants.ts";

/** See the module comment. */
export const MUTANTS: readonly Mutant[] = [
  ...RAFT_MUTANTS,
  ...STORAGE_MUTANTS,
  ...QUEUE_MUTANTS,
  ...LIFE_MUTANTS,
  ...GROWTH_MUTANTS,
  ...BROKER_MUTANTS,
];
