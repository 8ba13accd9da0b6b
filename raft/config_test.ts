import { assertEquals, assertThrows } from "@std/assert";
import { makeRaft } from "./_test_group.ts";
import { resolveConfig } from "./config.ts";
import { MemoryStorage } from "./memory_storage.ts";

Deno.test("resolveConfig() fills in the defaults", () => {
  const settings = resolveConfig({ id: 1, storage: new MemoryStorage(), random: () => 0 });
  assertEquals(settings.electionTicks, 10);
  assertEquals(settings.leaseMarginTicks, 3);
  assertEquals([settings.preVote, settings.checkQuorum, settings.readMode], [true, true, "quorum"]);
});

Deno.test("new Raft() refuses settings that are out of range", () => {
  assertThrows(() => makeRaft({ id: 0 }), RangeError, "current value is 0");
  assertThrows(
    () => makeRaft({ electionTicks: 3, heartbeatTicks: 3 }),
    RangeError,
    "electionTicks",
  );
  assertThrows(() => makeRaft({ inflightMessagesMax: 0 }), RangeError, "inflightMessagesMax");
  assertThrows(
    () => makeRaft({ readMode: "lease", checkQuorum: false }),
    RangeError,
    "lease reads need checkQuorum",
  );
});
