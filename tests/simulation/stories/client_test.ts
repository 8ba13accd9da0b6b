/**
 * Mistakes that the simulator has found, each as a story of its own.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Stage } from "../stage.ts";

Deno.test("what is published after a time-out does not overtake what was sent before it", async () => {
  let confirmed = 0;
  for (let seed = 1; seed <= 12; seed++) {
    const stage = new Stage(seed);
    await stage.start();
    const { network } = stage.cluster;
    const leader = stage.leader.machine;
    const { client, machine } = await stage.connect([stage.leader], { name: "publisher" });
    await stage.wait(client.createQueue("queue"));
    await stage.wait(stage.publish(client, "queue"));
    // The first is stored, but its answer does not come; the second does not arrive.
    network.block(leader, machine);
    const first = stage.publish(client, "queue", 1_000);
    await stage.pass(200);
    network.block(machine, leader);
    const second = stage.publish(client, "queue", 20_000);
    await stage.pass(1_100);
    assertEquals((await first).state, "maybeApplied");
    const third = stage.publish(client, "queue", 20_000);
    await stage.pass(100);
    network.healAll();
    stage.reset(machine);
    for (const record of [await stage.wait(second), await stage.wait(third)]) {
      if (record.state === "confirmed") confirmed++;
    }
    await stage.end();
  }
  // With none confirmed there would have been no order to break.
  assertEquals(confirmed, 24);
});

Deno.test("a client that reaches a cut-off node first goes on to the others", async () => {
  const stage = new Stage(3);
  await stage.start();
  const [alone] = stage.followers;
  const others = stage.cluster.nodes.filter((node) => node !== alone);
  const { client, machine } = await stage.connect(stage.cluster.nodes, { name: "client" });
  await stage.wait(client.createQueue("queue"));
  await stage.wait(stage.publish(client, "queue"));
  // The client can reach but one node, which hears nothing from the others any more.
  stage.cut([machine], others.map((node) => node.machine));
  for (const other of others) stage.cluster.network.block(other.machine, alone!.machine);
  stage.reset(machine);
  await stage.pass(3_000);
  for (const other of others) {
    stage.cluster.network.unblock(other.machine, machine);
    stage.cluster.network.unblock(machine, other.machine);
  }
  const record = await stage.wait(stage.publish(client, "queue", 10_000));
  assertEquals(record.state, "confirmed");
  stage.cluster.network.healAll();
  await stage.end();
});

Deno.test("a client goes back to the only node in its reach when that was without a leader and restarted", async () => {
  const stage = new Stage(4);
  await stage.start();
  const [node, ...others] = stage.cluster.nodes;
  const { client, machine } = await stage.connect([node!], { name: "client" });
  await stage.wait(client.createQueue("queue"));
  stage.cut([machine], others.map((other) => other.machine));
  stage.reset(machine);
  for (const other of others) other.kill();
  const record = stage.publish(client, "queue", 40_000);
  await stage.pass(2_000);
  node!.kill();
  await stage.pass(100);
  for (const one of stage.cluster.nodes) one.start();
  assertEquals((await stage.wait(record)).state, "confirmed");
  await stage.end();
});
