/**
 * FlowMQ: a distributed message queue that loses nothing. This is its client.
 *
 * ```ts ignore
 * import { connect } from "@flowmq/flowmq";
 *
 * await using client = await connect("127.0.0.1:7400");
 * const queue = client.queue("greetings");
 * await queue.publish("hello");
 * for await (const delivery of queue.consume()) {
 *   console.log(delivery.text());
 *   await delivery.ack();
 *   break;
 * }
 * ```
 *
 * A publish that has resolved is on the disks of a majority of the nodes. A message is delivered until
 * some consumer acks it, and never again once that ack has resolved. Whatever happens to nodes and
 * connections meanwhile, the client finds the way by itself; what cannot be done in time rejects with a
 * {@linkcode FlowMQError} that says whether it may have been done all the same.
 *
 * @module
 */

export * from "./client/mod.ts";
