/**
 * Who holds what when a leader or a consumer dies.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { repositoryRoot } from "../paths.ts";
import type { Client, Delivery } from "../../mod.ts";
import { processTest } from "./process_test_case.ts";
import { pause, until } from "./waiting.ts";

const queueName = "held";

/** Publishes so many messages at once. */
async function fill(client: Client, count: number, leaseMs: number): Promise<void> {
  await client.createQueue(queueName, { leaseMs });
  await client.queue(queueName).publishBatch(
    Array.from({ length: count }, (_, i) => ({ body: `message ${i}` })),
  );
}

/** A consumer that keeps what it gets. */
class Holder implements AsyncDisposable {
  readonly held: Delivery[] = [];
  readonly #stop = new AbortController();
  readonly #taking: Promise<void>;
  error: unknown;

  constructor(client: Client, prefetch: number) {
    const { signal } = this.#stop;
    this.#taking = (async () => {
      try {
        for await (const delivery of client.queue(queueName).consume({ prefetch, signal })) {
          this.held.push(delivery);
        }
      } catch (error) {
        if (!signal.aborted) this.error = error;
      }
    })();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#taking;
  }
}

processTest(
  "a leader killed with 1,000 messages leased to live consumers redelivers none of them",
  {},
  async (test) => {
    const total = 1_000;
    const nemesis = await test.nemesis();
    const publisher = await test.connect("publisher");
    await fill(publisher, total, 300_000);
    await using disposables = new AsyncDisposableStack();
    const holders: Holder[] = [];
    for (let i = 0; i < 4; i++) {
      const client = await test.connect(`consumer ${i + 1}`);
      holders.push(disposables.use(new Holder(client, total / 4)));
    }
    const held = () => holders.flatMap((holder) => holder.held);
    await until("all messages are held", () => held().length >= total);

    await nemesis.killAndRestart(await nemesis.leadingNode(), async () => {
      await publisher.queue("elsewhere").publish("the cluster works again");
    });
    // The next failure finds a leader that has never seen these consumers connect.
    await nemesis.killAndRestart(await nemesis.leadingNode(), async () => {
      await publisher.queue("elsewhere").publish("and again");
    });

    const acks = await Promise.allSettled(held().map((delivery) => delivery.ack()));
    assertEquals(acks.filter((ack) => ack.status === "rejected"), []);
    const info = await publisher.queue(queueName).info();
    assertEquals(
      { acked: info.acked, ready: info.ready, leased: info.leased, redelivered: info.redelivered },
      { acked: total, ready: 0, leased: 0, redelivered: 0 },
    );
    assertEquals(held().length, total, "no message came a second time");
    assertEquals(held().filter((delivery) => delivery.deliveryCount !== 1), []);
    assertEquals(holders.map((holder) => holder.error), [
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  },
);

processTest(
  "the messages of a consumer whose process was killed go to others after its session's time-out",
  { nodes: 3 },
  async (test) => {
    const total = 200;
    const sessionTimeoutMs = 1_500;
    const client = await test.connect("publisher and survivor");
    await fill(client, total, 300_000);

    await using victim = test.shell.start(
      `exec '${Deno.execPath()}' run --quiet -A '${repositoryRoot}tests/process/holder.ts' ` +
        `${test.cluster.servers.join(",")} ${queueName} ${total} ${sessionTimeoutMs}`,
    );
    await until(
      "the first consumer holds everything",
      () => victim.stdout.split("\n").length > total,
    );
    assertEquals(
      victim.stdout.trim().split("\n"),
      Array.from({ length: total }, (_, offset) => `${offset} 1`),
    );

    await using survivor = new Holder(client, total);
    const leased = await client.queue(queueName).info();
    assertEquals({ leased: leased.leased, got: survivor.held.length }, { leased: total, got: 0 });
    const killedAt = performance.now();
    victim.signal("SIGKILL");
    await until("the messages came to the other consumer", () => survivor.held.length >= total);
    const ms = performance.now() - killedAt;
    // The last sign of life may be a little older than the kill.
    assert(ms > sessionTimeoutMs / 2, `they came after ${ms} ms, before the session had ended`);
    assertEquals(
      survivor.held.map(({ offset, deliveryCount }) => ({ offset, deliveryCount })),
      Array.from({ length: total }, (_, offset) => ({ offset, deliveryCount: 2 })),
    );
    await Promise.all(survivor.held.map((delivery) => delivery.ack()));
    await pause(100);
    assertEquals(survivor.held.length, total, "nothing comes after the acks");
  },
);
