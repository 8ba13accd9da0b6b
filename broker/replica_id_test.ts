import { assert, assertEquals } from "@std/assert";
import { newReplica, NODE_ID_MAX, nodeOf } from "./replica_id.ts";

Deno.test("a replica's id says which node it is on, and a founding one is named like its node", () => {
  assertEquals(nodeOf(3), 3);
  assertEquals(nodeOf(0), 0);
  for (const node of [1, 3, NODE_ID_MAX]) {
    const replica = newReplica(node, Date.UTC(2060, 0, 1));
    assert(Number.isSafeInteger(replica) && replica > NODE_ID_MAX);
    assertEquals(nodeOf(replica), node);
  }
});

Deno.test("newReplica() is later than the one before, whatever the clock says", () => {
  const first = newReplica(2, Date.UTC(2027, 0, 1));
  assert(newReplica(2, Date.UTC(2027, 0, 2)) > first);
  assert(newReplica(2, 0, first) > first);
  assert(newReplica(2, Date.UTC(2027, 0, 1), first) > first);
});
