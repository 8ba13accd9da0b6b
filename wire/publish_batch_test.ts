import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import {
  array,
  assert,
  dictionary,
  integer,
  nat,
  oneof,
  option,
  property,
  record,
  string,
  tuple,
  uint8Array,
} from "fast-check";
import { concatBytes, encodeUtf8, writeU16, writeU32, writeU64 } from "./bytes.ts";
import { decodeCommand } from "./command_codec.ts";
import { MalformedFrameError } from "./errors.ts";
import { decodeFrame } from "./frame.ts";
import { defaultLimits, delayMsMax } from "./limits.ts";
import { encodeMessageOptions, type MessageOptions } from "./message_options.ts";
import {
  decodeMessage,
  encodeHeaders,
  measureMessage,
  type MessageHeaders,
} from "./message_record.ts";
import {
  checkPublishCommand,
  encodePublishCommand,
  messageBounds,
  messageEnd,
  messageStart,
  publishAreaBytes,
  PublishArena,
  publishBaseSequence,
  PublishBatch,
  publishCount,
  publishDetails,
  publishPartitionCount,
  publishSessionId,
  publishTableOffset,
} from "./publish_batch.ts";

interface PlainMessage {
  readonly body: string | Uint8Array;
  readonly key?: string;
  readonly headers?: MessageHeaders;
  readonly options?: MessageOptions;
}

const text = string({ unit: "grapheme", maxLength: 20 });
const anyMessage = record({
  body: oneof(text, uint8Array({ maxLength: 60 })),
  key: option(text, { nil: undefined }),
  headers: option(
    dictionary(text.filter((name: string) => name !== "__proto__"), text, {
      maxKeys: 3,
      noNullPrototype: true,
    }),
    { nil: undefined },
  ),
  options: option(
    record({
      atMs: integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      ttlMs: integer({ min: 1, max: delayMsMax }),
      priority: integer({ min: 1, max: 9 }),
      unique: string({ unit: "grapheme", minLength: 1, maxLength: 20 }),
    }, { requiredKeys: [] }),
    { nil: undefined },
  ),
}).map(({ body, key, headers, options }) => {
  return {
    body,
    ...(key === undefined ? {} : { key }),
    ...(headers === undefined ? {} : { headers }),
    ...(options === undefined ? {} : { options }),
  };
});
const someMessages = array(anyMessage, { minLength: 1, maxLength: 20 });
const target = { sessionId: 2 ** 40 + 7, partitionId: 99, baseSequence: 2 ** 33 };

function bytesOf(body: string | Uint8Array): Uint8Array {
  return typeof body === "string" ? encodeUtf8(body) : body;
}

function decodeAll(command: Uint8Array): PlainMessage[] {
  return Array.from({ length: publishCount(command) }, (_, i) => {
    const { key, headers, options, body } = decodeMessage(
      command,
      messageStart(command, i),
      messageEnd(command, i),
    );
    return { body, key: key ?? "(none)", headers, options };
  });
}

function expected(messages: readonly PlainMessage[]): PlainMessage[] {
  return messages.map(({ body, key, headers, options }) => ({
    body: bytesOf(body),
    key: key ?? "(none)",
    headers: headers ?? {},
    options: options ?? {},
  }));
}

Deno.test("PublishBatch lays out what decodeMessage() reads", () => {
  assert(property(someMessages, (messages: PlainMessage[]) => {
    const command = encodePublishCommand(target, messages);
    assertEquals(checkPublishCommand(command, defaultLimits), -1);
    assertEquals(decodeAll(command), expected(messages));
    assertEquals(publishSessionId(command), target.sessionId);
    assertEquals(publishBaseSequence(command), target.baseSequence);
    assertEquals(publishPartitionCount(command), 0);
    assertEquals(
      publishAreaBytes(command),
      command.length - publishTableOffset - 4 * messages.length,
    );
  }));
});

Deno.test("PublishBatch.encodeHead() and the area are the frame of the same command", () => {
  const batch = new PublishBatch(new PublishArena());
  batch.add("first", "key", encodeHeaders({ a: "b" }));
  batch.add(new Uint8Array(40_000).fill(7));
  const head = batch.encodeHead(20, 5, { ...target, shard: 3 });
  const frame = decodeFrame(concatBytes([head, batch.area]));
  assertEquals([frame.type, frame.shard, frame.correlationId], [20, 3, 5]);
  assertEquals(frame.payload, batch.encodeCommand({ ...target, shard: 3 }));
});

