/**
 * What becomes of nodes whose disks have forgotten something, told as stories.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { joinPath, parentPath, writeAll } from "../../../storage/file_system.ts";
import { NODE_ID_MAX, nodeOf } from "../../../broker/mod.ts";
import { isJoint } from "../../../raft/mod.ts";
import type { SimulatedNode } from "../cluster.ts";
import { Stage } from "../stage.ts";

/** A cluster with a queue that has some messages. */
async function startStage(seed: number) {
  const stage = new Stage(seed);
  await stage.start();
  const { client } = await stage.connect(stage.cluster.nodes, { name: "publisher" });
  await stage.wait(client.createQueue("queue"));
  for (let i = 0; i < 5; i++) await stage.wait(stage.publish(client, "queue"));
  return { stage, client };
}

/** The replicas that have a vote, as the leader sees it. */
function voters(stage: Stage): readonly number[] {
  const { raftChecker } = stage.cluster;
  const shard = raftChecker.shards(0).find((one) => one.leading);
  // In a joint configuration a replica that is lost still counts.
  return shard === undefined || isJoint(shard.configuration) ? [] : shard.configuration.voters;
}

/** Waits until a node has a vote under another name than its first. */
async function waitForNewVote(stage: Stage, node: SimulatedNode): Promise<void> {
  await stage.until(() => voters(stage).some((id) => nodeOf(id) === node.id && id !== node.id));
  assertEquals(voters(stage).map(nodeOf).sort(), [1, 2, 3]);
}

Deno.test("a node whose disk was replaced comes back as a learner and is given the vote it had", async () => {
  const { stage, client } = await startStage(1);
  const [wiped, other] = stage.followers;
  wiped!.replaceDisk();
  assertEquals((await stage.wait(stage.publish(client, "queue"))).state, "confirmed");
  wiped!.start();
  await waitForNewVote(stage, wiped!);
  // Its vote counts: without the other one nothing could be confirmed.
  other!.kill();
  assertEquals((await stage.wait(stage.publish(client, "queue"))).state, "confirmed");
  other!.start();
  await stage.end();
});

Deno.test("a node whose disk was replaced does not vote before the others have given it a vote", async () => {
  const { stage, client } = await startStage(2);
  const [wiped, other] = stage.followers;
  const { leader } = stage;
  // What is confirmed now is on the leader and the other one; then it is on the leader alone.
  wiped!.kill();
  assertEquals((await stage.wait(stage.publish(client, "queue"))).state, "confirmed");
  leader.kill();
  other!.kill();
  other!.replaceDisk();
  wiped!.start();
  other!.start();
  await stage.pass(20_000);
  assertEquals(stage.cluster.leaders, []);
  leader.start();
  await waitForNewVote(stage, other!);
  await stage.end();
});

Deno.test("a damaged log is given up, kept for the while, and replaced", async () => {
  const { stage, client } = await startStage(3);
  const [damaged] = stage.followers;
  damaged!.stop();
  await stage.until(() => !damaged!.alive);
  damaged!.disk.flipBit("data/shard-0/00000000000000000001.seg", 200, 3);
  damaged!.isForgetful = true;
  for (const node of stage.followers) if (node !== damaged) node.kill();
  damaged!.start();
  await stage.pass(5_000);
  assert(damaged!.disk.exists("data/lost-shard-0/00000000000000000001.seg"));
  for (const node of stage.cluster.nodes) node.start();
  await waitForNewVote(stage, damaged!);
  await stage.until(() => !damaged!.disk.exists("data/lost-shard-0"));
  assertEquals((await stage.wait(stage.publish(client, "queue"))).state, "confirmed");
  await stage.end();
});

Deno.test("a node with a damaged meta file gives up everything, and founds no cluster", async () => {
  const { stage } = await startStage(4);
  for (const node of stage.cluster.nodes) {
    node.kill();
    node.disk.flipBit("data/meta", 30, 1);
    node.isForgetful = true;
  }
  for (const node of stage.cluster.nodes) node.start();
  await stage.pass(8_000);
  assertEquals(stage.cluster.leaders, []);
  for (const { disk } of stage.cluster.nodes) assert(disk.exists("data/lost-shard-0"));
});

/** What a node's meta file says. */
function meta({ disk }: SimulatedNode): string {
  return disk.exists("data/meta") ? new TextDecoder().decode(disk.readFile("data/meta")) : "";
}

/** The name of a node's replica of a shard, as its disk has it. */
function replicaOf({ disk }: SimulatedNode, shard: number): number | undefined {
  const path = `data/shard-${shard}/configuration`;
  if (!disk.exists(path)) return undefined;
  const [, replica] = /"replica":(\d+)/.exec(new TextDecoder().decode(disk.readFile(path)))!;
  return Number(replica);
}

/** All files below a directory of a disk, by path. */
function backUp({ disk }: SimulatedNode, directory = "data"): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (const { name, isDirectory } of disk.list(directory)) {
    const path = joinPath(directory, name);
    if (!isDirectory) files.set(path, disk.readFile(path));
    else {for (const [inner, bytes] of backUp({ disk } as SimulatedNode, path)) {
        files.set(inner, bytes);
      }}
  }
  return files;
}

