import { assert, assertEquals } from "@std/assert";
import { freePorts, isPortFree, portsFrom } from "./ports.ts";

Deno.test("portsFrom() leaves out tens that are not free", () => {
  assertEquals(portsFrom(7_400, 2, (port) => port !== 7_412), [
    { client: 7_400, peer: 7_402 },
    { client: 7_420, peer: 7_422 },
  ]);
  assertEquals(portsFrom(65_530, 2, () => true), undefined);
});

Deno.test("isPortFree() sees a port that is in use", () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  assertEquals(isPortFree(listener.addr.port), false);
  listener.close();
  assertEquals(isPortFree(listener.addr.port), true);
});

Deno.test("freePorts() gives different ports to every node", () => {
  const ports = freePorts(3).flatMap(({ client, peer }) => [client, peer]);
  assertEquals(new Set(ports).size, 6);
  assert(ports.every(isPortFree));
});
