import { assertEquals } from "@std/assert";
import { decodeFrame, encodeFrame, encodePublishCommand, RequestType } from "../wire/mod.ts";
import type { ClientLink } from "./client_link.ts";
import type { LocalShard } from "./local_shard.ts";
import { type RequestContext, RequestHandler } from "./request_handler.ts";
import type { Shard } from "./shard.ts";

/** A handler of a leader whose machine would refuse every publish as its queue is full. */
function fullQueue(hasBegunTerm: boolean) {
  const told = { proposed: 0, refused: 0 };
  const refusal = { kind: "refused", reason: "queueFull", message: "It is full" };
  const shard = {
    leading: true,
    hasBegunTerm,
    full: false,
    configuration: {},
    machine: { earlyRefusal: () => refusal },
    propose: () => void told.proposed++,
  } as unknown as Shard;
  const context = {
    shards: [{ shard } as LocalShard],
    room: { missing: () => [] },
    limits: { messageBytesMax: 1_000 },
    runtime: { clock: { monotonic: () => 0 } },
  } as unknown as RequestContext;
  const link = { relayed: false, closed: false, send: () => void told.refused++ };
  return { handler: new RequestHandler(context), link: link as unknown as ClientLink, told };
}

function publish() {
  const target = { sessionId: 1, partitionId: 1, baseSequence: 0 };
  const command = encodePublishCommand(target, [{ body: new Uint8Array(3) }]);
  return decodeFrame(encodeFrame(RequestType.publish, 0, 1, command));
}

Deno.test("a leader refuses nothing by what it has applied before its term has begun", () => {
  for (const hasBegunTerm of [false, true]) {
    const { handler, link, told } = fullQueue(hasBegunTerm);
    handler.handle(link, publish());
    assertEquals(told, hasBegunTerm ? { proposed: 0, refused: 1 } : { proposed: 1, refused: 0 });
  }
});
