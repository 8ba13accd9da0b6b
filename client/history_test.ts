import { assertEquals, assertRejects } from "@std/assert";
import { ErrorCode } from "../wire/mod.ts";
import { FakeNetwork, outcomeOf, refusal } from "./_testing.ts";
import { FlowMQError, QueueNotFoundError } from "./errors.ts";

Deno.test("replay() asks again for the same after a lost answer, so that nothing comes back twice", async () => {
  const network = new FakeNetwork(1);
  const { partitions } = network.addQueue("orders", 2);
  const [server] = network.servers;
  const client = await network.connect();
  let index = 70;
  let lost = false;
  server!.behaviour.other = ({ request, connection }) => {
    if (request.kind === "inspect") {
      return { kind: "inspectReply", nowMs: 9_000, index: index++, partitions: [] };
    }
    if (request.kind !== "replay") return undefined;
    if (!lost && request.partitionId === partitions[1]!.id) {
      lost = true;
      connection.close();
      return "silence";
    }
    return { kind: "replayed", count: 3, term: 1, index: 99 };
  };
  const outcome = outcomeOf(client.queue("orders").replay({ since: new Date(5_000) }));
  await network.clock.advance(1_000);
  assertEquals(outcome.value, { count: 6, sinceMs: 0 });
  const asked = server!.requestsOf("replay").filter(({ partitionId }) =>
    partitionId === partitions[1]!.id
  );
  assertEquals(asked.map(({ sinceMs, untilIndex }) => [sinceMs, untilIndex]), [[5_000, 70], [
    5_000,
    70,
  ]]);
  await client.close();
});

Deno.test("replay() passes refusals on, and takes times only", async () => {
  const network = new FakeNetwork(1);
  network.addQueue("orders");
  const client = await network.connect();
  network.servers[0]!.behaviour.other = ({ request }) =>
    request.kind === "inspect"
      ? { kind: "inspectReply", nowMs: 9_000, index: 4, partitions: [] }
      : request.kind === "replay"
      ? refusal(ErrorCode.noHistory, "no history")
      : undefined;
  const queue = client.queue("orders");
  const refused = await assertRejects(() => queue.replay({ since: 0 }), FlowMQError);
  assertEquals(refused.code, ErrorCode.noHistory);
  await assertRejects(() => queue.replay({ since: NaN }), TypeError, "since a time");
  await assertRejects(() => client.queue("mails").replay({ since: 0 }), QueueNotFoundError);
  await client.close();
});
