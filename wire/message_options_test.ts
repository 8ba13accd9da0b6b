import { assertEquals, assertThrows } from "@std/assert";
import { MalformedFrameError } from "./errors.ts";
import { delayMsMax, uniqueBytesMax } from "./limits.ts";
import {
  checkMessageOptions,
  encodeMessageOptions,
  type MessageOptions,
  messageOptionsEnd,
  readMessageOptions,
} from "./message_options.ts";

const big = Number.MAX_SAFE_INTEGER;

Deno.test("readMessageOptions() gives back what encodeMessageOptions() was given", () => {
  const cases: MessageOptions[] = [
    { delayMs: 1 },
    { delayMs: delayMsMax, ttlMs: delayMsMax, priority: 9, unique: "naïve" },
    { atMs: big, ttlMs: 1, priority: 1 },
    { unique: "u".repeat(uniqueBytesMax) },
    { priority: 5, unique: "x" },
  ];
  for (const options of cases) {
    const bytes = encodeMessageOptions(options)!;
    assertEquals(messageOptionsEnd(bytes, 0, bytes.length), bytes.length);
    checkMessageOptions(bytes, 0, bytes.length);
    assertEquals(readMessageOptions(bytes, 0), options);
    for (let end = 0; end < bytes.length; end++) {
      assertThrows(() => messageOptionsEnd(bytes, 0, end), MalformedFrameError, "cut off");
    }
  }
});

Deno.test("encodeMessageOptions() leaves out what says the same as its absence", () => {
  assertEquals(encodeMessageOptions({}), undefined);
  assertEquals(encodeMessageOptions({ delayMs: 0, priority: 0 }), undefined);
  assertEquals(encodeMessageOptions({ atMs: 0, priority: 3 }), new Uint8Array([8, 3]));
});

Deno.test("encodeMessageOptions() refuses at once what no queue can do", () => {
  const wrong: [options: MessageOptions, message: string][] = [
    [{ delayMs: -1 }, "delayMs is not a whole number from 0"],
    [{ delayMs: 1.5 }, "current value is 1.5"],
    [{ delayMs: delayMsMax + 1 }, "delayMs"],
    [{ delayMs: NaN }, "current value is NaN"],
    [{ atMs: Infinity }, "atMs"],
    [{ ttlMs: 0 }, "ttlMs is not a whole number from 1"],
    [{ priority: 10 }, "priority is not a whole number from 0 to 9"],
    [{ unique: "" }, "current length is 0"],
    [{ unique: "ü".repeat(513) }, "current length is 1026"],
  ];
  for (const [options, message] of wrong) {
    assertThrows(() => encodeMessageOptions(options), RangeError, message);
  }
  assertThrows(() => encodeMessageOptions({ delayMs: 1, atMs: 1 }), TypeError, "both");
  const number = { unique: 5 } as unknown as MessageOptions;
  assertThrows(() => encodeMessageOptions(number), TypeError, "number");
});

Deno.test("checkMessageOptions() refuses what a well-made client does not send", () => {
  const delayAndTime = new Uint8Array(17).fill(1);
  delayAndTime[0] = 3;
  const farDelay = new Uint8Array([1, 0, 0, 0, 0, 0, 1, 0, 0]);
  const cases: [bytes: Uint8Array, message: string][] = [
    [delayAndTime, "both a delay and a time"],
    [farDelay, "outside 1 to"],
    [new Uint8Array([4, 0, 0, 0, 0, 0, 0, 0, 0]), "outside 1 to"],
    [new Uint8Array([8, 10]), "priority 10"],
    [new Uint8Array([8, 0]), "priority 0"],
    [new Uint8Array([16, 0, 0]), "unique key of 0 bytes"],
    [new Uint8Array([16, 1, 0, 0xff]), "not UTF-8"],
    [new Uint8Array(3 + 1_025).fill(65).with(0, 16).with(1, 1).with(2, 4), "of 1025 bytes"],
  ];
  for (const [bytes, message] of cases) {
    const check = () => checkMessageOptions(bytes, 0, messageOptionsEnd(bytes, 0, bytes.length));
    assertThrows(check, MalformedFrameError, message);
  }
  for (const fields of [0, 32, 255]) {
    const bytes = new Uint8Array(64).with(0, fields);
    assertThrows(() => messageOptionsEnd(bytes, 0, 64), MalformedFrameError, `fields ${fields}`);
  }
});
