import { assertEquals, assertRejects } from "@std/assert";
import { type DevLayout, layoutPath, readLayout, writeLayout } from "./dev_layout.ts";
import { CommandError } from "./failures.ts";

const layout: DevLayout = { version: 1, shards: 2, ports: [{ client: 7400, peer: 7402 }] };

Deno.test("readLayout() finds what writeLayout() wrote", async () => {
  const directory = await Deno.makeTempDir();
  try {
    assertEquals(await readLayout(`${directory}/new`), undefined);
    await writeLayout(`${directory}/new`, layout);
    assertEquals(await readLayout(`${directory}/new`), layout);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("readLayout() refuses a file that is something else", async () => {
  const directory = await Deno.makeTempDir();
  try {
    for (
      const text of ["", "{", "null", '{"version":2}', '{"version":1,"shards":1,"ports":[{}]}']
    ) {
      await Deno.writeTextFile(layoutPath(directory), text);
      await assertRejects(() => readLayout(directory), CommandError, "cluster.json");
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
