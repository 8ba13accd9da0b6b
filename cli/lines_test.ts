import { assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { LineTooLongError, readLines } from "./lines.ts";

function stream(chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(chunks);
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The obvious way: all in memory, one byte a character. */
function linesOf(all: string): string[] {
  const lines = all.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines.map((line) => line.replace(/\r$/, ""));
}

Deno.test("readLines() splits like the obvious algorithm wherever the chunks end", async () => {
  const letter = fc.constantFrom("a", "\n", "\r", "\xff");
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(letter, { maxLength: 6 })), async (parts) => {
      const chunks = parts.map((part) => Uint8Array.from(part, (one) => one.charCodeAt(0)));
      const lines = await Array.fromAsync(readLines(stream(chunks), 100));
      assertEquals(
        lines.map((line) => String.fromCharCode(...line)),
        linesOf(parts.flat().join("")),
      );
    }),
  );
});

Deno.test("readLines() gives a line out as soon as its end is there", async () => {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const slow = new ReadableStream<Uint8Array>({ start: (given) => void (controller = given) });
  const lines = readLines(slow, 100);
  controller.enqueue(bytes("now\n\nlater"));
  assertEquals((await lines.next()).value, bytes("now"));
  assertEquals((await lines.next()).value, bytes(""));
  controller.close();
  assertEquals((await lines.next()).value, bytes("later"));
  assertEquals((await lines.next()).done, true);
});

Deno.test("readLines() names the line that is too long, even if it never ends", async () => {
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(bytes("x".repeat(64))),
  });
  await assertRejects(() => Array.fromAsync(readLines(endless, 1_000)), LineTooLongError, "line 1");
  const third = stream([bytes("a\nb\n"), bytes("12345"), bytes("678901\n")]);
  const error = await assertRejects(
    () => Array.fromAsync(readLines(third, 10)),
    LineTooLongError,
  );
  assertEquals(error.lineNumber, 3);
});
