import { assertEquals, assertThrows } from "@std/assert";
import type { Entry } from "../../raft/mod.ts";
import { numberedName, ProducerModel } from "./producer_model.ts";

const entry: Entry = { index: 9, term: 1, kind: 0, data: new Uint8Array() };
const partitionId = 5;

function open(model: ProducerModel, sessionId: number, nextSequence?: number): number | undefined {
  const producers = nextSequence === undefined ? [] : [{ partitionId, nextSequence }];
  return model.opened(
    entry,
    { kind: "openSession", timeoutMs: 1_000, clientName: "test", producer: "p" },
    { kind: "sessionOpened", sessionId, producers },
  );
}

function setUp(): ProducerModel {
  const model = new ProducerModel((invariant, _, details) => {
    throw new Error(`${invariant}: ${details}`);
  });
  assertEquals(open(model, 1), undefined);
  model.published(entry, 1, partitionId, 0, [numberedName("a", 0), numberedName("b", 1)]);
  return model;
}

Deno.test("ProducerModel follows a name from one session to the next", () => {
  const model = setUp();
  assertEquals(open(model, 2, 2), 1);
  assertEquals(model.published(entry, 2, partitionId, 2, [numberedName("c", 2)]), true);
  assertEquals(model.published(entry, 1, partitionId, 0, ["of a session without a name"]), false);
  assertEquals([model.isNamed(1), model.isNamed(2)], [false, true]);
});

Deno.test("ProducerModel finds a name that does not go on where it was", () => {
  assertThrows(() => open(setUp(), 2, 1), Error, "goes on where the last one has ended");
  assertThrows(() => open(setUp(), 2), Error, "goes on where the last one has ended");
});

Deno.test("ProducerModel takes 0 for a partition that has refused all of it (seed 74)", () => {
  const model = new ProducerModel((invariant) => {
    throw new Error(invariant);
  });
  assertEquals(open(model, 1), undefined);
  assertEquals(open(model, 2, 0), 1);
  assertEquals(model.isNamed(2), false);
  assertThrows(() => open(setUp(), 2, 0), Error, "goes on where the last one has ended");
});

Deno.test("ProducerModel finds a number that is left out, or stored twice", () => {
  const names = [numberedName("c", 2)];
  assertThrows(() => setUp().published(entry, 1, partitionId, 3, names), Error, "stored once");
  const again = [numberedName("b", 1)];
  assertThrows(() => setUp().published(entry, 1, partitionId, 2, again), Error, "stored once");
});
