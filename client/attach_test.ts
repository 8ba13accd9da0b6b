import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { encodeReply, ErrorCode } from "../wire/mod.ts";
import {
  FakeNetwork,
  type FakeServer,
  type Outcome,
  outcomeOf,
  type ReceivedRequest,
  refusal,
  settle,
} from "./_testing.ts";
import type { Client } from "./client.ts";
import type { Receipt } from "./completions.ts";
import type { Queue } from "./queue.ts";

/** A client whose session is known, with two messages under way that nobody answers. */
interface Rig {
  readonly network: FakeNetwork;
  readonly server: FakeServer;
  readonly client: Client;
  readonly queue: Queue;
  readonly sent: Outcome<Receipt>[];
}

async function startRig(servers = 1, timeoutMs = 30_000): Promise<Rig> {
  const network = new FakeNetwork(servers);
  network.addQueue("orders");
  const server = network.servers[0]!;
  const client = await network.connect();
  const queue = client.queue("orders");
  await queue.publish("zero");
  server.behaviour.publish = () => "silence";
  const sent = [];
  for (const body of ["one", "two"]) {
    sent.push(outcomeOf(queue.publish(body, { timeoutMs })));
    await settle();
  }
  server.behaviour.publish = (received) => server.published(received);
  server.publishes.splice(0);
  return { network, server, client, queue, sent };
}

/** Lets attaches wait for their answer. @returns What answers them. */
function holdAttaches({ server }: Rig): () => void {
  const held: ReceivedRequest[] = [];
  const { attachSession } = server.behaviour;
  server.behaviour.attachSession = (received) => {
    held.push(received);
    return "silence";
  };
  return () => {
    server.behaviour.attachSession = attachSession;
    for (const received of held) server.answer(received, attachSession(received));
  };
}

const bodiesAt = ({ publishes }: FakeServer): string[] => publishes.flatMap(({ bodies }) => bodies);

Deno.test("what is unconfirmed is sent behind the attach, and not once more when that is answered", async () => {
  const rig = await startRig();
  const { network, server, client, queue, sent } = rig;
  const answerAttaches = holdAttaches(rig);
  server.dropConnections();
  const late = outcomeOf(queue.publish("three"));
  await network.clock.advance(100);
  assertEquals(bodiesAt(server), ["one", "two", "three"]);
  assertEquals(sent.concat(late).map(({ value }) => value?.offset), [1, 2, 3]);
  const kinds = server.requests.map(({ request }) => request.kind);
  assertEquals(kinds.slice(kinds.indexOf("attachSession")).slice(0, 2), [
    "attachSession",
    "publish",
  ]);
  server.behaviour.publish = () => "silence";
  const last = outcomeOf(queue.publish("four"));
  await settle();
  answerAttaches();
  await settle();
  assertEquals(bodiesAt(server), ["one", "two", "three", "four"]);
  const unanswered = server.publishes.at(-1)!;
  server.answer(unanswered, server.published(unanswered));
  await settle();
  assertEquals(last.value?.offset, 4);
  await client.close();
});

Deno.test("what was sent behind an attach that is refused goes to the leader, once and in order", async () => {
  const rig = await startRig(2);
  const { network, server, client, queue, sent } = rig;
  const other = network.servers[1]!;
  const refused = refusal(ErrorCode.notLeader, "not here", { leader: 2 });
  server.behaviour.attachSession = () => refused;
  server.behaviour.publish = () => refused;
  server.dropConnections();
  sent.push(outcomeOf(queue.publish("three")));
  await network.clock.advance(100);
  assertEquals(bodiesAt(server), ["one", "two", "three"]);
  assertEquals(bodiesAt(other), ["one", "two", "three"]);
  assertEquals(sent.map(({ value }) => value?.offset), [1, 2, 3]);
  assertEquals(server.requestsOf("attachSession").length, 1);
  await client.close();
});

Deno.test("a connection that breaks before the attach is answered leaves in doubt what was sent behind", async () => {
  const rig = await startRig(1, 400);
  const { network, server, client, queue } = rig;
  holdAttaches(rig);
  server.behaviour.publish = () => "silence";
  server.dropConnections();
  const doubtful = outcomeOf(queue.publish("three", { timeoutMs: 300 }));
  await network.clock.advance(100);
  assertEquals(bodiesAt(server), ["one", "two", "three"]);
  server.stop();
  await network.clock.advance(600);
  assertEquals([doubtful.error?.code, doubtful.error?.maybeApplied], [
    ErrorCode.requestTimeout,
    true,
  ]);
  await client.close();
});

