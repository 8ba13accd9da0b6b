import { assertEquals } from "@std/assert";
import { reference } from "./reference.ts";

/** What stays of Markdown when the formatter's freedom is taken away: line breaks and padding. */
function words(markdown: string): string[] {
  return markdown.replaceAll(/-{3,}/g, "---").split(/\s+/);
}

Deno.test("docs/CLI.md says what the commands' tables say", async () => {
  const written = await Deno.readTextFile(new URL("../docs/CLI.md", import.meta.url));
  assertEquals(
    words(written),
    words(reference()),
    "see cli/reference.ts",
  );
});
