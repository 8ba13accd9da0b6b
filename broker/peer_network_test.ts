import { assertEquals } from "@std/assert";
import type { ByteStream } from "../client/runtime.ts";
import { encodeFrame, encodePeerHello, PeerFrameType, peerProtocolVersion } from "../wire/mod.ts";
import { denoNodeRuntime } from "./deno_runtime.ts";
import { silentLogger } from "./logger.ts";
import { PeerNetwork } from "./peer_network.ts";

const delay = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A connection as the side sees it that accepted it. */
class Incoming implements ByteStream {
  readonly remoteAddress = "peer";
  closed = false;
  #bytes: Uint8Array[] = [];
  #wake: (() => void) | undefined;

  /** What the peer sent comes in now. */
  arrives(bytes: Uint8Array): Promise<void> {
    this.#bytes.push(bytes);
    this.#wake?.();
    return delay(0);
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#bytes.length === 0) {
      if (this.closed) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const bytes = this.#bytes.shift()!;
    buffer.set(bytes);
    return bytes.length;
  }

  write(bytes: Uint8Array): Promise<number> {
    return Promise.resolve(bytes.length);
  }

  close(): void {
    this.closed = true;
    this.#wake?.();
  }
}

const identity = { clusterId: "c", shardCount: 1, clientAddress: "peer:7400" };
const hello = encodePeerHello({ protocol: peerProtocolVersion, nodeId: 2, ...identity });
const standing = (shard: number) => encodeFrame(PeerFrameType.standing, shard, 0);

/** Node 1, to which node 2 has made two connections, the second because it gave up the first. */
async function setUp() {
  const heard: number[] = [];
  let lost = 0;
  const events = {
    sendingUp() {},
    sendingLost() {},
    received: (_from: number, { shard }: { shard: number }) => heard.push(shard),
    receivingLost: () => lost++,
  };
  const dialer = { connect: () => Promise.reject(new Error("Nobody is there")) };
  const runtime = { ...denoNodeRuntime(), dialer };
  const network = new PeerNetwork({ nodeId: 1, ...identity }, runtime, events, silentLogger);
  const older = new Incoming();
  const newer = new Incoming();
  const waiting: ByteStream[] = [older, newer];
  let close = () => {};
  const listener = {
    address: { hostname: "node-1", port: 7402 },
    accept: () => {
      const next = waiting.shift();
      if (next !== undefined) return Promise.resolve(next);
      return new Promise<null>((resolve) => close = () => resolve(null));
    },
    close: () => close(),
  };
  network.start(listener, [[2, { hostname: "node-2", port: 7402 }]]);
  await delay(0);
  return { network, older, newer, heard, lost: () => lost };
}

Deno.test("a hello that comes in late does not replace a newer connection", async () => {
  const { network, older, newer, heard, lost } = await setUp();
  await newer.arrives(hello);
  await newer.arrives(standing(11));
  await older.arrives(hello);
  await older.arrives(standing(22));
  await newer.arrives(standing(33));
  assertEquals([heard, lost(), older.closed, newer.closed], [[11, 33], 0, true, false]);
  await network.close();
  await delay(50);
});

Deno.test("a hello that comes in late is not heard even where the newer connection broke", async () => {
  const { network, older, newer, heard } = await setUp();
  await newer.arrives(hello);
  newer.close();
  await delay(0);
  await older.arrives(hello);
  await older.arrives(standing(22));
  assertEquals([heard, older.closed], [[], true]);
  await network.close();
  await delay(50);
});

Deno.test("a newer connection takes the place of an older one", async () => {
  const { network, older, newer, heard, lost } = await setUp();
  await older.arrives(hello);
  await older.arrives(standing(11));
  await newer.arrives(hello);
  await older.arrives(standing(22));
  await newer.arrives(standing(33));
  assertEquals([heard, lost(), older.closed], [[11, 33], 1, true]);
  await network.close();
  await delay(50);
});
