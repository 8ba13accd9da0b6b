import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { assert, nat, property, string } from "fast-check";
import { ManualClock, outcomeOf } from "./_testing.ts";
import { formatAddress, parseAddress, parseServers } from "./address.ts";
import { hashKey, partitionOfKey } from "./key_hash.ts";
import { resolveOptions } from "./options.ts";
import { atEndOfTurn } from "./turn.ts";
import { Backoff, firstOf, sleep, untilAborted } from "./waiting.ts";

Deno.test("parseAddress() reads names, IPv4 and IPv6, and refuses the rest", () => {
  assertEquals(parseAddress("broker"), { hostname: "broker", port: 7400 });
  assertEquals(parseAddress(" 10.1.2.3:80 "), { hostname: "10.1.2.3", port: 80 });
  assertEquals(parseAddress("[fe80::1]:7410"), { hostname: "fe80::1", port: 7410 });
  assertEquals(formatAddress(parseAddress("[fe80::1]")), "[fe80::1]:7400");
  for (const text of ["", "a b", "a:", "a:0", "a:65536", "fe80::1", "[nothex]:1", "a:b"]) {
    assertThrows(() => parseAddress(text), TypeError, "127.0.0.1:7400");
  }
  assertEquals(parseServers("a:1, b:2,").map(formatAddress), ["a:1", "b:2"]);
  assertEquals(parseServers(["a:1"]).map(formatAddress), ["a:1"]);
  assertThrows(() => parseServers(" , "), TypeError, "no server");
});

Deno.test("hashKey() is FNV-1a over UTF-8", () => {
  // The published test vectors of the function.
  assertEquals(hashKey(""), 0x811c9dc5);
  assertEquals(hashKey("a"), 0xe40c292c);
  assertEquals(hashKey("foobar"), 0xbf9cf968);
  const plainly = (text: string) => {
    let hash = 0x811c9dc5n;
    for (const byte of new TextEncoder().encode(text)) {
      hash = ((hash ^ BigInt(byte)) * 0x01000193n) & 0xffff_ffffn;
    }
    return Number(hash);
  };
  assert(property(string({ unit: "binary" }), (text: string) => {
    assertEquals(hashKey(text), plainly(text));
  }));
});

Deno.test("partitionOfKey() spreads keys over all partitions", () => {
  assert(property(nat({ max: 30 }), (extra: number) => {
    const count = extra + 1;
    const used = new Set<number>();
    for (let i = 0; i < 1_000; i++) used.add(partitionOfKey(`key-${i}`, count));
    assertEquals(used.size, count);
  }));
});

Deno.test("partitionOfKey() is what docs/PROTOCOL.md says", () => {
  const plainly = (key: string, count: number) => {
    const u32 = (value: bigint) => value & 0xffff_ffffn;
    let hash = BigInt(hashKey(key));
    for (let partition = 0n;;) {
      hash = u32(hash + 0x9e37_79b9n);
      hash = u32((hash ^ (hash >> 16n)) * 0x85eb_ca6bn);
      hash = u32((hash ^ (hash >> 13n)) * 0xc2b2_ae35n);
      hash ^= hash >> 16n;
      const next = ((partition + 1n) << 32n) / (hash + 1n);
      if (next >= BigInt(count)) return Number(partition);
      partition = next;
    }
  };
  assertEquals(["", "a", "foobar"].map((key) => partitionOfKey(key, 8)), [0, 4, 7]);
  assert(
    property(string({ unit: "binary" }), nat({ max: 1_023 }), (key: string, less: number) => {
      assertEquals(partitionOfKey(key, less + 1), plainly(key, less + 1));
    }),
  );
});

Deno.test("partitionOfKey() moves a key to a new partition or not at all", () => {
  const count = nat({ max: 500 });
  assert(property(string(), count, count, (key: string, few: number, more: number) => {
    const before = partitionOfKey(key, few + 1);
    const after = partitionOfKey(key, few + 1 + more);
    assertEquals(after === before || after > few, true);
  }));
});

