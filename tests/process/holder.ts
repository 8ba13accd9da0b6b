/**
 * A consumer in a process of its own, to be killed: takes messages, prints the offset and the delivery
 * count of each, and never acks.
 *
 * Arguments: servers, queue, prefetch, session time-out in milliseconds.
 *
 * @module
 */

import { connect } from "../../mod.ts";

const [servers, queue, prefetch, sessionTimeoutMs] = Deno.args;
const client = await connect(servers!, {
  name: "holder",
  sessionTimeoutMs: Number(sessionTimeoutMs),
});
for await (const delivery of client.queue(queue!).consume({ prefetch: Number(prefetch) })) {
  console.log(`${delivery.offset} ${delivery.deliveryCount}`);
}
