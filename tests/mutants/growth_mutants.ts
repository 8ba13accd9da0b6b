/**
 * Mistakes of queues that get more partitions.
 *
 * @module
 */

import type { Mutant } from "./mutant.ts";

export const GROWTH_MUTANTS: readonly Mutant[] = [
  {
    name: "a-new-partition-holds-nothing-back",
    breaks: "a key that has moved waits until its older messages are gone",
    edits: [{
      file: "queue/partition.ts",
      find: "  return growingFrom !== undefined && number >= growingFrom;",
      replace: "  return growingFrom !== undefined && number < 0;",
    }],
    foundBy: "cluster",
  },
  {
    name: "takes-what-knew-fewer-partitions",
    breaks: "behind the change of an old partition no message of a key comes that has moved",
    edits: [{
      file: "queue/partition_commands.ts",
      find: "return partitionCount > 0 && partitionCount < identity.settings.partitions;",
      replace: "return false;",
    }],
    foundBy: "cluster",
  },
  {
    name: "takes-what-is-leased-for-gone",
    breaks: "a partition is drained when what consumers hold is acked",
    edits: [{
      file: "queue/partition.ts",
      find: "    for (const offset of this.#leasedOffsets()) if (offset < end) return false;\n",
      replace: "",
    }],
    foundBy: "cluster",
  },
  {
    name: "places-anew-before-all-is-known",
    breaks: "what is left is placed anew when it is known what became of all that was sent",
    edits: [{
      file: "client/publisher.ts",
      find: "    if (!before.every(({ isSettled }) => isSettled)) return;\n",
      replace: "",
    }],
    foundBy: "cluster",
  },
  {
    name: "ends-a-growth-for-news-of-an-earlier-one",
    breaks: "a partition is drained of what it had when this growth began",
    edits: [{
      file: "queue/growing_queues.ts",
      find: "if (queue?.growth === undefined || revision < queue.growth.revision) return;",
      replace: "if (queue?.growth === undefined) return;",
    }],
    foundBy: "model",
    why: "a report would have to be under way from one growth to the next",
  },
  {
    name: "drops-what-goes-to-a-partition-it-did-not-know",
    breaks: "what is on its way to another queue arrives though that has got more partitions",
    edits: [{
      file: "broker/outbox_keeper.ts",
      find: "    const queue = await this.#find(name);\n    if (queue === undefined) return",
      replace:
        "    const queue = this.#queues.get(name) ?? await this.#find(name);\n    if (queue === undefined) return",
    }],
    foundBy: "cluster",
  },
];
