import { assertEquals } from "@std/assert";
import { bootstrapConfiguration } from "../raft/mod.ts";
import { PublishRoom } from "./publish_room.ts";

const configuration = bootstrapConfiguration([1, 2, 3]);

Deno.test("there is room while a majority has some", () => {
  const room = new PublishRoom();
  assertEquals(room.missing(configuration), []);
  room.note(2, true);
  assertEquals([room.missing(configuration), room.isOn(2), room.isOn(3)], [[], false, true]);
  room.note(1, true);
  assertEquals(room.missing(configuration), [1, 2]);
  room.note(2, false);
  assertEquals(room.missing(configuration), []);
});

Deno.test("the disk of a node that has no vote does not count", () => {
  const room = new PublishRoom();
  room.note(2, true);
  room.note(4, true);
  assertEquals(room.missing({ ...configuration, learners: [4] }), []);
});

Deno.test("during a change of members both majorities need room", () => {
  const room = new PublishRoom();
  const joint = { ...configuration, voters: [1, 2, 3 + 4_096], votersOutgoing: [1, 2, 4] };
  room.note(3, true);
  assertEquals(room.missing(joint), []);
  room.note(4, true);
  assertEquals(room.missing(joint), []);
  room.note(2, true);
  assertEquals(room.missing(joint), [2, 3, 4]);
});
