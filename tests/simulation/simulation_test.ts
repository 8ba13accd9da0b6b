import { assert, assertEquals } from "@std/assert";
import { runSeeds } from "./seed_pool.ts";
import { runSeed } from "./simulation.ts";

/** Long enough for elections, restarts and redeliveries, short enough for every day. */
const faultsMs = 8_000;

Deno.test("a seed tells the same story every time", async () => {
  const first = await runSeed(4, { faultsMs });
  const second = await runSeed(4, { faultsMs });
  assertEquals(first.violation, undefined);
  assertEquals([second.hash, second.events], [first.hash, first.events]);
});

Deno.test("a trace does not change what happens", async () => {
  const lines: string[] = [];
  const traced = await runSeed(5, { faultsMs, trace: (line) => lines.push(line) });
  const plain = await runSeed(5, { faultsMs });
  assertEquals(traced.hash, plain.hash);
  assert(lines.length > 100);
});

Deno.test("simulated clusters keep their promises, whatever their seeds do to them", async (t) => {
  let acks = 0;
  for (const seed of [11, 12, 13, 14, 15, 16, 17, 18]) {
    await t.step(`seed ${seed}`, async () => {
      const { violation, counters } = await runSeed(seed, { faultsMs });
      assertEquals(violation, undefined);
      acks += counters.get("client: acks confirmed");
    });
  }
  // A seed may be so harsh that nothing gets through while it lasts, but not all of them.
  assert(acks > 1_000, `${acks} acks were confirmed`);
});

Deno.test("threads tell the same stories, in the order of the seeds", async () => {
  const seeds = [21, 22, 23];
  const threaded: string[] = [];
  for await (const { seed, hash } of runSeeds(seeds, 2)) threaded.push(`${seed} ${hash}`);
  const here: string[] = [];
  for (const seed of seeds) here.push(`${seed} ${(await runSeed(seed)).hash}`);
  assertEquals(threaded, here);
});
