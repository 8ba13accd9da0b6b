import { assertEquals } from "@std/assert";
import { makeBody, nameBytes, nameOf, publishedAtOf } from "./messages.ts";

Deno.test("a body says when it was published, and which message it is", () => {
  for (const size of [nameBytes, 17, 256]) {
    const body = makeBody(size, 1234.5, { producer: 3, number: 70_000 });
    assertEquals(body.length, size);
    assertEquals(publishedAtOf(body), 1234.5);
    assertEquals(nameOf(body, size), { producer: 3, number: 70_000 });
  }
});

Deno.test("a body of any size that says no more than the time, or nothing, is made", () => {
  for (const size of [0, 7]) {
    assertEquals(makeBody(size, 5).length, size);
    assertEquals(publishedAtOf(makeBody(size, 5)), undefined);
  }
  assertEquals(publishedAtOf(makeBody(8, 5)), 5);
});

Deno.test("nameOf() knows a damaged body anywhere behind the name, and one that was cut", () => {
  const body = makeBody(256, 0, { producer: 1, number: 2 });
  for (const at of [nameBytes - 1, nameBytes, 100, 255]) {
    const damaged = body.slice();
    damaged[at]! ^= 1;
    assertEquals(nameOf(damaged, 256), undefined);
  }
  assertEquals(nameOf(body.subarray(0, 255), 256), undefined);
});
