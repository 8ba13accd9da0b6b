import { assertEquals } from "@std/assert";
import { closestWord, editDistance } from "./edit_distance.ts";
import {
  formatBytes,
  formatCount,
  formatMany,
  formatMs,
  formatRate,
  formatTable,
  oneLine,
  visibleLength,
  wrap,
} from "./format.ts";
import { paintFor } from "./terminal.ts";

Deno.test("formatCount() groups digits", () => {
  assertEquals([0, 999, 1_000, 1_234_567].map(formatCount), ["0", "999", "1,000", "1,234,567"]);
  assertEquals(formatMany(1, "message"), "1 message");
  assertEquals(formatMany(2_000, "entry", "entries"), "2,000 entries");
});

Deno.test("formatBytes() and formatMs() keep three digits", () => {
  assertEquals(
    [0, 1_023, 1_024, 1_536, 10_485_760, 5 * 2 ** 40].map(formatBytes),
    ["0 B", "1023 B", "1.00 KiB", "1.50 KiB", "10.0 MiB", "5.00 TiB"],
  );
  assertEquals(
    [0.5, 12.34, 312.4, 999.7, 2_400, 59_949, 59_950, 303_000, 7_260_000, 180_000_000].map(
      formatMs,
      formatRate,
    ),
    [
      "0.50 ms",
      "12.3 ms",
      "312 ms",
      "1.00 s",
      "2.40 s",
      "59.9 s",
      "1 min 0 s",
      "5 min 3 s",
      "2 h 1 min",
      "2 d 2 h",
    ],
  );
});

Deno.test("formatTable() aligns cells that hold colour marks", () => {
  const paint = paintFor(true);
  const lines = formatTable(
    [{ title: "node" }, { title: "lag", align: "right" }],
    [[paint.red("down"), "1,000"], ["up", paint.green("0")]],
  );
  assertEquals(lines.map(visibleLength), [11, 11, 11]);
});

Deno.test("wrap() breaks at spaces only, and keeps line breaks", () => {
  assertEquals(wrap("one two three", 7), ["one two", "three"]);
  assertEquals(wrap("incomprehensible", 5), ["incomprehensible"]);
  assertEquals(wrap("a\nb", 5), ["a", "b"]);
});

Deno.test("oneLine() takes control characters out and cuts what is too long", () => {
  assertEquals(oneLine("a\x1b[2J\nb", 20), "a [2J b");
  assertEquals(oneLine("abcdef", 4), "abc…");
});

Deno.test("editDistance() counts single-letter changes", () => {
  assertEquals(editDistance("", "abc"), 3);
  assertEquals(editDistance("kitten", "sitting"), 3);
  assertEquals(editDistance("pbu", "pub"), 1);
});

Deno.test("closestWord() suggests nothing where nothing is close", () => {
  assertEquals(closestWord("que", ["queue", "pub"]), "queue");
  assertEquals(closestWord("sreve", ["serve", "sub"]), "serve");
  assertEquals(closestWord("x", ["serve", "sub"]), undefined);
});

Deno.test("formatRate() has one decimal where that says something", () => {
  const rates = [0, 0.01, 0.25, 9.96, 99.94, 100, 1_234.5];
  assertEquals(rates.map(formatRate), ["0", "<0.1", "0.3", "10.0", "99.9", "100", "1,235"]);
});
