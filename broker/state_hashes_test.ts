import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { ShardMachine } from "../queue/mod.ts";
import { TestClock } from "../storage/_testing.ts";
import { type MarkedHash, StateHashes } from "./state_hashes.ts";

function newRig() {
  const clock = new TestClock();
  const timers = new Set<number>();
  let cancelled = 0;
  const hashes = new StateHashes({
    now: () => clock.nowMs,
    monotonic: () => clock.nowMs,
    setTimeout: (callback, ms) => {
      const id = clock.setTimeout(() => timers.has(id) && callback(), ms);
      timers.add(id);
      return id;
    },
    clearTimeout: (id) => {
      if (timers.delete(id as number)) cancelled++;
    },
  });
  return { clock, hashes, cancelled: () => cancelled };
}

function machineWith(sessions: number): ShardMachine {
  const machine = new ShardMachine({ shard: 0 });
  for (let index = 1; index <= sessions; index++) {
    const meta = { index, term: 1, timestampMs: 1_000 };
    machine.apply(meta, { kind: "openSession", timeoutMs: 10_000, clientName: "test" });
  }
  return machine;
}

async function hashAt(machine: ShardMachine): Promise<MarkedHash | undefined> {
  const { clock, hashes } = newRig();
  const { promise, resolve } = Promise.withResolvers<MarkedHash | undefined>();
  hashes.want(5, resolve);
  hashes.applied(5, 9, 2, machine);
  return await clock.run(promise);
}

Deno.test("StateHashes gives the same hash for the same state, and another one for another", async () => {
  const one = await hashAt(machineWith(3));
  assertEquals(one, { index: 9, term: 2, hash: one!.hash });
  assertEquals(await hashAt(machineWith(3)), one);
  assertNotEquals((await hashAt(machineWith(4)))!.hash, one!.hash);
});

Deno.test("StateHashes hashes the state at the mark, whatever comes while it does so", async () => {
  const { clock, hashes } = newRig();
  const machine = machineWith(3);
  const { promise, resolve } = Promise.withResolvers<MarkedHash | undefined>();
  hashes.want(5, resolve);
  hashes.applied(5, 9, 2, machine);
  machine.apply({ index: 10, term: 2, timestampMs: 2_000 }, {
    kind: "openSession",
    timeoutMs: 10_000,
    clientName: "later",
  });
  assertEquals((await clock.run(promise))!.hash, (await hashAt(machineWith(3)))!.hash);
});

Deno.test("StateHashes does not look at the state for a mark that nobody waits for", () => {
  const { hashes } = newRig();
  const untouchable = {
    snapshot(): never {
      throw new Error("Nobody asked");
    },
  } as unknown as ShardMachine;
  hashes.applied(5, 9, 2, untouchable);
});

Deno.test("StateHashes answers all who wait for a mark, once", async () => {
  const { clock, hashes } = newRig();
  const machine = machineWith(1);
  const answers: (MarkedHash | undefined)[] = [];
  const both = Promise.all(
    [1, 2].map(() =>
      new Promise<void>((resolve) =>
        hashes.want(5, (hash) => {
          answers.push(hash);
          resolve();
        })
      )
    ),
  );
  hashes.applied(5, 9, 2, machine);
  hashes.applied(5, 10, 2, machine);
  await clock.run(both);
  assertEquals(answers.map((hash) => hash?.index), [9, 9]);
});

Deno.test("StateHashes gives marks up that do not come, and those that are too many", async () => {
  const { clock, hashes } = newRig();
  const answers: (MarkedHash | undefined)[] = [];
  for (let mark = 1; mark <= 8; mark++) hashes.want(mark, (hash) => answers.push(hash));
  assertEquals(answers, []);
  hashes.want(9, (hash) => answers.push(hash));
  assertEquals(answers, [undefined]);
  while (answers.length < 9) assert(await clock.step());
  assertEquals(clock.nowMs, 60_000);
  hashes.want(10, (hash) => answers.push(hash));
  assertEquals(answers.length, 9);
  hashes.close();
  assertEquals(answers.length, 10);
});
