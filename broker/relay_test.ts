import { assertEquals } from "@std/assert";
import type { ByteStream } from "../client/runtime.ts";
import {
  encodeFrame,
  encodePeerHello,
  type Frame,
  FrameParser,
  PeerFrameType,
  peerProtocolVersion,
  RequestType,
} from "../wire/mod.ts";
import type { ClientLink } from "./client_link.ts";
import { denoNodeRuntime } from "./deno_runtime.ts";
import { silentLogger } from "./logger.ts";
import { PeerNetwork } from "./peer_network.ts";
import { RelayOutbox } from "./relay.ts";

const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

/** One end of a connection: brings what a test gives it, and tells the types of the frames it takes. */
class End implements ByteStream {
  readonly remoteAddress = "peer";
  readonly taken: number[] = [];
  readonly #parser = new FrameParser(({ type }) => this.taken.push(type));
  #arrived: Uint8Array | undefined;
  #isClosed = false;
  #wake: (() => void) | undefined;

  arrive(bytes: Uint8Array): void {
    this.#arrived = bytes;
    this.#wake?.();
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#arrived === undefined) {
      if (this.#isClosed) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const bytes = this.#arrived;
    this.#arrived = undefined;
    buffer.set(bytes);
    return bytes.length;
  }

  write(bytes: Uint8Array): Promise<number> {
    this.#parser.push(bytes);
    return Promise.resolve(bytes.length);
  }

  close(): void {
    this.#isClosed = true;
    this.#wake?.();
  }
}

function frameOf(bytes: Uint8Array): Frame {
  const frames: Frame[] = [];
  new FrameParser((frame) => frames.push(frame)).push(bytes);
  return frames[0]!;
}

Deno.test("a request is relayed only to a node whose answer can come back", async () => {
  const identity = { clusterId: "c", shardCount: 1, clientAddress: "node:7400" };
  const there = new End();
  const back = new End();
  const dialer = { connect: () => Promise.resolve(there) };
  const accepted = Promise.withResolvers<End | null>();
  const over = Promise.withResolvers<null>();
  const waiting: Promise<End | null>[] = [accepted.promise, over.promise];
  const listener = {
    address: { hostname: "node-1", port: 7402 },
    accept: () => waiting.shift()!,
    close: () => over.resolve(null),
  };
  let lost = 0;
  const network = new PeerNetwork(
    { nodeId: 1, ...identity },
    { ...denoNodeRuntime(), dialer },
    { sendingUp() {}, sendingLost() {}, received() {}, receivingLost: () => lost++ },
    silentLogger,
  );
  const outbox = new RelayOutbox(network, () => 0);
  const link: ClientLink = {
    name: "client",
    relayed: false,
    closed: false,
    waitingBytes: 0,
    drained: () => Promise.resolve(),
    send() {},
    close() {},
  };
  const request = frameOf(encodeFrame(RequestType.ping, 0, 1, new Uint8Array([0xa0])));
  const forward = () => outbox.forward(link, 2, request);

  network.start(listener, [[2, { hostname: "node-2", port: 7402 }]]);
  await turn();
  assertEquals([network.connected(2), network.heard(2), forward()], [true, false, false]);

  accepted.resolve(back);
  await turn();
  assertEquals(forward(), false);
  back.arrive(encodePeerHello({ protocol: peerProtocolVersion, nodeId: 2, ...identity }));
  await turn();
  assertEquals([network.heard(2), forward()], [true, true]);
  await turn();
  assertEquals(there.taken, [PeerFrameType.hello, PeerFrameType.relayFrame]);

  back.close();
  await turn();
  assertEquals([network.connected(2), lost, forward()], [true, 1, false]);
  await network.close();
  await turn();
});
