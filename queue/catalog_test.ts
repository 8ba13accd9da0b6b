import { assertEquals, assertStringIncludes } from "@std/assert";
import { Catalog } from "./catalog.ts";
import type { CreateQueueCommand, EditQueueCommand, QueueInfo, Reply } from "./commands.ts";
import { resolveLimits } from "./limits.ts";
import { queueSettings } from "./settings.ts";

const LIMITS = resolveLimits({ queues: 3, partitionsPerShard: 3 });

function createQueue(name: string, fields: Partial<CreateQueueCommand> = {}): CreateQueueCommand {
  return {
    kind: "createQueue",
    name,
    settings: queueSettings({ leaseMs: 1_000 }),
    shardCount: 2,
    acceptExisting: false,
    ...fields,
  };
}

function editQueue(name: string, change: Partial<EditQueueCommand>): EditQueueCommand {
  return { kind: "editQueue", name, settings: {}, ...change };
}

function queueOf(reply: Reply): QueueInfo {
  if (reply.kind !== "queue") throw new Error(`Expected a queue: ${JSON.stringify(reply)}`);
  return reply.queue;
}

function reasonOf(reply: Reply): string {
  return reply.kind === "refused" ? reply.reason : reply.kind;
}

/** What the keeper does, for everything on the list. */
function settleAll(catalog: Catalog): void {
  for (const { partitionId, action, revision } of catalog.partitionsToSettle()) {
    catalog.settle(partitionId, action, revision);
  }
}

Deno.test("Catalog.create() spreads partitions over shards and never uses an id again", () => {
  const catalog = new Catalog(LIMITS);
  const settings = queueSettings({ partitions: 2, leaseMs: 500 });
  const first = queueOf(catalog.create(createQueue("a", { settings })));
  assertEquals(first, {
    id: 1,
    name: "a",
    settings,
    paused: false,
    revision: 0,
    partitions: [{ id: 1, number: 0, shard: 0 }, { id: 2, number: 1, shard: 1 }],
    state: "creating",
  });
  assertEquals(queueOf(catalog.create(createQueue("b"))).partitions, [
    { id: 3, number: 0, shard: 0 },
  ]);
  catalog.delete("a");
  settleAll(catalog);
  const again = queueOf(catalog.create(createQueue("a")));
  assertEquals([again.id, again.partitions], [3, [{ id: 4, number: 0, shard: 1 }]]);
  catalog.checkInvariants();
});

Deno.test("Catalog.settle() makes a queue ready when the last partition is created", () => {
  const catalog = new Catalog(LIMITS);
  catalog.create(createQueue("a", { settings: queueSettings({ partitions: 3, leaseMs: 500 }) }));
  assertEquals(catalog.partitionsToSettle()[1], {
    action: "create",
    partitionId: 2,
    shard: 1,
    queueId: 1,
    queueName: "a",
    partitionNumber: 1,
    settings: queueSettings({ partitions: 3, leaseMs: 500 }),
    paused: false,
    revision: 0,
  });
  for (const partitionId of [2, 3, 3, 77]) catalog.settle(partitionId, "create");
  assertEquals(catalog.find("a")?.state, "creating");
  assertEquals(catalog.partitionsToSettle().map(({ partitionId }) => partitionId), [1]);
  catalog.settle(1, "create");
  assertEquals(catalog.find("a")?.state, "ready");
  assertEquals(catalog.partitionsToSettle(), []);
  catalog.checkInvariants();
});

Deno.test("Catalog.delete() waits for every partition, created or not", () => {
  const catalog = new Catalog(LIMITS);
  catalog.create(createQueue("a", { settings: queueSettings({ partitions: 2, leaseMs: 500 }) }));
  catalog.settle(1, "create");
  assertEquals(catalog.delete("a"), { kind: "ok" });
  assertEquals(catalog.delete("a"), { kind: "ok" });
  assertEquals(catalog.find("a")?.state, "deleting");
  assertEquals(
    catalog.partitionsToSettle().map(({ partitionId, action }) => [partitionId, action]),
    [[1, "delete"], [2, "delete"]],
  );
  catalog.settle(1, "delete");
  catalog.settle(2, "delete");
  assertEquals(catalog.find("a"), undefined);
  assertEquals(reasonOf(catalog.delete("a")), "queueNotFound");
  catalog.checkInvariants();
});

Deno.test("Catalog.settle() does not take a late creation for the deletion it waits for", () => {
  const catalog = new Catalog(LIMITS);
  catalog.create(createQueue("a"));
  catalog.delete("a");
  catalog.settle(1, "create");
  assertEquals(catalog.find("a")?.state, "deleting");
  catalog.settle(1, "delete");
  assertEquals(catalog.find("a"), undefined);
});

Deno.test("Catalog.create() finds an existing queue, if the settings are the same or do not matter", () => {
  const catalog = new Catalog(LIMITS);
  catalog.create(createQueue("a"));
  const other = queueSettings({ leaseMs: 2_000 });
  const existing = catalog.find("a");
  assertEquals(catalog.create(createQueue("a")), {
    kind: "queue",
    queue: existing!,
    created: false,
  });
  assertEquals(reasonOf(catalog.create(createQueue("a", { settings: other }))), "queueExists");
  const accepted = catalog.create(createQueue("a", { settings: other, acceptExisting: true }));
  assertEquals(queueOf(accepted), existing);
  catalog.delete("a");
  assertEquals(
    reasonOf(catalog.create(createQueue("a", { acceptExisting: true }))),
    "queueDeleting",
  );
});

