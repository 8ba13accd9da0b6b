import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { checkConfig, clusterIdOf, type ClusterMember, type NodeConfig } from "./config.ts";

function member(id: number, port: number): ClusterMember {
  return { id, peerAddress: { hostname: "127.0.0.1", port } };
}

function config(changes: Partial<NodeConfig>): NodeConfig {
  return {
    nodeId: 1,
    cluster: [member(1, 7402), member(2, 7412)],
    dataDirectory: "data",
    listen: { hostname: "127.0.0.1", port: 7400 },
    peerListen: { hostname: "127.0.0.1", port: 7402 },
    ...changes,
  };
}

Deno.test("checkConfig() accepts a cluster that names its node", () => {
  checkConfig(config({}));
  checkConfig(config({ shards: 16 }));
});

Deno.test("checkConfig() refuses lists that contradict themselves, with the value", () => {
  assertThrows(() => checkConfig(config({ nodeId: 3 })), TypeError, "node 3");
  assertThrows(
    () => checkConfig(config({ cluster: [member(1, 7402), member(1, 7412)] })),
    TypeError,
    "node 1 is in it twice",
  );
  assertThrows(
    () => checkConfig(config({ cluster: [member(1, 7402), member(2, 7402)] })),
    TypeError,
    "127.0.0.1:7402 is in it twice",
  );
  assertThrows(() => checkConfig(config({ cluster: [member(0, 7402)] })), RangeError, "is 0");
  assertThrows(() => checkConfig(config({ shards: 0 })), RangeError, "current value is 0");
});

Deno.test("clusterIdOf() depends on members and shards, not on their order", () => {
  const id = clusterIdOf([member(1, 7402), member(2, 7412)], 1);
  assertEquals(clusterIdOf([member(2, 7412), member(1, 7402)], 1), id);
  assertNotEquals(clusterIdOf([member(1, 7402), member(2, 7413)], 1), id);
  assertNotEquals(clusterIdOf([member(1, 7402), member(2, 7412)], 2), id);
  assertEquals(id.length, 16);
});

Deno.test("clusterIdOf() lets a cluster of one move to another address", () => {
  assertEquals(clusterIdOf([member(1, 7402)], 1), clusterIdOf([member(1, 9999)], 1));
});