Deno.test("PublishBatch keeps its messages when later batches of the arena outgrow the chunk", () => {
  assert(property(
    tuple(array(someMessages, { minLength: 1, maxLength: 10 }), nat({ max: 200 })),
    ([groups, chunkBytes]: [PlainMessage[][], number]) => {
      const arena = new PublishArena(chunkBytes);
      const batches = groups.map((messages) => {
        const batch = new PublishBatch(arena);
        for (const { body, key, headers, options } of messages) {
          batch.add(
            body,
            key,
            headers === undefined ? undefined : encodeHeaders(headers),
            options === undefined ? undefined : encodeMessageOptions(options),
          );
        }
        return batch;
      });
      for (const [i, batch] of batches.entries()) {
        assertEquals(
          decodeAll(batch.encodeCommand({ ...target, shard: 0 })),
          expected(groups[i]!),
        );
      }
    },
  ));
});

Deno.test("PublishBatch.add() copies: the caller's array is its own afterwards", () => {
  const batch = new PublishBatch(new PublishArena());
  const body = new Uint8Array([1, 2, 3]);
  batch.add(body);
  body.fill(9);
  const command = batch.encodeCommand({ ...target, shard: 0 });
  assertEquals(decodeAll(command)[0]!.body, new Uint8Array([1, 2, 3]));
});

Deno.test("PublishBatch.add() refuses a key over 65,535 bytes", () => {
  const batch = new PublishBatch(new PublishArena());
  assertThrows(() => batch.add("", "ü".repeat(32_768)), RangeError, "65536");
});

Deno.test("decodeMessage() gives a view of the body, not a copy", () => {
  const command = encodePublishCommand(target, [{ body: "abc", key: "k" }]);
  const { body } = decodeMessage(command, messageStart(command, 0), messageEnd(command, 0));
  assertStrictEquals(body.buffer, command.buffer);
});

Deno.test("messageBounds() agrees with messageStart() and messageEnd()", () => {
  const command = encodePublishCommand(target, [{ body: "a" }, { body: "" }, { body: "ccc" }]);
  const bounds = { start: 0, end: 0 };
  let previousEnd = publishTableOffset + 12;
  for (let i = 0; i < 3; i++) {
    messageBounds(command, i, bounds);
    assertEquals(bounds, { start: messageStart(command, i), end: messageEnd(command, i) });
    assertEquals(bounds.start, previousEnd);
    previousEnd = bounds.end;
  }
  assertEquals(previousEnd, command.length);
});

Deno.test("checkPublishCommand() throws MalformedFrameError and nothing else on damaged bytes", () => {
  const damage = array(tuple(nat({ max: 400 }), nat({ max: 255 })), { maxLength: 4 });
  assert(
    property(
      tuple(someMessages, damage, nat({ max: 30 })),
      ([messages, changes, cut]: [PlainMessage[], [number, number][], number]) => {
        const whole = encodePublishCommand(target, messages);
        const command = whole.slice(0, Math.max(0, whole.length - cut));
        for (const [at, value] of changes) if (at < command.length) command[at] = value;
        try {
          checkPublishCommand(command, defaultLimits);
        } catch (error) {
          if (error instanceof MalformedFrameError) return;
          throw error;
        }
        // Whatever passes can be read by everyone.
        decodeAll(command);
      },
    ),
    { numRuns: 2_000 },
  );
});

Deno.test("checkPublishCommand() names what is wrong", () => {
  const make = () => encodePublishCommand(target, [{ body: "one", key: "k" }, { body: "two" }]);
  const cases: [change: (command: Uint8Array) => void, message: string][] = [
    [(command) => command[0] = 2, "kind 2"],
    [(command) => command[1] = 2, "version 2"],
    [(command) => writeU32(command, 32, 0), "its count is 0"],
    [(command) => writeU32(command, 32, 70_000), "its count is 70000"],
    [(command) => writeU32(command, 32, 60_000), "cut off in its table"],
    [(command) => writeU32(command, 36, 1), "features 1"],
    [(command) => writeU32(command, 36, 0), "those of its messages are 2"],
    [(command) => writeU32(command, 36, 6), "features 6"],
    [(command) => writeU32(command, 40, 0), "message 0"],
    [(command) => writeU32(command, 44, 2), "message 1"],
    [(command) => writeU32(command, 44, 10), "behind its last message"],
    [(command) => writeU64(command, 24, Number.MAX_SAFE_INTEGER), "sequence numbers"],
    [(command) => writeU16(command, 49, 500), "cut off"],
    [(command) => command[48] = 8, "unknown flags"],
    [(command) => command[51] = 0xff, "not UTF-8"],
  ];
  for (const [change, message] of cases) {
    const command = make();
    change(command);
    assertThrows(() => checkPublishCommand(command, defaultLimits), MalformedFrameError, message);
  }
});

