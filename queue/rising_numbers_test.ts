import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { RisingNumbers } from "./rising_numbers.ts";

function filled(numbers: readonly number[]): RisingNumbers {
  const rising = RisingNumbers.startingWith(numbers[0]!, numbers.length + 3);
  for (const [place, number] of numbers.entries()) rising.set(place, number);
  return rising;
}

Deno.test("RisingNumbers are the same packed and not, whatever the steps", () => {
  const step = fc.oneof(
    fc.constant(1),
    fc.integer({ min: 1, max: 300 }),
    fc.integer({ min: 1, max: 100_000 }),
  );
  const numbers = fc.tuple(fc.nat(2 ** 40), fc.array(step, { maxLength: 60 }));
  fc.assert(fc.property(numbers, fc.boolean(), ([first, steps], isEven) => {
    const all = [first];
    for (const step of steps) all.push(all.at(-1)! + (isEven ? steps[0]! : step));
    const rising = filled(all);
    const packed = rising.packed(all.length);
    assertEquals(packed.first, first);
    assertEquals(all.map((_, place) => rising.at(place)), all);
    assertEquals(all.map((_, place) => packed.at(place)), all);
  }));
});

Deno.test("RisingNumbers reach as far as 32 bits", () => {
  const rising = RisingNumbers.startingWith(7, 2);
  assertEquals(rising.reaches(7 + 2 ** 32 - 1), true);
  assertEquals(rising.reaches(7 + 2 ** 32), false);
  rising.set(1, 7 + 2 ** 32 - 1);
  assertEquals(rising.at(1), 7 + 2 ** 32 - 1);
});
