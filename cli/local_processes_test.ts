import { assertEquals } from "@std/assert";
import { processesListeningOn } from "./local_processes.ts";

Deno.test({
  name: "processesListeningOn() finds who listens, and nobody where one is somewhere else",
  ignore: Deno.build.os !== "linux",
  fn() {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    assertEquals(processesListeningOn([`127.0.0.1:${port}`, `localhost:${port}`]), [
      Deno.pid,
      Deno.pid,
    ]);
    assertEquals(processesListeningOn([`127.0.0.1:${port}`, `192.0.2.1:${port}`]), undefined);
    assertEquals(processesListeningOn(["127.0.0.1:1"]), undefined);
    assertEquals(processesListeningOn([`127.9.8.7:${port}`]), undefined);
    using other = Deno.listen({ hostname: "127.9.8.7", port: 0 });
    assertEquals(processesListeningOn([`127.9.8.7:${other.addr.port}`]), [Deno.pid]);
    using all = Deno.listen({ hostname: "0.0.0.0", port: 0 });
    assertEquals(processesListeningOn([`127.0.0.1:${all.addr.port}`]), [Deno.pid]);
  },
});
