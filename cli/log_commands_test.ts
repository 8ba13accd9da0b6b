import { assert, assertEquals, assertMatch } from "@std/assert";
import { formatAddress, type RunningNode, startNode } from "../broker/mod.ts";
import { connect, type Queue } from "../mod.ts";
import { ExitCode } from "./exit_codes.ts";
import { MemoryTerminal } from "./memory_terminal.ts";
import { run } from "./run.ts";

async function flowmq(...words: string[]) {
  const terminal = new MemoryTerminal();
  const code = await run(words, terminal);
  return { code, stdout: terminal.stdout.all, stderr: terminal.stderr.lines };
}

async function jsonOf(...words: string[]) {
  const { code, stdout, stderr } = await flowmq(...words, "--json");
  assertEquals(stderr, []);
  return { code, objects: stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line)) };
}

function start(dataDirectory: string): Promise<RunningNode> {
  const any = { hostname: "127.0.0.1", port: 0 };
  return startNode({
    nodeId: 1,
    cluster: [{ id: 1, peerAddress: any }],
    dataDirectory,
    listen: any,
    peerListen: any,
    storage: { segmentBytesMax: 4_096 },
    limits: { snapshotBytes: 16_384 },
  });
}

/** Acks messages of a queue, and leaves the next one with nobody. */
async function ackSome(queue: Queue, count: number): Promise<void> {
  let acked = 0;
  for await (const delivery of queue.consume({ prefetch: 1 })) {
    await delivery.ack();
    if (++acked === count) break;
  }
}

