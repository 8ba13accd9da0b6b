import { assertEquals, assertThrows } from "@std/assert";
import { formatAddress, parseAddress } from "./runtime.ts";

Deno.test("parseAddress() reads names, IPv4 and bracketed IPv6 addresses", () => {
  assertEquals(parseAddress("127.0.0.1:7400"), { hostname: "127.0.0.1", port: 7400 });
  assertEquals(parseAddress("queue.example:0"), { hostname: "queue.example", port: 0 });
  assertEquals(parseAddress("[::1]:7400"), { hostname: "::1", port: 7400 });
});

Deno.test("parseAddress() names the value it cannot read", () => {
  for (const text of ["", "7400", "host", "host:", ":7400", "::1:7400", "host:65536", "a b:1"]) {
    assertThrows(() => parseAddress(text), TypeError, `"${text}"`);
  }
});

Deno.test("formatAddress() writes what parseAddress() reads", () => {
  for (const text of ["127.0.0.1:7400", "[::1]:7400", "queue.example:80"]) {
    assertEquals(formatAddress(parseAddress(text)), text);
  }
});
