import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { configurationOf } from "./_test_group.ts";
import { InvariantError } from "./invariant.ts";
import {
  bootstrapConfiguration,
  changedConfiguration,
  type ConfigChange,
  type ConfigChangeStep,
  decodeConfigChange,
  EMPTY_CONFIGURATION,
  encodeConfigChange,
  isJoint,
  LEAVE_JOINT,
  members,
  whyNot,
} from "./membership.ts";

function change(text: string, transition: ConfigChange["transition"] = "auto"): ConfigChange {
  const kinds = { v: "addVoter", l: "addLearner", r: "remove" } as const;
  const steps = text.split(" ").filter(Boolean).map((word): ConfigChangeStep => ({
    kind: kinds[word[0] as keyof typeof kinds],
    node: Number(word.slice(1)),
  }));
  return { steps, transition };
}

Deno.test("changedConfiguration() makes one step directly", () => {
  const start = bootstrapConfiguration([1, 2], [4]);
  assertEquals(changedConfiguration(start, change("v3")), configurationOf([1, 2, 3], [], [4]));
  assertEquals(changedConfiguration(start, change("v4")), configurationOf([1, 2, 4]));
  assertEquals(changedConfiguration(start, change("r2")), configurationOf([1], [], [4]));
  assertEquals(changedConfiguration(start, change("l2")), configurationOf([1], [], [2, 4]));
  assertEquals(changedConfiguration(start, change("r9")), start);
});

Deno.test("changedConfiguration() makes more steps through a joint configuration", () => {
  const start = bootstrapConfiguration([1, 2, 3]);
  const joint = changedConfiguration(start, change("r1 v4 l3 l5"));
  assertEquals(joint, {
    voters: [2, 4],
    votersOutgoing: [1, 2, 3],
    learners: [5],
    learnersNext: [3],
    autoLeave: true,
  });
  assertEquals(members(joint), [1, 2, 3, 4, 5]);
  assertEquals(changedConfiguration(joint, LEAVE_JOINT), configurationOf([2, 4], [], [3, 5]));
});

Deno.test("changedConfiguration() goes through a joint configuration where that is wanted", () => {
  const start = bootstrapConfiguration([1]);
  const implicit = changedConfiguration(start, change("v2", "implicit"));
  const explicit = changedConfiguration(start, change("v2", "explicit"));
  assertEquals([isJoint(implicit), implicit.autoLeave], [true, true]);
  assertEquals([isJoint(explicit), explicit.autoLeave], [true, false]);
});

Deno.test("whyNot() says why a change does not fit", () => {
  const plain = bootstrapConfiguration([1]);
  const joint = changedConfiguration(plain, change("v2 v3", "explicit"));
  assertEquals(whyNot(plain, change("v2")), undefined);
  assertEquals(whyNot(plain, LEAVE_JOINT), "notJoint");
  assertEquals(whyNot(plain, change("r1")), "noVoters");
  assertEquals(whyNot(joint, change("v4")), "joint");
  assertEquals(whyNot(joint, LEAVE_JOINT), undefined);
});

Deno.test("changedConfiguration() does not begin from nothing", () => {
  assertThrows(() => changedConfiguration(EMPTY_CONFIGURATION, change("v1")), InvariantError);
});

Deno.test("bootstrapConfiguration() refuses ids that are no ids, or occur twice", () => {
  assertThrows(() => bootstrapConfiguration([0]), RangeError, "current value is 0");
  assertThrows(() => bootstrapConfiguration([1, 2], [2]), RangeError, "1, 2, 2");
});

Deno.test("decodeConfigChange() reads what encodeConfigChange() made", () => {
  const step = fc.record({
    kind: fc.constantFrom("addVoter" as const, "addLearner" as const, "remove" as const),
    node: fc.maxSafeNat().filter((id) => id > 0),
  });
  const changes = fc.record({
    steps: fc.array(step),
    transition: fc.constantFrom("auto" as const, "implicit" as const, "explicit" as const),
  });
  fc.assert(fc.property(changes, (change) => {
    assertEquals(decodeConfigChange(encodeConfigChange(change)), change);
  }));
});

Deno.test("decodeConfigChange() refuses bytes that are no change", () => {
  const good = encodeConfigChange(change("v1 v2"));
  for (let length = 0; length < good.length; length++) {
    assertThrows(() => decodeConfigChange(good.subarray(0, length)), SyntaxError);
  }
  for (const [at, value] of [[0, 9], [1, 3], [4, 3]] as const) {
    const bad = good.slice();
    bad[at] = value;
    assertThrows(() => decodeConfigChange(bad), SyntaxError, `current value is ${value}`);
  }
});