Deno.test("Backoff grows to its longest pause, with jitter, and starts over", () => {
  const backoff = new Backoff({ msMin: 10, msMax: 50, factor: 2 }, () => 0.999_999);
  const rounded = () => Math.round(backoff.next());
  assertEquals([rounded(), rounded(), rounded(), rounded(), rounded()], [10, 20, 40, 50, 50]);
  backoff.reset();
  assertEquals(rounded(), 10);
  assertEquals(new Backoff({ msMin: 10, msMax: 50, factor: 2 }, () => 0).next(), 5);
});

Deno.test("sleep() ends in time, or with the signal's reason and without its timer", async () => {
  const clock = new ManualClock();
  const slept = sleep(clock, 100);
  await clock.advance(100);
  await slept;
  const controller = new AbortController();
  const interrupted = sleep(clock, 100, controller.signal);
  controller.abort(new Error("stop"));
  await assertRejects(() => interrupted, Error, "stop");
  assertEquals(clock.timerCount, 0);
  await assertRejects(() => sleep(clock, 100, controller.signal), Error, "stop");
});

Deno.test("untilAborted() follows its promise until the signal", async () => {
  const controller = new AbortController();
  assertEquals(await untilAborted(Promise.resolve(5), controller.signal), 5);
  await assertRejects(
    () => untilAborted(Promise.reject(new Error("bad")), controller.signal),
    Error,
    "bad",
  );
  const never = untilAborted(new Promise<void>(() => {}), controller.signal);
  controller.abort(new Error("stop"));
  await assertRejects(() => never, Error, "stop");
});

Deno.test("firstOf() waits as long as none has failed, and not much longer", async () => {
  const clock = new ManualClock();
  const slow = sleep(clock, 1_000).then(() => "slow");
  const first = outcomeOf(firstOf([slow, new Promise<string>(() => {})], clock, 100));
  await clock.advance(999);
  assertEquals(first, {});
  await clock.advance(1);
  assertEquals([first.value, clock.timerCount], ["slow", 0]);
  const failing = sleep(clock, 200).then(() => Promise.reject(new Error("refused")));
  const late = outcomeOf<unknown>(firstOf([failing, new Promise(() => {})], clock, 100));
  await clock.advance(299);
  assertEquals(late, {});
  await clock.advance(1);
  assertEquals((late.error as unknown as AggregateError).errors.map(String), ["Error: refused"]);
  await assertRejects(() => firstOf([], clock, 100), AggregateError);
  assertEquals(clock.timerCount, 0);
});

Deno.test("atEndOfTurn() runs once, after all that a turn brings", async () => {
  let count = 0;
  const flushed: number[] = [];
  const add = async (hops: number) => {
    for (let i = 0; i < hops; i++) await Promise.resolve();
    if (count++ === 0) atEndOfTurn(() => count, () => flushed.push(count));
  };
  await Promise.all([add(0), add(2), add(5), add(8)]);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(flushed, [4]);
});

Deno.test("atEndOfTurn() ends each turn by itself, also one that begins where another ends", async () => {
  const ended: string[] = [];
  let long = 1;
  atEndOfTurn(() => long, () => ended.push("long"));
  atEndOfTurn(() => 1, () => {
    ended.push("short");
    atEndOfTurn(() => 1, () => ended.push("next"));
  });
  for (; long < 20; long++) await Promise.resolve();
  assertEquals(ended, ["short", "next"]);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(ended, ["short", "next", "long"]);
});

Deno.test("resolveOptions() fills in defaults and refuses what is out of range", () => {
  const settings = resolveOptions({});
  assertEquals([settings.requestTimeoutMs, settings.windowBytes], [30_000, 8_388_608]);
  assertThrows(() => resolveOptions({ sessionTimeoutMs: 99 }), RangeError, "from 100");
  assertThrows(() => resolveOptions({ name: "n".repeat(256) }), RangeError, "255");
  for (const value of [0, -1, 1.5, NaN, Infinity]) {
    assertThrows(
      () => resolveOptions({ windowBytes: value }),
      RangeError,
      `current value is ${value}`,
    );
  }
});
