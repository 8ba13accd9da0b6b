import { assertEquals, assertRejects } from "@std/assert";
import { Chaos } from "./chaos.ts";

Deno.test("Chaos does nothing where the work is over before the first fault", async () => {
  const chaos = new Chaos(["pause"], () => Promise.reject(new Error("harmed")));
  await chaos.stop();
  assertEquals(chaos.counts, {});
});

Deno.test("Chaos.stop() ends a fault that is under way, waits until it is healed and counts it", async () => {
  const began = Promise.withResolvers<void>();
  const events: string[] = [];
  const chaos = new Chaos(["kill-leader", "pause"], async (kind, meanwhile) => {
    events.push(kind);
    began.resolve();
    await meanwhile();
    await Promise.resolve();
    events.push("healed");
  });
  await began.promise;
  await chaos.stop();
  assertEquals(events, ["kill-leader", "healed"]);
  assertEquals(chaos.counts, { "kill-leader": 1 });
});

Deno.test("Chaos.stop() tells that a fault could not be healed", async () => {
  const began = Promise.withResolvers<void>();
  const chaos = new Chaos(["pause"], () => {
    began.resolve();
    return Promise.reject(new Error("did not catch up"));
  });
  await began.promise;
  await assertRejects(() => chaos.stop(), Error, "did not catch up");
  assertEquals(chaos.counts, {});
});
