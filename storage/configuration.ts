/**
 * The members of a cluster as they come out of a file.
 *
 * @module
 */

import type { Configuration } from "../raft/types.ts";

/**
 * Tells whether a value read from a file is a configuration.
 *
 * @param value The value.
 * @returns Whether it has all that a configuration has.
 */
export function isConfiguration(value: unknown): value is Configuration {
  if (typeof value !== "object" || value === null) return false;
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = value as Configuration;
  return typeof autoLeave === "boolean" &&
    [voters, votersOutgoing, learners, learnersNext].every(isNodeList);
}

function isNodeList(list: unknown): boolean {
  return Array.isArray(list) && list.every((id) => Number.isSafeInteger(id) && id > 0);
}
