/**
 * Figures and tables for people.
 *
 * @module
 */

/**
 * Writes a count with its digits in groups of three.
 *
 * @param count A number.
 * @returns For example `1,234,567`.
 */
export function formatCount(count: number): string {
  return Math.round(count).toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

/**
 * Writes a count with the word for what is counted.
 *
 * @param count A number.
 * @param one The word for one.
 * @param many The word for any other number; `one` and an "s" if it is left out.
 * @returns For example `1 message` or `2,000 messages`.
 */
export function formatMany(count: number, one: string, many = one + "s"): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/**
 * Writes a number of bytes with three digits and a binary unit.
 *
 * @param bytes A number of bytes.
 * @returns For example `512 B` or `1.50 MiB`.
 */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = "B";
  for (const larger of ["KiB", "MiB", "GiB", "TiB"]) {
    if (value < 1_024) break;
    value /= 1_024;
    unit = larger;
  }
  return `${unit === "B" ? value : threeDigits(value)} ${unit}`;
}

/**
 * Writes a time span with three digits and a fitting unit.
 *
 * @param ms Milliseconds.
 * @returns For example `0.52 ms`, `312 ms`, `2.40 s`, `5 min 3 s`.
 */
export function formatMs(ms: number): string {
  if (ms < 999.5) return `${threeDigits(ms)} ms`;
  if (ms < 59_950) return `${threeDigits(ms / 1_000)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 1_440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/**
 * Writes how often something happens: one decimal where that says something.
 *
 * @param rate A number of 0 or more.
 * @returns For example `0`, `0.2`, `1,234`.
 */
export function formatRate(rate: number): string {
  if (rate >= 100) return formatCount(Math.round(rate));
  return rate === 0 ? "0" : rate < 0.05 ? "<0.1" : rate.toFixed(1);
}

/** Three significant digits, but never fewer than the whole part and never more than two decimals. */
function threeDigits(value: number): string {
  return value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}

/** How a column of a table looks. */
export interface Column {
  readonly title: string;
  /**
   * Where the cells stand.
   *
   * @default {"left"}
   */
  readonly align?: "left" | "right";
}

/**
 * Counts the columns that text takes on a terminal, colour marks aside.
 *
 * @param text One line.
 * @returns The number of characters that can be seen.
 */
export function visibleLength(text: string): number {
  // deno-lint-ignore no-control-regex
  return [...text.replaceAll(/\x1b\[[0-9;]*m/g, "")].length;
}

function pad(text: string, width: number, align: "left" | "right"): string {
  const space = " ".repeat(Math.max(0, width - visibleLength(text)));
  return align === "right" ? space + text : text + space;
}

/**
 * Lays a table out: every column as wide as its widest cell, two spaces between.
 *
 * @param columns The columns.
 * @param rows The cells; they may hold colour marks.
 * @param paintTitle Marks the titles up.
 * @returns The lines, titles first.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const lines = formatTable(
 *   [{ title: "queue" }, { title: "ready", align: "right" }],
 *   [["mail", "7"], ["x", "1,200"]],
 * );
 * assertEquals(lines, ["queue  ready", "mail       7", "x      1,200"]);
 * ```
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  paintTitle: (text: string) => string = (text) => text,
): string[] {
  const widths = columns.map((column, i) =>
    Math.max(visibleLength(column.title), ...rows.map((row) => visibleLength(row[i] ?? "")))
  );
  function lay(cells: readonly string[], paint: (text: string) => string): string {
    const parts = columns.map((column, i) =>
      pad(paint(cells[i] ?? ""), widths[i]!, column.align ?? "left")
    );
    return parts.join("  ").trimEnd();
  }
  return [
    lay(columns.map((column) => column.title), paintTitle),
    ...rows.map((row) => lay(row, (text) => text)),
  ];
}

/**
 * Breaks text into lines of a width, at spaces.
 *
 * @param text The text; line breaks in it stay.
 * @param width Characters a line; a longer word gets a line of its own.
 * @returns The lines.
 */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && visibleLength(line) + 1 + visibleLength(word) > width) {
        lines.push(line);
        line = word;
      } else {
        line = line === "" ? word : `${line} ${word}`;
      }
    }
    lines.push(line);
  }
  return lines;
}

/**
 * Makes text from outside safe and short enough for one line on a terminal.
 *
 * @param text Any text.
 * @param lengthMax The most characters to keep.
 * @returns The text without control characters, cut with an ellipsis if it is too long.
 */
export function oneLine(text: string, lengthMax: number): string {
  // deno-lint-ignore no-control-regex
  const clean = text.replaceAll(/[\x00-\x1f\x7f-\x9f]+/g, " ");
  const letters = [...clean];
  return letters.length <= lengthMax ? clean : letters.slice(0, lengthMax - 1).join("") + "…";
}
