import { assertEquals } from "@std/assert";
import { Tombstones } from "./tombstones.ts";

Deno.test("Tombstones forgets the oldest id when there are too many", () => {
  const tombstones = new Tombstones(2);
  for (const id of [5, 3, 5, 9]) tombstones.add(id);
  assertEquals([5, 3, 9].map((id) => tombstones.has(id)), [false, true, true]);
  assertEquals([...tombstones.capture()], [3, 9]);
  tombstones.add(1);
  assertEquals([...tombstones.capture()], [9, 1]);
});
