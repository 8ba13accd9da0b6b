import { assertEquals } from "@std/assert";
import type { ConsumerReport, PeekedRecord, ShardStatus } from "../wire/mod.ts";
import { explainEmpty, explainMessage, explainShard, type ShardWitness } from "./explanation.ts";
import type { MessageReport } from "./look.ts";
import { PeekedMessage } from "./peek.ts";

const nowMs = Date.UTC(2026, 0, 1, 12);
const id = "orders/0/17";

const mailer: ConsumerReport = {
  sessionId: 4,
  consumerId: 1,
  clientName: "mailer",
  address: "10.0.0.1:4000",
  receiving: true,
  prefetch: 10,
  held: 10,
  heldSinceMs: nowMs - 4_250,
};
const away: ConsumerReport = {
  ...mailer,
  clientName: "printer",
  address: null,
  receiving: false,
  sessionEndsAtMs: nowMs + 8_000,
};

function report(fields: Partial<PeekedRecord> | "gone" | "unpublished"): MessageReport {
  const place = { id, queue: "orders", partition: 0, offset: 17, nextOffset: 12, nowMs };
  if (typeof fields === "string") return { ...place, state: fields, message: undefined };
  const message = new PeekedMessage("orders", 0, {
    offset: 17,
    state: "ready",
    deliveryCount: 0,
    term: 1,
    index: 9,
    publishedAtMs: nowMs - 60_000,
    record: new Uint8Array([0, 65]),
    ...fields,
  });
  return { ...place, state: message.state, message };
}

/** The reason and the sentence for a message of a partition with these consumers. */
function explained(
  fields: Parameters<typeof report>[0],
  consumers: readonly ConsumerReport[] = [],
  paused = false,
): [string, string] {
  const rates = { published: 0, delivered: 0, acked: 0, windowMs: 1 };
  const partition = { partitionId: 1, paused, rates, consumerCount: consumers.length, consumers };
  const { reason, sentence } = explainMessage(report(fields), partition);
  return [reason, sentence];
}

Deno.test("a message that is not published yet", () => {
  assertEquals(explained("unpublished"), [
    "unpublished",
    "orders/0/17 is not published yet: the next message of its partition gets offset 12",
  ]);
});

Deno.test("a message that is gone", () => {
  assertEquals(explained("gone"), [
    "gone",
    "orders/0/17 is gone: it was acked, or came to another end",
  ]);
});

Deno.test("a leased message", () => {
  const times = { sinceMs: nowMs - 12_000, endsAtMs: nowMs + 18_000 };
  assertEquals(
    explained({ state: "leased", deliveryCount: 1, lease: { consumer: mailer, ...times } }),
    [
      "leased",
      "orders/0/17 is leased to mailer (10.0.0.1:4000) since 2026-01-01T11:59:48.000Z (12.0 s ago), " +
      "until 2026-01-01T12:00:18.000Z (in 18.0 s)",
    ],
  );
  assertEquals(
    explained({ state: "leased", deliveryCount: 3, lease: { consumer: away, ...times } }),
    [
      "leased",
      "orders/0/17 is leased to printer (delivery 3) since 2026-01-01T11:59:48.000Z (12.0 s ago), " +
      "until 2026-01-01T12:00:18.000Z (in 18.0 s), which is not connected: its session ends at " +
      "2026-01-01T12:00:08.000Z (in 8.0 s)",
    ],
  );
});

Deno.test("a delayed message", () => {
  assertEquals(explained({ state: "delayed", dueAtMs: nowMs + 7_200_000 }), [
    "delayed",
    "orders/0/17 is delayed until 2026-01-01T14:00:00.000Z (in 2 h)",
  ]);
});

Deno.test("a ready message of a queue that is paused", () => {
  const sentence = "orders/0/17 is ready, and its queue is paused";
  assertEquals(explained({}, [], true), ["paused", sentence]);
  assertEquals(explained({}, [{ ...mailer, held: 0 }], true), ["paused", sentence]);
});

