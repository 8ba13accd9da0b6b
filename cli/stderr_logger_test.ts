import { assertEquals } from "@std/assert";
import { type LogFormat, type LogLevel, StderrLogger } from "./stderr_logger.ts";

function logger(format: LogFormat, level: LogLevel): { log: StderrLogger; lines: string[] } {
  const lines: string[] = [];
  const log = new StderrLogger({
    format,
    level,
    fields: { node: 1 },
    write: (line) => lines.push(line),
    now: () => Date.UTC(2026, 0, 31, 10, 20, 30, 123),
  });
  return { log, lines };
}

Deno.test("StderrLogger writes lines for people, with quotes where they are needed", () => {
  const { log, lines } = logger("text", "info");
  log.info("leader elected", { shard: 0, queue: "two words", odd: 'a"b', none: undefined });
  assertEquals(lines, [
    "2026-01-31T10:20:30.123Z INFO  leader elected node=1 shard=0 " +
    'queue="two words" odd="a\\"b" none=null',
  ]);
});

Deno.test("StderrLogger writes one line whatever the fields hold", () => {
  for (const format of ["text", "json"] as const) {
    const { log, lines } = logger(format, "debug");
    log.warn("disk", {
      text: "two\nlines",
      error: new Error("outer", { cause: new Error("inner") }),
      list: [1, "x"],
      big: 12n,
      bytes: new Uint8Array(3),
    });
    assertEquals(lines.length, 1);
    assertEquals(lines[0]!.includes("\n"), false);
    assertEquals(lines[0]!.includes("outer: inner"), true);
  }
});

Deno.test("StderrLogger writes JSON that programs can read", () => {
  const { log, lines } = logger("json", "info");
  log.error("sync failed", { path: "/data", cause: new Error("I/O") });
  assertEquals(JSON.parse(lines[0]!), {
    time: "2026-01-31T10:20:30.123Z",
    level: "error",
    message: "sync failed",
    node: 1,
    path: "/data",
    cause: "I/O",
  });
});

Deno.test("StderrLogger drops what is quieter than its level", () => {
  const { log, lines } = logger("text", "warn");
  log.debug("a");
  log.info("b");
  log.warn("c");
  log.error("d");
  assertEquals(lines.map((line) => line.slice(25, 30)), ["WARN ", "ERROR"]);
});