Deno.test("checkPublishCommand() finds the first message over the limit, framing not counted", () => {
  const limits = { messageBytesMax: 10, batchCountMax: 100 };
  const headers = { a: "bc" };
  const check = (...messages: PlainMessage[]) =>
    checkPublishCommand(encodePublishCommand(target, messages), limits);
  assertEquals(check({ body: "0123456789" }, { body: "01234", key: "56789" }), -1);
  // The headers take 6 bytes as CBOR.
  assertEquals(check({ body: "0123", headers }), -1);
  assertEquals(check({ body: "" }, { body: "0123456789x" }, { body: "0123456789x" }), 1);
  assertEquals(check({ body: "012345678", key: "ab" }), 0);
  assertEquals(check({ body: "01234", headers }), 0);
});

Deno.test("measureMessage() counts what checkPublishCommand() counts", () => {
  assert(property(anyMessage, ({ body, key, headers, options }: PlainMessage) => {
    const encoded = headers === undefined ? undefined : encodeHeaders(headers);
    const exact = bytesOf(body).length + (key === undefined ? 0 : encodeUtf8(key).length) +
      (encoded === undefined ? 0 : encoded.length);
    assertEquals(measureMessage(body, key, encoded, 0), exact);
    const bound = measureMessage(body, key, encoded, 1_000_000);
    assertEquals(bound >= exact && bound <= 3 * exact, true);
    const message = {
      body,
      ...(key === undefined ? {} : { key }),
      ...(headers === undefined ? {} : { headers }),
      ...(options === undefined ? {} : { options }),
    };
    const command = encodePublishCommand(target, [message]);
    const check = (messageBytesMax: number) =>
      checkPublishCommand(command, { messageBytesMax, batchCountMax: 1 });
    assertEquals(check(exact), -1);
    if (exact > 0) assertEquals(check(exact - 1), 0);
  }));
});

Deno.test("encodeHeaders() refuses what is not text", () => {
  assertThrows(
    () => encodeHeaders({ a: 1 } as unknown as MessageHeaders),
    TypeError,
    "a is number",
  );
  assertThrows(() => encodeHeaders(JSON.parse('{"__proto__": "x"}')), TypeError, "__proto__");
});

Deno.test("publishDetails() reads what each message asks for, and is not there where nobody asks", () => {
  assert(property(someMessages, (messages: PlainMessage[]) => {
    const details = publishDetails(encodePublishCommand(target, messages));
    const asked = messages.map(({ key, options }) => ({
      ...(key === undefined ? {} : { key }),
      ...options,
    }));
    assertEquals(details === undefined, asked.every((one) => Object.keys(one).length === 0));
    if (details !== undefined) assertEquals(messages.map((_, i) => details.at(i)), asked);
  }));
});

Deno.test("a command of a log from before there were features is read, keys and all", () => {
  const command = encodePublishCommand(target, [{ body: "one", key: "k" }]);
  writeU32(command, 36, 0);
  assertEquals(publishDetails(command), undefined);
  assertEquals(decodeAll(command), expected([{ body: "one", key: "k" }]));
});

Deno.test("a publish command tells how many partitions its sender knew", () => {
  const batch = new PublishBatch(new PublishArena());
  batch.add("hello", "key");
  const command = batch.encodeCommand({ ...target, shard: 0, partitionCount: 1_024 });
  assertEquals(checkPublishCommand(command, defaultLimits), -1);
  assertEquals(publishPartitionCount(command), 1_024);
  const decoded = decodeCommand(command);
  assertEquals(decoded.kind === "publish" && decoded.partitionCount, 1_024);
});

Deno.test("PublishBatch.recordAt() gives a message that another batch takes as it is", () => {
  const [one, other] = [0, 1].map(() => new PublishBatch(new PublishArena()));
  for (const text of ["a", "bb", "ccc"]) one!.add(text, `key of ${text}`);
  other!.addRecord(one!.recordAt(1));
  const expected = encodePublishCommand(target, [{ body: "bb", key: "key of bb" }]);
  assertEquals(other!.encodeCommand({ ...target, shard: 0 }), expected);
});