/** Runs a node on a directory of its own, and then a test on what it leaves. */
async function withDirectory(
  work: (node: RunningNode, directory: string) => Promise<void>,
  test: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    const node = await start(directory);
    try {
      await work(node, directory);
    } finally {
      await node.stop();
    }
    await test(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Two queues, several segments, a snapshot: `mail` has 60 messages of which 10 are acked. */
async function fill(node: RunningNode): Promise<void> {
  await using client = await connect(formatAddress(node.clientAddress));
  const mail = client.queue("mail");
  for (let i = 0; i < 60; i++) {
    await mail.publish(`letter ${i} ${"x".repeat(400)}`, { key: `k${i % 3}` });
  }
  await ackSome(mail, 10);
  await client.queue("files").publish(Uint8Array.of(0, 255), { headers: { type: "bin" } });
}

/** The bytes of all files in a directory, by name. */
function contentOf(directory: string): Map<string, Uint8Array> {
  const content = new Map<string, Uint8Array>();
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    const path = `${directory}/${name}`;
    if (!isDirectory) content.set(path, Deno.readFileSync(path));
    else for (const [inner, bytes] of contentOf(path)) content.set(inner, bytes);
  }
  return content;
}

Deno.test("flowmq log inspect shows segments, snapshot, term and vote", async () => {
  await withDirectory(fill, async (directory) => {
    const { code, objects: [shard] } = await jsonOf("log", "inspect", directory);
    assertEquals(code, ExitCode.ok);
    assertEquals([shard.node, shard.shard, shard.inUseBy], [1, 0, null]);
    assertEquals([shard.hardState.term, shard.hardState.vote], [1, 1]);
    assertEquals([shard.ready, shard.leased], [51, 0]);
    assert(shard.snapshot.index > 0);
    assert(shard.segments.length > 3);
    assert(shard.segments.some(({ sparse }: { sparse: boolean }) => sparse));
    for (const segment of shard.segments) {
      const range = segment.lastIndex - segment.firstIndex + 1;
      assert(segment.sparse ? segment.records < range : segment.records === range);
      assertEquals(segment.liveBytes + segment.deadBytes, segment.bytes);
    }
    const live = shard.segments.reduce((sum: number, { liveBytes }: { liveBytes: number }) => {
      return sum + liveBytes;
    }, 0);
    // Each letter has a record of its own, of some 470 bytes.
    assert(live > 51 * 440 && live < 51 * 520, `${live} bytes are live`);

    const { stdout } = await flowmq("log", "inspect", `${directory}/`);
    assertMatch(stdout, /: node 1 of cluster [0-9a-f]+: 1 shard, \d+ files, /);
    assertMatch(stdout, /^shard 0: term 1, vote for node 1; began with node 1 voting$/m);
    assertMatch(stdout, /^ {2}messages: 51 ready, 0 leased$/m);
    assertMatch(
      stdout,
      /^ {2}snapshot: of entry \d+ \(term 1\), .* needs the log from entry \d+$/m,
    );
    assertMatch(stdout, /^ {2}0{17}\d{3}\.seg +\d+ +\d+ +\d+ +1 /m);
  });
});

Deno.test("flowmq log dump prints the messages of a queue with what became of them", async () => {
  await withDirectory(fill, async (directory) => {
    const { code, objects } = await jsonOf("log", "dump", directory, "--queue", "mail");
    assertEquals(code, ExitCode.ok);
    const known = objects.filter(({ state }) => state !== "gone");
    // Of what was acked some is no longer in the log, or no longer known to the snapshot.
    assertEquals(
      known.filter(({ state }) => state === "ready").map(({ offset }) => offset),
      [
        ...Array(50).keys(),
      ].map((i) => i + 10),
    );
    for (const { offset, key, body, queue, partition, index, term, file, byte } of known) {
      assert(body.startsWith(`letter ${offset} x`));
      assertEquals([key, queue, partition, term], [`k${offset % 3}`, "mail", 0, 1]);
      assert(index > 0 && byte >= 64 && Deno.statSync(file).size > byte);
    }
    const { objects: [file] } = await jsonOf("log", "dump", directory, "--queue", "files");
    assertEquals(Object.keys(file), [
      "queue",
      "partition",
      "offset",
      "state",
      "key",
      "headers",
      "options",
      "bodyBase64",
      "publishedAt",
      "shard",
      "index",
      "term",
      "file",
      "byte",
    ]);
    assertEquals([file.offset, file.bodyBase64, file.headers], [0, "AP8=", { type: "bin" }]);
    const all = await jsonOf("log", "dump", directory);
    assertEquals(all.objects.length, objects.length + 1);

    const { stdout } = await flowmq("log", "dump", directory);
    assertMatch(stdout, /^ +59 {2}ready +\d+ {2}mail\/0 +k2 +letter 59 x+$/m);
    assertMatch(stdout, /^ +0 {2}ready +\d+ {2}files\/0 +- +\(2 bytes\)$/m);
  });
});

Deno.test("flowmq log dump calls a queue that is not there by its name", async () => {
  await withDirectory(fill, async (directory) => {
    const { code, stderr } = await flowmq("log", "dump", directory, "--queue", "male");
    assertEquals(code, ExitCode.notFound);
    assertMatch(stderr.join(), /^flowmq: there is no queue "male" in /);
  });
});

Deno.test("flowmq log verify finds nothing after an orderly end, and each byte that was changed", async () => {
  await withDirectory(fill, async (directory) => {
    const sound = await jsonOf("log", "verify", directory);
    assertEquals(sound.code, ExitCode.ok);
    assertEquals([sound.objects[0].damaged, sound.objects[0].findings], [0, []]);
    for (const [path, bytes] of contentOf(directory)) {
      if (path.endsWith("/lock")) continue;
      const at = Math.floor(bytes.length / 3);
      using file = Deno.openSync(path, { read: true, write: true });
      file.seekSync(at, Deno.SeekMode.Start);
      file.writeSync(Uint8Array.of(bytes[at]! ^ 16));
      const { code, objects: [report] } = await jsonOf("log", "verify", directory);
      assertEquals([code, report.damaged], [ExitCode.failed, 1], path);
      assertEquals(report.findings[0].path, path);
      const { stdout } = await flowmq("log", "verify", directory);
      assertMatch(stdout, /: 1 damaged place\ndamage {2}\//);
      file.seekSync(at, Deno.SeekMode.Start);
      file.writeSync(Uint8Array.of(bytes[at]!));
    }
    assertMatch((await flowmq("log", "verify", directory)).stdout, /: no damage$/m);
  });
});

Deno.test("flowmq log changes no byte", async () => {
  await withDirectory(fill, async (directory) => {
    const before = contentOf(directory);
    for (const command of ["inspect", "verify", "dump"]) {
      assertEquals((await flowmq("log", command, directory)).code, ExitCode.ok);
    }
    assertEquals(contentOf(directory), before);
  });
});

Deno.test("flowmq log says which process uses the directory", async () => {
  await withDirectory(async (_node, directory) => {
    const { objects: [report] } = await jsonOf("log", "verify", directory);
    assertEquals(report.inUseBy, Deno.build.os === "linux" ? Deno.pid : null);
  }, async (directory) => {
    const { objects: [report] } = await jsonOf("log", "verify", directory);
    assertEquals(report.inUseBy, null);
  });
});

Deno.test("flowmq log names a directory that it cannot use", async () => {
  const directory = await Deno.makeTempDir();
  try {
    for (
      const [path, message] of [
        [`${directory}/none`, "there is no directory "],
        [directory, "is no data directory of a node: it has no meta file"],
        [new URL(import.meta.url).pathname, "is not a directory"],
      ] as const
    ) {
      for (const command of ["inspect", "verify", "dump"]) {
        const { code, stderr } = await flowmq("log", command, path);
        assertEquals(code, ExitCode.dataDirectory);
        assert(stderr.length === 1 && stderr[0]!.includes(message), stderr.join());
      }
    }
  } finally {
    await Deno.remove(directory);
  }
});
