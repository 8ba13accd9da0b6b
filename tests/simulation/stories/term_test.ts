/**
 * What a new leader knows before its term has begun.
 *
 * @module
 */

import { assert } from "@std/assert";
import type { Shard } from "../../../broker/shard.ts";
import { Stage } from "../stage.ts";

Deno.test("a leader has not begun its term before it has applied what others were told is stored", async () => {
  let early = 0;
  for (let seed = 1; seed <= 8; seed++) {
    const stage = new Stage(seed);
    const { raftChecker } = stage.cluster;
    const shards = new Map<number, Shard>();
    const opened = raftChecker.opened.bind(raftChecker);
    raftChecker.opened = (node, shard, faults) => {
      shards.set(node, shard);
      opened(node, shard, faults);
    };
    await stage.start();
    const { leader } = stage;
    const { client } = await stage.connect(stage.followers, { name: "publisher" });
    await stage.wait(client.createQueue("queue"));
    await stage.wait(stage.publish(client, "queue"));
    const { appliedIndex } = shards.get(leader.id)!.status();
    assert(shards.get(leader.id)!.hasBegunTerm);
    leader.kill();
    shards.delete(leader.id);
    await stage.until(() => {
      for (const shard of shards.values()) {
        const isBehind = shard.status().appliedIndex < appliedIndex;
        if (shard.leading && isBehind) early++;
        assert(!shard.hasBegunTerm || shard.leading && !isBehind);
      }
      return [...shards.values()].some(({ hasBegunTerm }) => hasBegunTerm);
    });
    leader.start();
    await stage.end();
    // Whoever leads no longer begins anew.
    const [deposed] = [...shards.values()].filter(({ leading }) => leading);
    const node = stage.cluster.nodes.find(({ id }) => shards.get(id) === deposed)!;
    stage.cut(
      [node.machine],
      stage.cluster.nodes.filter((one) => one !== node).map(({ machine }) => machine),
    );
    await stage.until(() => !deposed!.leading);
    assert(!deposed!.hasBegunTerm);
    stage.cluster.network.healAll();
    await stage.end();
  }
  // Otherwise there would have been nothing to wait for.
  assert(early > 0);
});
