import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { InvariantError } from "./invariant.ts";
import { StepReader, StepWriter } from "./step_codec.ts";

function written(steps: readonly (readonly [number, number])[]): Uint8Array {
  const writer = new StepWriter();
  for (const [offsetStep, indexStep] of steps) writer.add(offsetStep, indexStep);
  return writer.finish();
}

function read(bytes: Uint8Array): [number, number][] {
  const steps: [number, number][] = [];
  const reader = new StepReader(bytes);
  while (reader.next()) {
    for (let i = 0; i < reader.count; i++) steps.push([reader.offsetStep, reader.indexStep]);
  }
  return steps;
}

Deno.test("StepReader gives back what StepWriter was given", () => {
  const number = fc.oneof(fc.nat(3), fc.nat(1_000), fc.nat(2 ** 31), fc.maxSafeNat());
  fc.assert(fc.property(fc.array(fc.tuple(number, number), { size: "large" }), (steps) => {
    assertEquals(read(written(steps)), steps);
  }));
});

Deno.test("StepWriter writes steps that repeat once", () => {
  const bytes = written([...Array(1_000_000).fill([1, 1]), [300, 2]]);
  assertEquals([...bytes], [0xc0, 0x84, 0x3d, 1, 1, 1, 0xac, 2, 2]);
});

Deno.test("StepWriter can be used again", () => {
  const writer = new StepWriter();
  writer.add(1, 2);
  assertEquals(read(writer.finish()), [[1, 2]]);
  writer.add(1, 2);
  assertEquals(read(writer.finish()), [[1, 2]]);
});

Deno.test("StepReader stops the process on steps that are cut off", () => {
  const bytes = written([[300, 2]]);
  assertThrows(() => read(bytes.subarray(0, 3)), InvariantError);
  assertThrows(() => read(new Uint8Array(20).fill(0xff)), InvariantError);
});