Deno.test("an attach that finds no session leaves what was first sent behind it without a doubt", async () => {
  const rig = await startRig(1, 400);
  const { network, server, client, queue, sent } = rig;
  const forgotten = refusal(ErrorCode.sessionNotFound, "forgotten");
  server.behaviour.attachSession = () => forgotten;
  server.behaviour.publish = () => forgotten;
  server.behaviour.openSession = () => "silence";
  server.dropConnections();
  const fresh = outcomeOf(queue.publish("three", { timeoutMs: 300 }));
  await network.clock.advance(100);
  assertEquals(bodiesAt(server), ["one", "two", "three"]);
  assertEquals(sent.map(({ error }) => [error?.code, error?.maybeApplied]), [
    [ErrorCode.sessionNotFound, true],
    [ErrorCode.sessionNotFound, true],
  ]);
  await network.clock.advance(400);
  assertEquals([fresh.error?.code, fresh.error?.maybeApplied], [ErrorCode.requestTimeout, false]);
  await client.close();
});

Deno.test("a doubt from an attach that was not answered stays when the next one finds no session", async () => {
  const rig = await startRig();
  const { network, server, client, queue } = rig;
  holdAttaches(rig);
  server.behaviour.publish = () => "silence";
  server.dropConnections();
  const outcome = outcomeOf(queue.publish("three"));
  await network.clock.advance(100);
  assertEquals(bodiesAt(server), ["one", "two", "three"]);
  const forgotten = refusal(ErrorCode.sessionNotFound, "forgotten");
  server.behaviour.attachSession = () => forgotten;
  server.behaviour.publish = () => forgotten;
  server.behaviour.openSession = () => "silence";
  server.dropConnections();
  await network.clock.advance(100);
  assertEquals([outcome.error?.code, outcome.error?.maybeApplied], [
    ErrorCode.sessionNotFound,
    true,
  ]);
  await client.close();
});

Deno.test("a publish that is refused behind an attach makes the session attach again, before it is sent again", async () => {
  const rig = await startRig();
  const { network, server, client, sent } = rig;
  const answerAttaches = holdAttaches(rig);
  let first: ReceivedRequest | undefined;
  server.behaviour.publish = (received) => {
    if (first === undefined) {
      first = received;
      return "silence";
    }
    server.behaviour.publish = (received) => server.published(received);
    // In one breath: what is confirmed makes room, and there is something to be sent.
    const { connection, shard, correlationId } = received;
    const lost = refusal(ErrorCode.leadershipLost, "deposed", { maybeApplied: true });
    connection.send(concat([
      encodeReply(lost, shard, first.correlationId),
      encodeReply(server.published(received), shard, correlationId),
    ]));
    return "silence";
  };
  server.dropConnections();
  await network.clock.advance(100);
  answerAttaches();
  assertEquals(sent.map(({ value }) => value?.offset), [2, 1]);
  const kinds = server.requests.map(({ request }) => request.kind)
    .filter((kind) => kind !== "metadata");
  assertEquals(kinds.slice(kinds.indexOf("attachSession")), [
    "attachSession",
    "publish",
    "publish",
    "attachSession",
    "publish",
  ]);
  assertEquals(bodiesAt(server), ["one", "two", "one"]);
  await client.close();
});

Deno.test("what was sent behind an attach that hangs is sent again behind the next", async () => {
  const rig = await startRig();
  const { network, server, client, sent } = rig;
  const answerAttaches = holdAttaches(rig);
  server.behaviour.publish = () => "silence";
  server.dropConnections();
  await network.clock.advance(4_000);
  assertEquals(bodiesAt(server), ["one", "two"]);
  server.behaviour.publish = (received) => server.published(received);
  await network.clock.advance(2_000);
  assertEquals(bodiesAt(server), ["one", "two", "one", "two"]);
  assertEquals(sent.map(({ value }) => value?.offset), [1, 2]);
  answerAttaches();
  await client.close();
});

Deno.test("a publisher that joins while the session is being attached sends at once, and its messages are in no more doubt", async () => {
  const rig = await startRig();
  const { network, server, client } = rig;
  network.addQueue("others");
  let held: ReceivedRequest | undefined;
  server.behaviour.attachSession = (received) => {
    held = received;
    return "silence";
  };
  server.behaviour.publish = () => "silence";
  server.dropConnections();
  await network.clock.advance(50);
  const outcome = outcomeOf(client.queue("others").publish("three"));
  await network.clock.advance(50);
  assertEquals(bodiesAt(server), ["one", "two", "three"]);
  server.behaviour.publish = (received) => server.published(received);
  server.answer(held!, refusal(ErrorCode.sessionNotFound, "forgotten"));
  await network.clock.advance(100);
  assertEquals(outcome.value?.offset, 0);
  await client.close();
});

Deno.test("consumers attach when the session is attached, and not before", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const server = network.servers[0]!;
  const client = await network.connect();
  const consumer = client.queue("orders").consume();
  await settle();
  assertEquals(server.requestsOf("attachConsumer").length, 1);
  const answerAttaches = holdAttaches({ server } as Rig);
  server.dropConnections();
  await network.clock.advance(100);
  assertEquals(server.requestsOf("attachSession").length, 1);
  assertEquals(server.requestsOf("attachConsumer").length, 1);
  answerAttaches();
  await settle();
  assertEquals(server.requestsOf("attachConsumer").length, 2);
  await consumer.close();
  await client.close();
});
