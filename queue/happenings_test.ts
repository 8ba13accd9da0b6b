import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Happening, HappeningKind, Happenings } from "./happenings.ts";

function happening(number: number, changes: Partial<Happening> = {}): Happening {
  return {
    kind: HappeningKind.leased,
    offset: number,
    count: 1,
    index: 100 + number,
    atMs: 1_000 + number,
    sessionId: 7,
    consumerId: 2,
    deliveryCount: 1,
    ...changes,
  };
}

function restored(capture: ReturnType<Happenings["capture"]>): Happening[] {
  const happenings = new Happenings();
  for (const part of structuredClone([...capture.parts()])) happenings.restore(part);
  return [...happenings];
}

Deno.test("Happenings keep their order through adds, shifts and captures, like a plain list", () => {
  const step = fc.oneof(
    fc.record({ add: fc.integer({ min: 1, max: 700 }), hasDetail: fc.boolean() }),
    fc.record({ shift: fc.integer({ min: 1, max: 900 }) }),
    fc.constant("capture" as const),
    fc.constant("clear" as const),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const happenings = new Happenings();
      let plain: Happening[] = [];
      const captures: [ReturnType<Happenings["capture"]>, Happening[]][] = [];
      let number = 0;
      for (const step of steps) {
        if (step === "capture") captures.push([happenings.capture(), plain.slice()]);
        else if (step === "clear") {
          happenings.clear();
          plain = [];
        } else if ("add" in step) {
          for (let i = 0; i < step.add; i++) {
            const detail = step.hasDetail && i % 3 === 0 ? { detail: `why ${number}` } : {};
            plain.push(happening(number++, detail));
            happenings.add(plain.at(-1)!);
          }
        } else {
          for (let left = Math.min(step.shift, plain.length); left > 0; left--) {
            assertEquals(happenings.shift(), plain.shift());
          }
        }
        assertEquals([happenings.size, happenings.firstMs], [plain.length, plain[0]?.atMs]);
      }
      assertEquals([...happenings], plain);
      for (const [capture, expected] of captures) assertEquals(restored(capture), expected);
    }),
    { numRuns: 60 },
  );
});

Deno.test("Happenings.capture() makes parts of a bounded size, the same whatever went before", () => {
  const [old, young] = [new Happenings(), new Happenings()];
  for (let i = 0; i < 5_000; i++) old.add(happening(i));
  for (let i = 0; i < 5_000; i++) old.shift();
  for (let i = 0; i < 20_000; i++) {
    old.add(happening(i, { detail: String(i) }));
    young.add(happening(i, { detail: String(i) }));
  }
  const parts = [...old.capture().parts()];
  assertEquals(parts.map(({ what }) => what.length), [8_192, 8_192, 3_616]);
  assertEquals(parts, [...young.capture().parts()]);
});

Deno.test("Happenings.of() and acked() find what they are asked for", () => {
  const happenings = new Happenings();
  const { published, acked } = HappeningKind;
  happenings.add(happening(0, { kind: published, offset: 10, count: 5 }));
  happenings.add(happening(1, { offset: 12 }));
  happenings.add(happening(2, { offset: 15 }));
  happenings.add(happening(3, { kind: acked, offset: 12 }));
  happenings.add(happening(4, { kind: acked, offset: 15 }));
  happenings.add(happening(5, { kind: acked, offset: 11 }));
  const indexes = (offset: number) => [...happenings.of(offset)].map(({ index }) => index);
  assertEquals([indexes(9), indexes(12), indexes(14), indexes(15)], [
    [],
    [100, 101, 103],
    [100],
    [102, 104],
  ]);
  assertEquals([...happenings.acked(0, 999)], [12, 15, 11]);
  assertEquals([...happenings.acked(1_004, 999)], [15, 11]);
  assertEquals([...happenings.acked(0, 104)], [12, 15]);
  assertEquals([...happenings.acked(1_006, 999)], []);
});
