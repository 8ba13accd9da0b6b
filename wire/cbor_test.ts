import { assertEquals, assertThrows } from "@std/assert";
import {
  array,
  assert,
  boolean,
  constant,
  dictionary,
  double,
  integer,
  letrec,
  maxSafeNat,
  oneof,
  property,
  string,
  uint8Array,
} from "fast-check";
import { checkTextMap, decodeCbor, decodeCborMap, encodeCbor } from "./cbor.ts";
import { MalformedFrameError } from "./errors.ts";
import { cborDepthMax } from "./limits.ts";

const vectorsUrl = new URL("../../shared/cbor-vectors/cbor_appendix_a.json", import.meta.url);

function hasVectors(): boolean {
  try {
    return Deno.statSync(vectorsUrl).isFile;
  } catch {
    return false;
  }
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** Valid CBOR that is not part of the subset, with the reason. */
const refused: Record<string, string> = {
  "1bffffffffffffffff": "over 2^53 - 1",
  "3bffffffffffffffff": "over 2^53 - 1",
  "c249010000000000000000": "tag",
  "c349010000000000000000": "tag",
  "c074323031332d30332d32315432303a30343a30305a": "tag",
  "c11a514b67b0": "tag",
  "c1fb41d452d9ec200000": "tag",
  "d74401020304": "tag",
  "d818456449455446": "tag",
  "d82076687474703a2f2f7777772e6578616d706c652e636f6d": "tag",
  "f0": "simple value",
  "f818": "simple value",
  "f8ff": "simple value",
  "a201020304": "keys that are not text",
};

/** What the vectors give in diagnostic notation only. */
const diagnosed: Record<string, unknown> = {
  "Infinity": Infinity,
  "-Infinity": -Infinity,
  "NaN": NaN,
  "undefined": undefined,
  "h''": new Uint8Array(0),
  "h'01020304'": new Uint8Array([1, 2, 3, 4]),
};

interface Vector {
  readonly hex: string;
  readonly decoded?: unknown;
  readonly diagnostic?: string;
}

Deno.test({
  name: "decodeCbor() agrees with RFC 8949 Appendix A, or refuses what is outside the subset",
  ignore: !hasVectors(),
  fn() {
    const vectors: Vector[] = JSON.parse(Deno.readTextFileSync(vectorsUrl));
    assertEquals(vectors.length, 82);
    for (const { hex, decoded, diagnostic } of vectors) {
      // Major types 2 to 5 with the length 31: indefinite.
      const isIndefinite = /^(5f|7f|9f|bf)/.test(hex) || /9f|bf61/.test(hex.slice(2));
      const reason = isIndefinite ? "indefinite length" : refused[hex];
      if (reason !== undefined) {
        assertThrows(() => decodeCbor(bytesOf(hex)), MalformedFrameError, reason, hex);
      } else {
        const expected = diagnostic === undefined ? decoded : diagnosed[diagnostic];
        assertEquals(normalized(decodeCbor(bytesOf(hex))), normalized(expected), hex);
      }
    }
  },
});

function normalized(value: unknown): unknown {
  return value instanceof Uint8Array ? [...value] : value;
}

Deno.test("decodeCbor() gives back what encodeCbor() was given", () => {
  const { value } = letrec((tie) => ({
    value: oneof(
      { maxDepth: 5 },
      constant(null),
      boolean(),
      integer(),
      maxSafeNat(),
      double({ noNaN: true }),
      string({ unit: "binary" }),
      array(tie("value"), { maxLength: 5 }),
      dictionary(string().filter((key: string) => key !== "__proto__"), tie("value"), {
        maxKeys: 5,
        noNullPrototype: true,
      }),
    ),
  }));
  assert(property(value, (original: unknown) => {
    assertEquals(decodeCbor(encodeCbor(original)), original);
  }));
});

Deno.test("decodeCbor() throws MalformedFrameError and nothing else on any bytes", () => {
  assert(
    property(uint8Array({ maxLength: 64 }), (bytes: Uint8Array) => {
      try {
        decodeCbor(bytes);
      } catch (error) {
        if (!(error instanceof MalformedFrameError)) throw error;
      }
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("decodeCbor() notices every cut and every byte too many", () => {
  const whole = encodeCbor({
    text: "abc",
    list: [1, 70_000, 2 ** 40, -5, 1.5, true],
    bytes: new Uint8Array(3),
  });
  for (let length = 0; length < whole.length; length++) {
    assertThrows(() => decodeCbor(whole.subarray(0, length)), MalformedFrameError);
  }
  assertThrows(() => decodeCbor(new Uint8Array([...whole, 0])), MalformedFrameError, "behind it");
});

Deno.test("decodeCbor() refuses lengths and counts that cannot be there before it allocates", () => {
  for (
    const hex of ["5affffffff", "7affffffff", "9affffffff", "baffffffff", "9b00000000ffffffff00"]
  ) {
    assertThrows(() => decodeCbor(bytesOf(hex)), MalformedFrameError, "cut off");
  }
});

Deno.test("decodeCbor() bounds the depth of nesting", () => {
  const nested = (depth: number) => new Uint8Array([...new Array(depth).fill(0x81), 0]);
  decodeCbor(nested(cborDepthMax));
  assertThrows(() => decodeCbor(nested(cborDepthMax + 1)), MalformedFrameError, "deeper");
  assertThrows(() => decodeCbor(nested(100_000)), MalformedFrameError, "deeper");
});

Deno.test("decodeCbor() makes no records, dates, sets or references of what it is given", () => {
  // Tags that cbor-x gives a meaning of its own: records, packed values, shared references, sets.
  for (
    const hex of [
      "d9dfff8301818161610200",
      "d9dffe8200",
      "d81c8100",
      "d90102810a",
      "c100",
      "d833810a",
    ]
  ) {
    assertThrows(() => decodeCbor(bytesOf(hex)), MalformedFrameError, "tag");
  }
});

Deno.test("decodeCborMap() refuses what is no map, and the key __proto__", () => {
  assertThrows(() => decodeCborMap(encodeCbor([1])), MalformedFrameError, "not a CBOR map");
  assertThrows(() => decodeCborMap(new Uint8Array(0)), MalformedFrameError, "not a CBOR map");
  const polluted = new Uint8Array([0xa1, 0x69, ...new TextEncoder().encode("__proto__"), 0xa0]);
  assertThrows(() => decodeCborMap(polluted), MalformedFrameError, "__proto__");
});

Deno.test("checkTextMap() takes maps of text to text only", () => {
  const check = (value: unknown) => {
    const bytes = encodeCbor(value);
    checkTextMap(bytes, 0, bytes.length);
  };
  check({});
  check({ a: "b", long: "x".repeat(300) });
  assertThrows(() => check({ a: 1 }), MalformedFrameError);
  assertThrows(() => check({ a: { b: "c" } }), MalformedFrameError);
  assertThrows(() => check(["a", "b"]), MalformedFrameError);
  assertThrows(() => checkTextMap(encodeCbor({ a: "b" }), 0, 3), MalformedFrameError);
  assertThrows(() => checkTextMap(new Uint8Array([0xa0, 0]), 0, 2), MalformedFrameError);
});
