/**
 * What goes wrong on a command line: one line on stderr, and an exit code that says which kind of
 * failure it was.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { concat } from "@std/bytes";
import { ExitCode } from "../../cli/exit_codes.ts";
import { type ProcessTest, processTest } from "./process_test_case.ts";
import { freePort } from "../../cli/ports.ts";
import type { Shell } from "./shell.ts";
import { within } from "./waiting.ts";

/** A command line that must fail, and how. */
interface BadInput {
  readonly line: string;
  readonly code: ExitCode;
  /** What the line on stderr must say. */
  readonly says: readonly RegExp[];
}

/** Runs it: nothing on stdout, one line on stderr, and the exit code. */
async function assertFails(shell: Shell, { line, code, says }: BadInput): Promise<void> {
  const result = await shell.run(line);
  assertEquals(
    { line, code: result.code, stdout: result.stdout },
    { line, code, stdout: "" },
    result.stderr,
  );
  assertMatch(result.stderr, /^flowmq: [^\n]+\n$/, `\`${line}\` says one line`);
  for (const pattern of says) assertMatch(result.stderr, pattern);
}

const usage: readonly BadInput[] = [
  {
    line: "flowmq pubb orders x",
    code: ExitCode.usage,
    says: [/unknown command "pubb"/, /did you mean flowmq pub\?/],
  },
  {
    line: "flowmq queue frobnicate",
    code: ExitCode.usage,
    says: [/unknown command "queue frobnicate"/],
  },
  {
    line: "flowmq pub orders --kee k x",
    code: ExitCode.usage,
    says: [/unknown flag --kee/, /did you mean --key\?/],
  },
  { line: "flowmq pub", code: ExitCode.usage, says: [/QUEUE is missing/] },
  {
    line: "flowmq sub orders --prefetch many",
    code: ExitCode.usage,
    says: [/--prefetch "many"/, /whole number/],
  },
  {
    line: "flowmq pub orders x -s nowhere:port",
    code: ExitCode.usage,
    says: [/--server "nowhere:port"/],
  },
  {
    line: "flowmq serve --listen 127.0.0.1:99999",
    code: ExitCode.usage,
    says: [/--listen "127\.0\.0\.1:99999"/],
  },
  {
    line: "FLOWMQ_SERVER=here flowmq serve --node 1 --cluster 1=nonsense",
    code: ExitCode.usage,
    says: [/--cluster "1=nonsense"/],
  },
  {
    line: "FLOWMQ_PREFETCH=0 flowmq sub orders",
    code: ExitCode.usage,
    says: [/FLOWMQ_PREFETCH "0"/],
  },
];

processTest("a command line that cannot be understood is told what is wrong with it", {
  nodes: 0,
}, async ({ shell }) => {
  for (const bad of usage) await assertFails(shell, bad);
});

processTest("what a server refuses is told with its name or size", { nodes: 1 }, async (test) => {
  const { shell } = test;
  await assertFails(shell, {
    line: "flowmq sub nosuch --no-wait",
    code: ExitCode.notFound,
    says: [/no queue "nosuch"/, /flowmq queue ls/],
  });
  for (const verb of ["edit --lease 1s", "pause", "resume", "purge"]) {
    await assertFails(shell, {
      line: `flowmq queue ${verb} nosuch`,
      code: ExitCode.notFound,
      says: [/no queue "nosuch"/],
    });
  }
  await assertFails(shell, {
    line: "flowmq queue info nosuch",
    code: ExitCode.notFound,
    says: [/no queue "nosuch"/],
  });
  await assertFails(shell, {
    line: "flowmq pub nosuch x --no-create",
    code: ExitCode.notFound,
    says: [/no queue "nosuch"/],
  });
  await assertFails(shell, {
    line: "head -c 1048577 /dev/zero | flowmq pub big --whole",
    code: ExitCode.refused,
    says: [/1,048,577 bytes/, /1,048,576/, /--message-bytes-max/],
  });
  // The connection, and the queue, are none the worse for it.
  await shell.output("head -c 1000000 /dev/zero | flowmq pub big --whole");
  await assertFails(shell, {
    line: "{ seq 1 3; head -c 1048577 /dev/zero; } | flowmq pub lines",
    code: ExitCode.refused,
    says: [/3 messages confirmed/, /line 4/],
  });
  await shell.output("flowmq queue add fixed --partitions 2");
  await assertFails(shell, {
    line: "flowmq queue add fixed --partitions 3",
    code: ExitCode.refused,
    says: [/fixed/],
  });
});

