/**
 * The client module straight from a URL: this checkout is served over HTTP on loopback, and a script
 * that knows nothing but the URL publishes and consumes.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { formatAddress } from "../broker/mod.ts";
import { TestCluster } from "./test_cluster.ts";
import { repositoryRoot } from "./paths.ts";

/** Serves the files of the checkout, as any web server would. */
function serveCheckout(): { url: string; requested: Set<string>; stop(): Promise<void> } {
  const requested = new Set<string>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    requested.add(pathname);
    try {
      const text = await Deno.readTextFile(repositoryRoot + pathname.slice(1));
      return new Response(text, { headers: { "content-type": "application/typescript" } });
    } catch {
      return new Response("not found", { status: 404 });
    }
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    requested,
    stop: () => server.shutdown(),
  };
}

const script = `
const [url, address] = Deno.args;
const { connect } = await import(url + "/mod.ts");
await using client = await connect(address);
const queue = client.queue("from-a-url");
const receipt = await queue.publish("hello", { key: "k", headers: { colour: "blue" } });
for await (const delivery of queue.consume()) {
  const { term, index } = await delivery.ack();
  console.log(JSON.stringify({
    offset: receipt.offset, body: delivery.text(), key: delivery.key, headers: delivery.headers,
    deliveryCount: delivery.deliveryCount, ackedLater: index > receipt.index && term >= receipt.term,
  }));
  break;
}
`;

Deno.test("the client can be imported by URL, without an import map", async () => {
  await using cluster = await TestCluster.start(1);
  const checkout = serveCheckout();
  const directory = await Deno.makeTempDir({ prefix: "flowmq-url-" });
  try {
    await Deno.writeTextFile(`${directory}/script.ts`, script);
    // The lock file only chooses package versions; it names no module of ours.
    await Deno.copyFile(`${repositoryRoot}deno.lock`, `${directory}/deno.lock`);
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--allow-all",
        "--no-config",
        `--lock=${directory}/deno.lock`,
        `${directory}/script.ts`,
        checkout.url,
        formatAddress(cluster.address(1)),
      ],
      cwd: directory,
      env: { NO_COLOR: "1" },
    }).output();
    assertEquals({ success, stderr: success ? "" : new TextDecoder().decode(stderr) }, {
      success: true,
      stderr: "",
    });
    assertEquals(JSON.parse(new TextDecoder().decode(stdout)), {
      offset: 0,
      body: "hello",
      key: "k",
      headers: { colour: "blue" },
      deliveryCount: 1,
      ackedLater: true,
    });
    const outside = [...checkout.requested].filter((path) =>
      !/^\/(mod\.ts|client\/|wire\/|queue\/(?:commands|settings|dead_letter_queue|queue_name|limits)\.ts|raft\/types\.ts)/
        .test(path)
    );
    assertEquals(outside, [], "the client needs itself, the wire, and names and bounds of queues");
  } finally {
    await checkout.stop();
    await Deno.remove(directory, { recursive: true });
  }
});
