/** How fast deliver frames are built and read: run with `deno bench -A wire`. */

import { DeliverBuilder, visitDeliveries } from "./deliver_frame.ts";
import { frameHeaderBytes } from "./frame.ts";

const target = { shard: 0, term: 1, consumerId: 1, partitionId: 1 };
const record = new Uint8Array(257);

function build(count: number): Uint8Array {
  const builder = new DeliverBuilder(target, count);
  for (let i = 0; i < count; i++) {
    builder.add(i, 1, 1, 1, 1_700_000_000_000, record, 0, record.length);
  }
  return builder.finish();
}

for (const count of [1, 100, 1_000]) {
  Deno.bench(`build a frame of ${count} deliveries of 256 bytes`, () => void build(count));
}

const payload = build(100).subarray(frameHeaderBytes);
Deno.bench("read a frame of 100 deliveries of 256 bytes", () => {
  visitDeliveries(payload, () => {});
});
