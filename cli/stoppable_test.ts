import { assertEquals, assertRejects } from "@std/assert";
import { Stoppable } from "./stoppable.ts";

async function* numbers(count: number): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) yield await Promise.resolve(i);
}

Deno.test("Stoppable passes every value on", async () => {
  assertEquals(await Array.fromAsync(new Stoppable(numbers(3))), [0, 1, 2]);
});

Deno.test("Stoppable.stop() ends an iteration that waits", async () => {
  const waiting = new Stoppable(ReadableStream.from(
    (async function* () {
      yield 1;
      await new Promise(() => {});
    })(),
  ));
  assertEquals(await waiting.next(), { done: false, value: 1 });
  const next = waiting.next();
  waiting.stop();
  assertEquals((await next).done, true);
  assertEquals((await waiting.next()).done, true);
});

Deno.test("Stoppable.next() rejects with what the iterator throws", async () => {
  const failing = new Stoppable(ReadableStream.from(
    (async function* (): AsyncGenerator<number> {
      yield* numbers(1);
      throw new Error("broken");
    })(),
  ));
  assertEquals((await failing.next()).value, 0);
  await assertRejects(() => failing.next(), Error, "broken");
});