Deno.test("a ready message that waits for others of its key", () => {
  const times = { sinceMs: nowMs - 12_000, endsAtMs: nowMs + 18_000 };
  const leased = { by: "leased", offset: 12, lease: { consumer: mailer, ...times } } as const;
  const idle = [{ ...mailer, held: 0 }];
  assertEquals(explained({ block: leased }, idle), [
    "keyLeased",
    "orders/0/17 is ready, and its key is in flight at mailer (10.0.0.1:4000) since " +
    "2026-01-01T11:59:48.000Z (12.0 s ago): orders/0/12",
  ]);
  assertEquals(
    explained({ block: { by: "returned", offset: 12, untilMs: nowMs + 500 } }, idle),
    [
      "keyReturned",
      "orders/0/17 is ready, and orders/0/12 of its key came back, and goes first: it is delayed until " +
      "2026-01-01T12:00:00.500Z (in 0.5 s)",
    ],
  );
  assertEquals(explained({ block: { by: "rate", untilMs: nowMs + 250 } }, idle), [
    "keyRate",
    "orders/0/17 is ready, and its key is over its rate until 2026-01-01T12:00:00.250Z (in 0.3 s)",
  ]);
  assertEquals(explained({ block: leased })[0], "noConsumer", "that comes first");
});

Deno.test("a ready message, and no consumer", () => {
  assertEquals(explained({}), [
    "noConsumer",
    "orders/0/17 is ready, and nobody consumes from its partition",
  ]);
});

Deno.test("a ready message, and no consumer that is connected", () => {
  assertEquals(explained({}, [away, { ...away, clientName: "" }]), [
    "consumersAway",
    "orders/0/17 is ready, and no consumer of its partition is connected: the session of printer " +
    "ends at 2026-01-01T12:00:08.000Z (in 8.0 s) and the session of a client without a name ends at " +
    "2026-01-01T12:00:08.000Z (in 8.0 s)",
  ]);
  const { sessionEndsAtMs: _, ...attaching } = away;
  assertEquals(
    explained({}, [attaching])[1],
    "orders/0/17 is ready, and no consumer of its partition is connected: printer is about to attach " +
      "again",
  );
});

Deno.test("a ready message, and no consumer with credit", () => {
  const crowd = Array.from({ length: 5 }, (_, i) => ({
    ...mailer,
    clientName: `mailer ${i}`,
    heldSinceMs: nowMs - i * 1_000,
  }));
  assertEquals(explained({}, [away, mailer]), [
    "noCredit",
    "orders/0/17 is ready, and no consumer of its partition has credit: mailer (10.0.0.1:4000) holds " +
    "10 of 10, the longest since 2026-01-01T11:59:55.750Z (4.3 s ago)",
  ]);
  const [, sentence] = explained({}, crowd);
  assertEquals(sentence.match(/mailer \d/g), ["mailer 4", "mailer 3", "mailer 2"]);
  assertEquals(sentence.endsWith(" and 2 more"), true);
});

Deno.test("a ready message that a consumer gets now", () => {
  assertEquals(explained({}, [mailer, { ...mailer, clientName: "printer", held: 9 }]), [
    "underWay",
    "orders/0/17 is on its way: printer (10.0.0.1:4000) has credit",
  ]);
});

Deno.test("a queue with nothing in it", () => {
  assertEquals(explainEmpty("orders"), {
    reason: "empty",
    sentence: "orders has no message that waits, and none that is leased",
  });
});

function witness(nodeId: number, role?: ShardStatus["role"], leader = 0): ShardWitness {
  const address = `10.0.0.${nodeId}:7400`;
  return { id: nodeId, address, shard: role === undefined ? undefined : { role, leader } };
}

Deno.test("a shard without a quorum", () => {
  assertEquals(explainShard(1, [witness(1), witness(2, "preCandidate"), witness(3)]), {
    reason: "noQuorum",
    sentence:
      "no quorum on shard 1: 1 of 3 nodes can vote, 2 are needed; node 1 (10.0.0.1:7400) and " +
      "node 3 (10.0.0.3:7400) unreachable",
    shard: 1,
  });
  const { sentence } = explainShard(0, [witness(1), witness(2, "follower"), witness(3, "learner")]);
  assertEquals(
    sentence,
    "no quorum on shard 0: 1 of 3 nodes can vote, 2 are needed; node 1 (10.0.0.1:7400) unreachable; " +
      "1 still catching up",
  );
});

Deno.test("a shard without a leader", () => {
  const [first, second] = [witness(1, "candidate"), witness(2, "follower")];
  assertEquals(explainShard(1, [first, second, witness(3)]), {
    reason: "noLeader",
    sentence: "shard 1 has no leader at the moment: 2 of 3 nodes answer, and are to elect one; " +
      "node 3 (10.0.0.3:7400) unreachable",
    shard: 1,
  });
});

Deno.test("a shard whose leader does not get through to the others", () => {
  const nodes = [witness(1, "leader", 1), witness(2, "candidate"), witness(3, "follower")];
  assertEquals(
    explainShard(1, nodes).sentence,
    "shard 1 did not answer: node 1 leads it, and is busy or cut off from the others",
  );
});
