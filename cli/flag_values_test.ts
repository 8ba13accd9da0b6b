import { assertEquals, assertThrows } from "@std/assert";
import { formatAddress, parseAddress } from "./address.ts";
import {
  parseDuration,
  parseInteger,
  parsePastTime,
  parseSize,
  parseTime,
  writeDuration,
} from "./flag_values.ts";

Deno.test("parseAddress() reads names, IPv4 and bracketed IPv6", () => {
  for (const text of ["localhost:7400", "10.0.0.1:0", "[::1]:7400", "queue.example.org:65535"]) {
    assertEquals(formatAddress(parseAddress(text)), text);
  }
});

Deno.test("parseAddress() says why something is no address", () => {
  for (
    const [text, why] of [
      ["localhost", "the port is missing"],
      ["::1:7400", "an IPv6 host stands in brackets"],
      ["a:70000", "ports end at 65535"],
      ["http://a:1", "not of the form HOST:PORT"],
      [":7400", "not of the form HOST:PORT"],
      ["a:b", "not of the form HOST:PORT"],
      ["", "not of the form HOST:PORT"],
    ] as const
  ) {
    assertThrows(() => parseAddress(text), SyntaxError, why);
  }
});

Deno.test("writeDuration() writes what parseDuration() reads", () => {
  const written = ["0ms", "250ms", "1500ms", "30s", "90s", "2m", "24m", "3h", "7d"];
  assertEquals(written.map((text) => writeDuration(parseDuration(text))), written);
});

Deno.test("parseDuration() adds up parts with units and wants a unit", () => {
  assertEquals(parseDuration("250ms"), 250);
  assertEquals(parseDuration("1.5s"), 1_500);
  assertEquals(parseDuration("1h30m"), 5_400_000);
  for (const wrong of ["", "10", "s", "1 s", "-1s", "1w"]) {
    assertThrows(() => parseDuration(wrong), SyntaxError);
  }
});

Deno.test("parseTime() takes ISO 8601, in the zone of this machine where none is given", () => {
  const now = new Date(2027, 0, 31, 12, 30);
  const cases: [text: string, time: Date][] = [
    ["2027-01-31T18:00Z", new Date(Date.UTC(2027, 0, 31, 18))],
    ["2027-01-31T18:00:01.5-02:30", new Date(Date.UTC(2027, 0, 31, 20, 30, 1, 500))],
    ["2027-01-31 18:00", new Date(2027, 0, 31, 18)],
    ["2027-02-01", new Date(2027, 1, 1)],
    ["18:00", new Date(2027, 0, 31, 18)],
    ["12:30", new Date(2027, 1, 1, 12, 30)],
    ["07:15:30", new Date(2027, 1, 1, 7, 15, 30)],
  ];
  for (const [text, time] of cases) assertEquals(parseTime(text, now), time, text);
  const wrong = [
    "",
    "tomorrow",
    "2027-02-30T10:00",
    "2027-13-01",
    "2027-01-31T25:00",
    "24:00",
    "18",
  ];
  for (const text of [...wrong, "18:00Z", "2027-01-31T", "2027-01-31Z18:00", "1700000000"]) {
    assertThrows(() => parseTime(text, now), SyntaxError, "such as", text);
  }
});

Deno.test("parseSize() knows binary and decimal units", () => {
  assertEquals(parseSize("0"), 0);
  assertEquals(parseSize("1.5KiB"), 1_536);
  assertEquals(parseSize("10MB"), 10_000_000);
  for (const wrong of ["", "1KB", "1k", "x", "-1", "1e30GiB"]) {
    assertThrows(() => parseSize(wrong), SyntaxError);
  }
});

Deno.test("parseInteger() takes grouped digits and keeps to its bounds", () => {
  assertEquals(parseInteger("100_000", { minimum: 1 }), 100_000);
  assertEquals(parseInteger("1,000,000", { minimum: 1 }), 1_000_000);
  for (const wrong of ["", "1.5", "1e3", "0x10", "-1", "11", "1,0", "99999999999999999999"]) {
    assertThrows(() => parseInteger(wrong, { minimum: 0, maximum: 10 }), SyntaxError);
  }
});

Deno.test("parsePastTime() reads moments and how long ago one was", () => {
  const nowMs = Date.UTC(2026, 0, 31, 12);
  const times = ["2026-01-31T11:59Z", "2026-01-31T12:59:00+01:00", "1m", "60s"];
  assertEquals(times.map((text) => parsePastTime(text, nowMs)), times.map(() => nowMs - 60_000));
  assertEquals(parsePastTime("2026-01-31", nowMs), Date.UTC(2026, 0, 31));
  for (const text of ["", "soon", "12", "2026", "2026-13-01", "-5m"]) {
    assertThrows(() => parsePastTime(text, nowMs), SyntaxError, "10m for 10 minutes ago");
  }
});