/** Puts an old state of a node's disk in place of what it has. */
function rollBack(node: SimulatedNode, files: ReadonlyMap<string, Uint8Array>): void {
  node.replaceDisk();
  node.isRolledBack = true;
  for (const [path, bytes] of files) {
    node.disk.makeDirectory(parentPath(path));
    const file = node.disk.open(path, { write: true, create: true });
    writeAll(file, bytes, 0);
    file.close();
  }
}

Deno.test("a disk that was rolled back within a term is recognised by what it had acknowledged", async () => {
  const { stage, client } = await startStage(5);
  const [rolledBack] = stage.followers;
  const backup = backUp(rolledBack!);
  for (let i = 0; i < 5; i++) await stage.wait(stage.publish(client, "queue"));
  await stage.until(() => stage.cluster.converged);
  rollBack(rolledBack!, backup);
  rolledBack!.start();
  await waitForNewVote(stage, rolledBack!);
  await stage.end();
});

Deno.test("a disk that was rolled back to an earlier term is recognised by that", async () => {
  const { stage } = await startStage(6);
  const [rolledBack] = stage.followers;
  const backup = backUp(rolledBack!);
  const { leader } = stage;
  leader.kill();
  await stage.until(() => stage.cluster.leaders.some((node) => node !== leader));
  leader.start();
  await stage.until(() => stage.cluster.converged);
  await stage.pass(1_000);
  rollBack(rolledBack!, backup);
  rolledBack!.start();
  await waitForNewVote(stage, rolledBack!);
  await stage.end();
});

Deno.test("a new cluster begins when all of its nodes are there, and not before", async () => {
  const stage = new Stage(7);
  const [first, second, third] = stage.cluster.nodes;
  first!.start();
  second!.start();
  await stage.pass(10_000);
  assertEquals(stage.cluster.leaders, []);
  third!.start();
  await stage.until(() => stage.cluster.leaders.length === 1);
  for (const node of stage.cluster.nodes) await stage.until(() => meta(node).includes("member"));
  await stage.end();
});

Deno.test("a founder that crashed before it knew is still one of them", async () => {
  const stage = new Stage(8);
  const [first, second, third] = stage.cluster.nodes;
  for (const node of stage.cluster.nodes) node.start();
  // The first has decided, and the last does not hear of it.
  await stage.until(() => meta(first!).includes("founders"));
  third!.losePower();
  await stage.until(() => stage.cluster.leaders.length === 1);
  third!.start();
  await stage.until(() => third!.hasRun);
  await stage.end();
  assertEquals(voters(stage), [first!.id, second!.id, third!.id]);
});

Deno.test("a founder that crashed before it knew hears of it from a node that came later", async () => {
  const stage = new Stage(9);
  const [first, second, third] = stage.cluster.nodes;
  for (const node of stage.cluster.nodes) node.start();
  await stage.until(() => meta(first!).includes("founders"));
  third!.losePower();
  await stage.until(() => stage.cluster.leaders.length === 1);
  second!.replaceDisk();
  second!.start();
  await stage.until(() => meta(second!).includes("member"));
  first!.kill();
  third!.start();
  await stage.pass(5_000);
  // With the second one's old vote lost, the cluster is whole again only if the third one has its own.
  first!.start();
  await waitForNewVote(stage, second!);
  assert(voters(stage).includes(third!.id));
  await stage.end();
});

Deno.test("a founder that crashed while it made its replicas goes on under its first name", async () => {
  const stage = new Stage(10, { shards: 3 });
  const third = stage.cluster.nodes[2];
  for (const node of stage.cluster.nodes) node.start();
  await stage.until(() => third!.disk.exists("data/shard-1"));
  assert(!third!.disk.exists("data/shard-2"));
  for (const node of stage.cluster.nodes) node.losePower();
  // Nobody has to tell it again.
  third!.start();
  await stage.until(() => third!.hasRun);
  await stage.start();
  for (const shard of [0, 1, 2]) assertEquals(replicaOf(third!, shard), third!.id);
  await stage.end();
});

Deno.test("a replica is later than the one before it, though the clock has gone back", async () => {
  const { stage } = await startStage(11);
  const [damaged] = stage.followers;
  for (const node of stage.cluster.nodes) node.kill();
  damaged!.isForgetful = true;
  const names: number[] = [];
  for (const jumpMs of [0, -60_000]) {
    damaged!.disk.flipBit("data/shard-0/configuration", 20, 1);
    damaged!.machine.wallOffsetMs += jumpMs;
    damaged!.start();
    const before = names.at(-1) ?? NODE_ID_MAX;
    await stage.until(() => ![undefined, damaged!.id, before].includes(replicaOf(damaged!, 0)));
    names.push(replicaOf(damaged!, 0)!);
    damaged!.kill();
  }
  assert(names[1]! > names[0]!, `${names}`);
});