processTest(
  "a server that is not there, or goes away, is told with its address",
  { nodes: 1 },
  async (test) => {
    const { shell, cluster } = test;
    const nobody = `127.0.0.1:${freePort()}`;
    for (const command of ["pub orders x", "sub orders", "queue ls", "cluster status"]) {
      await assertFails(shell, {
        line: `flowmq ${command} -s ${nobody} --timeout 300ms`,
        code: ExitCode.unreachable,
        says: [new RegExp(nobody), /300 ms/],
      });
    }
    await shell.output("flowmq queue add orders");
    const publishing = shell.start(
      "i=0; while sleep 0.02; do echo $((i++)); done | { flowmq pub orders --timeout 1s --json; " +
        'echo "exit code $?"; kill -9 -$$; }',
    );
    await using _ = publishing;
    await publishing.printed(/"message":10\b/);
    await cluster.node(1).kill();
    await publishing.printed(new RegExp(`^exit code ${ExitCode.unreachable}$`, "m"));
    assertMatch(
      publishing.stderr,
      /^flowmq: [\d,]+ messages confirmed, .*not confirmed: [^\n]+\n$/,
    );
  },
);

/** Sends bytes to a port. @returns What came back, once the other end has closed the connection. */
async function sendNonsense(address: string, bytes: Uint8Array): Promise<Uint8Array> {
  const [hostname, port] = address.split(":");
  using connection = await Deno.connect({ hostname: hostname!, port: Number(port) });
  await connection.write(bytes);
  const answer: Uint8Array[] = [];
  try {
    await within("the server has closed the connection", toChunks(connection, answer));
  } catch (error) {
    // What was still on its way when the server closed makes it a reset.
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
  }
  return concat(answer);
}

async function toChunks(connection: Deno.TcpConn, chunks: Uint8Array[]): Promise<void> {
  for await (const chunk of connection.readable) chunks.push(chunk);
}

processTest(
  "a connection that talks nonsense is closed, and hurts nobody else",
  {},
  async (test) => {
    const { cluster } = test;
    const client = await test.connect("bystander");
    const queue = client.queue("orders");
    const before = await queue.publish("before");
    const random = crypto.getRandomValues(new Uint8Array(1_000));
    const nonsense: readonly Uint8Array[] = [
      new TextEncoder().encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
      // A frame said to be 4 GiB long, and one shorter than its own header.
      new Uint8Array([0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 1, 0, 0, 0]),
      new Uint8Array([1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]),
      // A length in bounds, and then noise.
      new Uint8Array([200, 0, 0, 0, ...random]),
    ];
    for (const bytes of nonsense) {
      for (const { settings } of cluster.nodes) {
        await sendNonsense(settings.clientAddress, bytes);
        await sendNonsense(settings.peerAddress, bytes);
      }
    }
    const after = await queue.publish("after");
    assertEquals(after.offset, before.offset + 1);
    assertEquals(cluster.nodes.map((node) => node.running), [true, true, true]);
  },
);

/** `flowmq serve` on ports of its own. */
function serve(test: ProcessTest, more: string): string {
  return `flowmq serve --data ${test.directory}/data --listen 127.0.0.1:${freePort()} ` +
    `--peer 127.0.0.1:${freePort()} ${more}`;
}

processTest(
  "flowmq serve says why it does not start: a port, a directory, a cluster",
  { nodes: 0 },
  async (test) => {
    const { shell } = test;
    await using taken = shell.start(`exec ${serve(test, "")}`);
    const [, address] = await taken.printed(/clients (\S+),/);

    await assertFails(shell, {
      line: `flowmq serve --data ${test.directory}/other --listen ${address} ` +
        `--peer 127.0.0.1:${freePort()}`,
      code: ExitCode.addressInUse,
      says: [new RegExp(address!), /in use/, /--listen/],
    });
    await assertFails(shell, {
      line: serve(test, ""),
      code: ExitCode.dataDirectory,
      says: [new RegExp(`${test.directory}/data`), new RegExp(`${taken.pid}`), /--data/],
    });
    taken.signal("SIGTERM");
    assertEquals((await taken.result()).code, ExitCode.ok);

    const members = [1, 2, 3].map((id) => `${id}=127.0.0.1:${freePort()}`).join(",");
    await assertFails(shell, {
      line: serve(test, `--node 1 --cluster ${members}`),
      code: ExitCode.dataDirectory,
      says: [/another cluster/, /--data/],
    });
    await assertFails(shell, {
      line: serve(test, "--node 2"),
      code: ExitCode.dataDirectory,
      says: [/node/, /--data/],
    });
  },
);
