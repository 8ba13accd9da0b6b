/**
 * What tests of consumers begin with.
 *
 * @module
 */

import { FakeNetwork, type FakeServer, settle } from "./_testing.ts";
import type { Client } from "./client.ts";
import type { ConsumeOptions } from "./consume_options.ts";
import type { Consumer } from "./consumer.ts";
import { SettleStatus } from "../wire/mod.ts";

/** A client that consumes queue "orders" at the only server, which delivers when the test says. */
export async function startConsumer(
  partitions = 1,
  options: ConsumeOptions = {},
): Promise<
  { network: FakeNetwork; server: FakeServer; client: Client; consumer: Consumer; ids: number[] }
> {
  const network = new FakeNetwork(1);
  network.addQueue("orders", partitions);
  const server = network.servers[0]!;
  const client = await network.connect();
  const consumer = client.queue("orders").consume(options);
  await settle();
  const ids = server.requestsOf("attachConsumer").map(({ consumerId }) => consumerId);
  return { network, server, client, consumer, ids };
}

/**
 * Makes a server answer settles so that some messages have lost their lease.
 *
 * @param server The server.
 * @param lost The offsets of these messages.
 */
export function loseLeases(server: FakeServer, lost: readonly number[]): void {
  server.behaviour.settle = ({ command }) => ({
    kind: "settled",
    partitionId: command.partitionId,
    term: 1,
    index: 9,
    statuses: Uint8Array.from(
      command.offsets,
      (offset) => lost.includes(offset) ? SettleStatus.leaseLost : SettleStatus.ok,
    ),
  });
}
