import { assertEquals } from "@std/assert";
import { version } from "./version.ts";

Deno.test("the program has the version that deno.json says", async () => {
  const config = await Deno.readTextFile(new URL("../deno.json", import.meta.url));
  assertEquals(JSON.parse(config).version, version);
});
