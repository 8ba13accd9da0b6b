import { assertThrows } from "@std/assert";
import { invariant, InvariantError, unreachable } from "./invariant.ts";

Deno.test("invariant() throws an InvariantError only when the condition does not hold", () => {
  invariant(1 < 2, "Numbers are in order");
  assertThrows(
    () => invariant(2 < 1, "Numbers are in order"),
    InvariantError,
    "Numbers are in order",
  );
});

Deno.test("unreachable() names the value no case was for", () => {
  assertThrows(() => unreachable({ kind: "odd" } as never), InvariantError, '{"kind":"odd"}');
});
