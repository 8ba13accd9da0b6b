import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { InflightWindow } from "./inflight.ts";
import { InvariantError } from "./invariant.ts";

Deno.test("InflightWindow is full at its number of messages", () => {
  const window = new InflightWindow(2, 1000);
  window.add(1, 10);
  assertEquals(window.full, false);
  window.add(2, 10);
  assertEquals(window.full, true);
  assertThrows(() => window.add(3, 10), InvariantError);
  window.freeTo(1);
  assertEquals(window.full, false);
});

Deno.test("InflightWindow is full at its number of bytes, which the last message may overshoot", () => {
  const window = new InflightWindow(100, 25);
  window.add(5, 20);
  assertEquals(window.full, false);
  window.add(9, 20);
  assertEquals([window.full, window.bytes], [true, 40]);
  window.freeTo(9);
  assertEquals([window.full, window.bytes, window.count], [false, 0, 0]);
});

Deno.test("InflightWindow agrees with a list, however it is used", () => {
  const action = fc.oneof(
    fc.record({ add: fc.nat({ max: 50 }) }),
    fc.record({ free: fc.nat({ max: 5 }) }),
    fc.constant({ clear: true }),
  );
  fc.assert(fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
    const window = new InflightWindow(20, 400);
    let list: { index: number; bytes: number }[] = [];
    let index = 0;
    for (const action of actions) {
      if ("add" in action) {
        if (window.full) continue;
        index += 1 + action.add % 3;
        window.add(index, action.add);
        list.push({ index, bytes: action.add });
      } else if ("free" in action) {
        const upTo = list[action.free]?.index ?? 0;
        window.freeTo(upTo);
        list = list.filter((item) => item.index > upTo);
      } else {
        window.clear();
        list = [];
      }
      assertEquals(window.count, list.length);
      assertEquals(window.bytes, list.reduce((sum, item) => sum + item.bytes, 0));
    }
  }));
});