Deno.test("Catalog.create() refuses bad names, settings and shard counts", () => {
  const catalog = new Catalog(LIMITS);
  const settings = queueSettings({ partitions: 0, leaseMs: 1_000 });
  assertEquals(reasonOf(catalog.create(createQueue(""))), "queueNameInvalid");
  assertEquals(reasonOf(catalog.create(createQueue("a", { settings }))), "settingsInvalid");
  assertEquals(reasonOf(catalog.create(createQueue("a", { shardCount: 0 }))), "invalidArgument");
  assertEquals(catalog.list(), []);
  assertEquals(queueOf(catalog.create(createQueue("a"))).id, 1);
});

Deno.test("Catalog.create() refuses when there are too many queues or a shard is full", () => {
  const catalog = new Catalog(LIMITS);
  const full = catalog.create(
    createQueue("a", { settings: queueSettings({ partitions: 7, leaseMs: 500 }) }),
  );
  assertEquals(reasonOf(full), "limitReached");
  assertStringIncludes(full.kind === "refused" ? full.message : "", "Shard 0");
  assertEquals(queueOf(catalog.create(createQueue("a"))).partitions[0]!.id, 1);
  for (const name of ["b", "c"]) catalog.create(createQueue(name));
  assertEquals(reasonOf(catalog.create(createQueue("d"))), "limitReached");
  catalog.delete("b");
  settleAll(catalog);
  assertEquals(queueOf(catalog.create(createQueue("d"))).name, "d");
});

Deno.test("Catalog.list() sorts by name and follows every change", () => {
  const catalog = new Catalog(LIMITS);
  for (const name of ["b", "ä", "a"]) catalog.create(createQueue(name));
  assertEquals(catalog.list().map(({ name }) => name), ["a", "b", "ä"]);
  settleAll(catalog);
  assertEquals(catalog.list().map(({ state }) => state), ["ready", "ready", "ready"]);
  catalog.delete("b");
  assertEquals(catalog.list()[1]!.state, "deleting");
  settleAll(catalog);
  assertEquals(catalog.list().map(({ name }) => name), ["a", "ä"]);
});

Deno.test("Catalog.edit() changes what is named, and waits for every partition to hear of it", () => {
  const catalog = new Catalog(LIMITS);
  catalog.create(createQueue("a", { settings: queueSettings({ partitions: 2 }) }));
  settleAll(catalog);
  const edited = queueOf(catalog.edit(editQueue("a", { settings: { leaseMs: 700 } })));
  assertEquals(edited.settings, queueSettings({ partitions: 2, leaseMs: 700 }));
  assertEquals([edited.state, edited.revision, edited.paused], ["ready", 1, false]);
  const paused = queueOf(catalog.edit(editQueue("a", { paused: true })));
  assertEquals([paused.revision, paused.paused, paused.settings.leaseMs], [2, true, 700]);
  assertEquals(
    catalog.partitionsToSettle().map(({ action, partitionId, revision }) => {
      return [action, partitionId, revision];
    }),
    [["update", 1, 2], ["update", 2, 2]],
  );
  catalog.settle(1, "update", 1);
  catalog.settle(2, "update", 2);
  assertEquals([catalog.isSettled("a"), catalog.isSettled("b")], [false, true]);
  catalog.settle(1, "update", 2);
  assertEquals(catalog.isSettled("a"), true);
  catalog.checkInvariants();
});

Deno.test("Catalog.edit() changes nothing where all is so already", () => {
  const catalog = new Catalog(LIMITS);
  catalog.create(createQueue("a"));
  settleAll(catalog);
  for (const change of [{}, { paused: false }, { settings: { leaseMs: 1_000, partitions: 1 } }]) {
    assertEquals(queueOf(catalog.edit(editQueue("a", change))).revision, 0);
  }
  assertEquals(catalog.isSettled("a"), true);
});

Deno.test("Catalog.edit() of a queue that is being made reaches partitions made before", () => {
  const catalog = new Catalog(LIMITS);
  catalog.create(createQueue("a", { settings: queueSettings({ partitions: 2 }) }));
  catalog.edit(editQueue("a", { paused: true }));
  catalog.settle(1, "create", 0);
  assertEquals(catalog.find("a")?.state, "creating");
  assertEquals(catalog.partitionsToSettle().map(({ action }) => action), ["update", "create"]);
  catalog.settle(2, "create", 1);
  assertEquals(catalog.find("a")?.state, "ready");
  catalog.checkInvariants();
  catalog.settle(1, "update", 1);
  assertEquals(catalog.isSettled("a"), true);
});

