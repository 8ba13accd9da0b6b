import { assert, assertEquals, assertRejects } from "@std/assert";
import type { ByteStream } from "../../client/runtime.ts";
import { Network } from "./network.ts";
import { Random } from "./random.ts";
import { Machine, type Process, World } from "./world.ts";

const PORT = 1_000;

/** Two machines, one of which listens. */
class Pair {
  readonly world: World;
  readonly network: Network;
  readonly here: Machine;
  readonly there: Machine;
  readonly client: Process;
  server: Process;
  readonly accepted: ByteStream[] = [];

  constructor(seed = 1) {
    this.world = new World(seed);
    this.network = new Network(this.world, this.world.random.fork());
    this.here = new Machine(this.world, "here");
    this.there = new Machine(this.world, "there");
    this.network.add(this.here);
    this.network.add(this.there);
    this.client = this.here.spawn("client", new Random(1));
    this.server = this.there.spawn("server", new Random(2));
    this.listen();
  }

  listen(): void {
    const listener = this.network.listen(this.server, { hostname: "there", port: PORT });
    const accept = async () => {
      for (;;) {
        const stream = await listener.accept();
        if (stream === null) return;
        this.accepted.push(stream);
      }
    };
    void accept();
  }

  /** Lets time pass until a promise settles. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    promise.then(() => settled = true, () => settled = true);
    await this.world.timeline.run(() => settled);
    assert(settled, "nothing is left that could settle the promise");
    return await promise;
  }

  async connect(): Promise<[ByteStream, ByteStream]> {
    const address = { hostname: "there", port: PORT };
    const stream = await this.wait(this.network.dialer(this.client).connect(address));
    return [stream, this.accepted.at(-1)!];
  }
}

async function readAll(stream: ByteStream): Promise<Uint8Array> {
  const chunks: number[] = [];
  const buffer = new Uint8Array(100);
  for (;;) {
    const count = await stream.read(buffer);
    if (count === null) return new Uint8Array(chunks);
    chunks.push(...buffer.subarray(0, count));
  }
}

async function writeAll(stream: ByteStream, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await stream.write(bytes.subarray(done));
}

Deno.test("bytes arrive in order and complete, however bad the network", async () => {
  const pair = new Pair();
  pair.network.settings = {
    latencyMs: 5,
    jitterMs: 200,
    lossChance: 0.1,
    shortChance: 0.5,
    bufferBytes: 1_000,
    giveUpMs: 60_000,
  };
  const [here, there] = await pair.connect();
  const bytes = Uint8Array.from({ length: 50_000 }, (_, i) => i * 7);
  const sending = writeAll(here, bytes).then(() => here.close());
  assertEquals(await pair.wait(readAll(there)), bytes);
  await sending;
  assert(pair.world.counters.get("network: packets lost") > 0);
});

Deno.test("a writer waits when nobody reads", async () => {
  const pair = new Pair();
  pair.network.settings = { ...pair.network.settings, bufferBytes: 1_000 };
  const [here, there] = await pair.connect();
  let written = false;
  void writeAll(here, new Uint8Array(1_001)).then(() => written = true);
  await pair.world.timeline.pass(1_000);
  assertEquals(written, false);
  await pair.wait(there.read(new Uint8Array(10)));
  await pair.world.timeline.pass(100);
  assertEquals(written, true);
});

Deno.test("what is sent over a cut link arrives when it is mended", async () => {
  const pair = new Pair();
  const [here, there] = await pair.connect();
  pair.network.block(pair.here, pair.there);
  await here.write(new Uint8Array([1, 2, 3]));
  const reading = there.read(new Uint8Array(10));
  let done = false;
  void reading.then(() => done = true);
  // The other direction works.
  await there.write(new Uint8Array([9]));
  assertEquals(await pair.wait(here.read(new Uint8Array(10))), 1);
  await pair.world.timeline.pass(10_000);
  assertEquals(done, false);
  pair.network.unblock(pair.here, pair.there);
  assertEquals(await pair.wait(reading), 3);
});

Deno.test("a connection that is cut for too long is given up by whoever sends", async () => {
  const pair = new Pair();
  const [here] = await pair.connect();
  pair.network.block(pair.here, pair.there);
  await here.write(new Uint8Array([1]));
  const reading = here.read(new Uint8Array(10));
  await assertRejects(() => pair.wait(reading), Deno.errors.ConnectionReset, "timed out");
});

Deno.test("a dial over a cut link waits for it to be mended", async () => {
  const pair = new Pair();
  pair.network.block(pair.there, pair.here);
  const address = { hostname: "there", port: PORT };
  const dial = pair.network.dialer(pair.client).connect(address);
  let done = false;
  void dial.then(() => done = true);
  await pair.world.timeline.pass(5_000);
  assertEquals(done, false);
  pair.network.healAll();
  const stream = await pair.wait(dial);
  assertEquals(stream.remoteAddress, "there:1000");
});

Deno.test("a dial can be given up", async () => {
  const pair = new Pair();
  pair.network.block(pair.here, pair.there);
  const giveUp = new AbortController();
  const address = { hostname: "there", port: PORT };
  const dial = pair.network.dialer(pair.client).connect(address, giveUp.signal);
  giveUp.abort(new Error("enough"));
  await assertRejects(() => dial, Error, "enough");
});

Deno.test("a dial to a port where nobody listens is refused", async () => {
  const pair = new Pair();
  const address = { hostname: "there", port: PORT + 1 };
  const dial = pair.network.dialer(pair.client).connect(address);
  await assertRejects(() => pair.wait(dial), Deno.errors.ConnectionRefused);
});

Deno.test("a killed process ends its connections, and its port is free again", async () => {
  const pair = new Pair();
  const [here] = await pair.connect();
  const reading = here.read(new Uint8Array(10));
  pair.server.die("killed");
  assertEquals(await pair.wait(reading), null);
  pair.server = pair.there.spawn("server", new Random(3));
  pair.listen();
  await pair.connect();
});

Deno.test("a machine that lost power is silent, and knows of no connection when it is back", async () => {
  const pair = new Pair();
  const [here] = await pair.connect();
  const reading = here.read(new Uint8Array(10));
  let ended = false;
  reading.then(() => ended = true, () => ended = true);
  pair.there.poweredOn = false;
  pair.server.die("powerLost");
  await here.write(new Uint8Array([1]));
  await pair.world.timeline.pass(20_000);
  assertEquals(ended, false);
  pair.there.poweredOn = true;
  pair.network.poweredOn();
  await assertRejects(() => pair.wait(reading), Deno.errors.ConnectionReset, "reset");
});

Deno.test("a reset can tear what is under way apart", async () => {
  let torn = 0;
  for (let seed = 1; seed <= 30; seed++) {
    const pair = new Pair(seed);
    pair.network.settings = { ...pair.network.settings, shortChance: 0 };
    const [here, there] = await pair.connect();
    await here.write(new Uint8Array(100));
    await here.write(new Uint8Array(100));
    assertEquals(pair.network.resetSome(() => true), 1);
    let received = 0;
    const read = async () => {
      for (;;) received += (await there.read(new Uint8Array(1_000)))!;
    };
    await assertRejects(() => pair.wait(read()), Deno.errors.ConnectionReset);
    assert(received <= 200);
    if (received % 100 !== 0) torn++;
    await assertRejects(() => pair.wait(here.write(new Uint8Array(1))), Deno.errors.BrokenPipe);
  }
  assert(torn > 0);
});

Deno.test("an address is taken while somebody listens there", () => {
  const pair = new Pair();
  let error: unknown;
  try {
    pair.listen();
  } catch (thrown) {
    error = thrown;
  }
  assert(error instanceof Deno.errors.AddrInUse);
});
