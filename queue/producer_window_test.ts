import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { ProducerWindow } from "./producer_window.ts";

/** Batches of one message each; batch `n` got offset `100 + n` at index `200 + n`. */
function windowOf(capacity: number, batches: number): ProducerWindow {
  const window = new ProducerWindow(capacity);
  for (let at = 0; at < batches; at++) window.recordPublished(1, 100 + at, 200 + at, 3, 1_000 + at);
  return window;
}

Deno.test("ProducerWindow.judge() knows the next batch, a gap, and a repeat with its answer", () => {
  const window = windowOf(8, 5);
  assertEquals(window.judge(5, 10).kind, "next");
  assertEquals(window.judge(6, 1).kind, "gap");
  assertEquals(window.judge(2, 1), {
    kind: "repeat",
    answer: { kind: "published", firstOffset: 102, index: 202, term: 3, publishedAtMs: 1_002 },
  });
});

Deno.test("ProducerWindow.judge() does not take a batch of another size for a repeat", () => {
  const window = new ProducerWindow(8);
  window.recordPublished(4, 0, 1, 1, 0);
  window.recordPublished(4, 4, 2, 1, 0);
  for (const [base, count] of [[0, 3], [0, 5], [1, 3], [4, 3], [4, 5], [2, 4]] as const) {
    assertEquals(window.judge(base, count).kind, "mismatch");
  }
  assertEquals(window.judge(0, 4).kind, "repeat");
  assertEquals(window.judge(4, 4).kind, "repeat");
});

Deno.test("ProducerWindow forgets the oldest batch when it is full, and says so", () => {
  const window = windowOf(3, 10);
  assertEquals(window.size, 3);
  assertEquals(window.judge(6, 1).kind, "tooOld");
  assertEquals(window.judge(7, 1).kind, "repeat");
  assertEquals(window.judge(9, 1).kind, "repeat");
});

Deno.test("ProducerWindow remembers that a batch was refused", () => {
  const window = new ProducerWindow(8);
  window.recordRefused(3, "partitionNotFound");
  window.recordPublished(1, 0, 9, 1, 0);
  assertEquals(window.judge(0, 3), {
    kind: "repeat",
    answer: { kind: "refused", reason: "partitionNotFound" },
  });
  assertEquals(window.judge(3, 1).kind, "repeat");
  assertEquals(window.nextSequence, 4);
});

Deno.test("ProducerWindow.capture() stays as it is while the window goes on", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.nat(40), fc.nat(20), (capacity, one, more) => {
      const window = windowOf(capacity, one);
      const before = window.snapshot();
      const capture = window.capture();
      const second = window.capture();
      for (let at = one; at < one + more; at++) {
        window.recordPublished(1, 100 + at, 200 + at, 3, 1_000 + at);
      }
      assertEquals(capture.snapshot(), before);
      assertEquals(second.snapshot(), before);
      assertEquals(window.snapshot(), windowOf(capacity, one + more).snapshot());
    }),
  );
});

Deno.test("ProducerWindow may begin anywhere", () => {
  const window = new ProducerWindow(8, 50);
  assertEquals(window.judge(50, 1).kind, "next");
  assertEquals(window.judge(49, 1).kind, "tooOld");
  assertEquals(window.judge(51, 1).kind, "gap");
});

Deno.test("ProducerWindow.restore() gives the same answers, before and after going round", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.nat(40), fc.nat(20), (capacity, one, more) => {
      const window = windowOf(capacity, one);
      const restored = ProducerWindow.restore(capacity, structuredClone(window.snapshot()));
      for (let at = one; at < one + more; at++) {
        window.recordPublished(1, 100 + at, 200 + at, 3, 1_000 + at);
        restored.recordPublished(1, 100 + at, 200 + at, 3, 1_000 + at);
        restored.checkInvariants();
      }
      assertEquals(restored.snapshot(), window.snapshot());
      for (let base = 0; base <= one + more + 1; base++) {
        assertEquals(restored.judge(base, 1), window.judge(base, 1));
      }
    }),
  );
});

Deno.test("ProducerWindow remembers what was not stored of a batch, as long as the batch", () => {
  const window = windowOf(3, 1);
  const repeats = [{ position: 1, offset: 7, index: 8, term: 2 }];
  window.recordPublished(2, 101, 201, 3, 1_001, repeats);
  const answer = { kind: "published", firstOffset: 101, index: 201, term: 3, publishedAtMs: 1_001 };
  const expected = { kind: "repeat", answer: { ...answer, repeats } };
  const capture = window.capture();
  for (const one of [window, capture, ProducerWindow.restore(3, window.snapshot())]) {
    one.checkInvariants();
    assertEquals(one.judge(1, 2) as unknown, expected);
    assertEquals(one.repeatCount, 1);
  }
  for (let at = 3; at < 6; at++) window.recordPublished(1, 100 + at, 200 + at, 3, 1_000 + at);
  window.checkInvariants();
  assertEquals([window.judge(1, 2).kind, window.repeatCount], ["tooOld", 0]);
  assertEquals(window.snapshot().repeats, undefined);
  assertEquals(capture.judge(1, 2) as unknown, expected);
});

Deno.test("ProducerWindow forgets old batches rather than remember too much that was not stored", () => {
  const window = windowOf(1_000, 2);
  const many = Array.from({ length: 65_536 }, (_, position) => {
    return { position, offset: 0, index: 1, term: 1 };
  });
  const before = window.capture();
  for (let at = 0; at < 3; at++) {
    window.recordPublished(65_536, 102 + 65_536 * at, 300 + at, 3, 2_000, many);
  }
  window.checkInvariants();
  assertEquals([window.size, window.repeatCount], [2, 131_072]);
  assertEquals(window.judge(2, 65_536).kind, "tooOld");
  assertEquals(window.judge(2 + 65_536, 65_536).kind, "repeat");
  window.recordPublished(1, 5, 400, 3, 2_000);
  // A capture shares the ring with it, and stays as it was.
  assertEquals(before.judge(1, 1).kind, "repeat");
  assertEquals(before.snapshot().batches.slice(0, 5), Float64Array.of(0, 100, 200, 3, 1_000));
});