Deno.test("Catalog.edit() refuses with the reason", () => {
  const catalog = new Catalog(LIMITS);
  catalog.create(createQueue("a"));
  const reason = (change: Partial<EditQueueCommand>, name = "a") =>
    reasonOf(catalog.edit(editQueue(name, change)));
  assertEquals(reason({}, "b"), "queueNotFound");
  assertEquals(reason({ settings: { leaseMs: 1 } }), "settingsInvalid");
  assertEquals(reason({ settings: { partitions: 2 } }), "queueGrowing");
  catalog.delete("a");
  assertEquals(reason({ paused: true }), "queueDeleting");
});

Deno.test("Catalog.edit() takes no partition away", () => {
  const catalog = new Catalog(LIMITS);
  catalog.create(createQueue("a", { settings: queueSettings({ partitions: 2 }) }));
  settleAll(catalog);
  const fewer = catalog.edit(editQueue("a", { settings: { partitions: 1 } }));
  assertEquals(
    fewer.kind === "refused" && fewer.message,
    "A queue can get more partitions and not fewer: partitions is 2, and cannot become 1",
  );
});

Deno.test("Catalog.edit() has partitions made before anybody hears of them", () => {
  const catalog = new Catalog(LIMITS);
  catalog.create(createQueue("a"));
  settleAll(catalog);
  const more = editQueue("a", { settings: { partitions: 3 }, shardCount: 2 });
  assertEquals(queueOf(catalog.edit(more)).partitions.length, 1);
  const made = { action: "create", queueName: "a", revision: 0, growingFrom: 1 };
  assertEquals(
    catalog.partitionsToSettle().map(({ action, queueName, revision, growingFrom, ...rest }) => {
      assertEquals({ action, queueName, revision, growingFrom }, made as unknown);
      return [rest.partitionId, rest.partitionNumber, rest.shard, rest.settings.partitions];
    }),
    [[2, 1, 1, 3], [3, 2, 0, 3]],
  );
  catalog.settle(2, "create", 0);
  // Said again, as by a client that did not hear the answer.
  assertEquals(queueOf(catalog.edit(more)).partitions.length, 1);
  assertEquals(catalog.isSettled("a"), false);
  catalog.settle(3, "create", 0);
  const known = catalog.find("a")!;
  assertEquals(
    [known.partitions.length, known.settings.partitions, known.growingFrom, known.revision],
    [3, 3, 1, 1],
  );
  catalog.checkInvariants();
});

Deno.test("Catalog.drained() ends the growth when every old partition is drained", () => {
  const catalog = new Catalog(resolveLimits({ partitionsPerShard: 10 }));
  catalog.create(createQueue("a", { settings: queueSettings({ partitions: 2 }) }));
  settleAll(catalog);
  catalog.edit(editQueue("a", { settings: { partitions: 3 }, shardCount: 1 }));
  settleAll(catalog);
  settleAll(catalog);
  assertEquals(catalog.partitionsToSettle(), []);
  const more = editQueue("a", { settings: { partitions: 4 }, shardCount: 1 });
  assertEquals(reasonOf(catalog.edit(more)), "queueGrowing");
  // One that has not heard of the growth yet, and one that is not asked.
  catalog.drained(1, 0);
  catalog.drained(3, 1);
  catalog.drained(1, 1);
  assertEquals(catalog.find("a")?.growingFrom, 2);
  catalog.drained(2, 1);
  assertEquals(catalog.find("a")?.growingFrom, undefined);
  assertEquals(
    catalog.partitionsToSettle().map(({ partitionId, action, growingFrom }) => {
      return [partitionId, action, growingFrom];
    }),
    [[1, "update", undefined], [2, "update", undefined], [3, "update", undefined]],
  );
  assertEquals(reasonOf(catalog.edit(more)), "queue");
  catalog.checkInvariants();
});

Deno.test("Catalog.delete() takes partitions along that are being made", () => {
  const catalog = new Catalog(LIMITS);
  catalog.create(createQueue("a"));
  settleAll(catalog);
  catalog.edit(editQueue("a", { settings: { partitions: 2 }, shardCount: 2 }));
  catalog.delete("a");
  catalog.checkInvariants();
  assertEquals(
    catalog.partitionsToSettle().map(({ partitionId, action }) => [partitionId, action]),
    [[1, "delete"], [2, "delete"]],
  );
  settleAll(catalog);
  assertEquals(catalog.find("a"), undefined);
  catalog.checkInvariants();
});

Deno.test("Catalog.restore() goes on where the snapshot was taken", () => {
  const catalog = new Catalog(LIMITS);
  for (const name of ["a", "b", "c"]) catalog.create(createQueue(name));
  settleAll(catalog);
  catalog.edit(editQueue("a", { paused: true }));
  catalog.delete("b");
  const restored = new Catalog(LIMITS);
  restored.restoreNumbers(catalog.numbers);
  for (const saved of catalog.capture()) restored.restore(saved);
  restored.checkInvariants();
  assertEquals(restored.capture(), catalog.capture());
  assertEquals(restored.partitionsToSettle(), catalog.partitionsToSettle());
  settleAll(restored);
  assertEquals(restored.list().map(({ name }) => name), ["a", "c"]);
  assertEquals(queueOf(restored.create(createQueue("d"))).partitions[0]!.id, 4);
});
