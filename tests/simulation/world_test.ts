import { assert, assertEquals, assertRejects } from "@std/assert";
import { Random } from "./random.ts";
import { Machine, Violation, World } from "./world.ts";

function setUp() {
  const world = new World(1);
  const machine = new Machine(world, "10.0.0.1");
  const process = machine.spawn("test", new Random(2));
  return { world, machine, process };
}

Deno.test("a timer of a process fires once, about when it should", async () => {
  const { world, process } = setUp();
  const fired: number[] = [];
  process.clock.setTimeout(() => fired.push(world.nowMs), 10);
  const calledOff = process.clock.setTimeout(() => fired.push(-1), 20);
  process.clock.clearTimeout(calledOff);
  await world.timeline.pass(100);
  assertEquals(fired.length, 1);
  assert(fired[0]! >= 10 && fired[0]! < 11);
});

Deno.test("a paused process misses nothing, and gets it when it goes on", async () => {
  const { world, process } = setUp();
  const fired: string[] = [];
  process.clock.setTimeout(() => fired.push(`a ${Math.floor(world.nowMs)}`), 10);
  process.clock.setTimeout(() => fired.push(`b ${Math.floor(world.nowMs)}`), 20);
  const late = process.clock.setTimeout(() => fired.push("never"), 30);
  process.pause();
  await world.timeline.pass(50);
  assertEquals(fired, []);
  process.resume();
  // It was due while the process was paused, and is called off before it comes to it.
  process.clock.clearTimeout(late);
  await world.timeline.pass(10);
  assertEquals(fired, ["a 50", "b 50"]);
});

Deno.test("nothing of a dead process ever runs again", async () => {
  const { world, machine, process } = setUp();
  let runs = 0;
  process.clock.setTimeout(() => runs++, 10);
  process.pause();
  await world.timeline.pass(20);
  process.die("killed");
  process.resume();
  process.clock.setTimeout(() => runs++, 1);
  await world.timeline.pass(100);
  assertEquals(runs, 0);
  assertEquals([...machine.processes], []);
});

Deno.test("a wall clock jumps, a monotonic one does not", async () => {
  const { world, machine, process } = setUp();
  await world.timeline.pass(100);
  const before = process.clock.now();
  const monotonic = process.clock.monotonic();
  machine.wallOffsetMs -= 60_000;
  assertEquals(process.clock.now(), before - 60_000);
  assertEquals(process.clock.monotonic(), monotonic);
});

Deno.test("an exception in a process ends the run", async () => {
  const { world, process } = setUp();
  process.clock.setTimeout(() => {
    throw new RangeError("oops");
  }, 1);
  const error = await assertRejects(() => world.timeline.pass(10), Violation, "oops");
  assertEquals(error.invariant, "no uncaught exception");
});
