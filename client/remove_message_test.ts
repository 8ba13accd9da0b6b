import { assertEquals, assertRejects } from "@std/assert";
import { ErrorCode } from "../wire/mod.ts";
import { FakeNetwork, outcomeOf, refusal } from "./_testing.ts";
import { FlowMQError, QueueNotFoundError } from "./errors.ts";

const isGone = refusal(ErrorCode.messageGone, "Message orders/0/7 is gone");

Deno.test("removeMessage() tells a message that it took out from one that was gone", async () => {
  const network = new FakeNetwork(1);
  const id = network.addQueue("orders").partitions[0]!.id;
  const [server] = network.servers;
  const client = await network.connect();
  let isThere = true;
  server!.behaviour.other = ({ request }) => {
    if (request.kind !== "removeMessage") return undefined;
    if (!isThere) return isGone;
    isThere = false;
    return { kind: "done", term: 1, index: 9 };
  };
  assertEquals(await client.removeMessage({ queue: "orders", partition: 0, offset: 7 }), "removed");
  assertEquals(await client.removeMessage("orders/0/7"), "gone");
  assertEquals(
    server!.requestsOf("removeMessage").map(({ partitionId, offset }) => [
      partitionId,
      offset,
    ]),
    [[id, 7], [id, 7]],
  );
  await client.close();
});

Deno.test("removeMessage() does not claim to know who removed it after an answer was lost", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const [server] = network.servers;
  const client = await network.connect();
  let attempts = 0;
  server!.behaviour.other = ({ request, connection }) => {
    if (request.kind !== "removeMessage") return undefined;
    if (attempts++ > 0) return isGone;
    connection.close();
    return "silence";
  };
  const outcome = outcomeOf(client.removeMessage("orders/0/7"));
  await network.clock.advance(1_000);
  assertEquals([outcome.value, attempts], ["unknown", 2]);
  await client.close();
});

Deno.test("removeMessage() passes refusals on", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const client = await network.connect();
  network.servers[0]!.behaviour.other = ({ request }) =>
    request.kind === "removeMessage"
      ? refusal(ErrorCode.messageLeased, "Message orders/0/7 is with a consumer")
      : undefined;
  const leased = await assertRejects(() => client.removeMessage("orders/0/7"), FlowMQError);
  assertEquals([leased.code, leased.maybeApplied], [ErrorCode.messageLeased, false]);
  const noPartition = await assertRejects(() => client.removeMessage("orders/3/7"), FlowMQError);
  assertEquals(noPartition.code, ErrorCode.partitionNotFound);
  await assertRejects(() => client.removeMessage("mails/0/7"), QueueNotFoundError);
  await assertRejects(() => client.removeMessage("mails"), TypeError, "QUEUE/PARTITION/OFFSET");
  await client.close();
});
