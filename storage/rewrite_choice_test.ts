import { assertEquals } from "@std/assert";
import { IndexSet } from "./index_set.ts";
import { RecordPlaces } from "./record_places.ts";
import { estimateLiveBytes, RewriteChooser } from "./rewrite_choice.ts";
import type { ArchivedSegment } from "./sparse_segment.ts";

const BYTES_MAX = 1 << 20;

/** Segments of ten entries each, `"dense 900 live 100"` or `"sparse …"`. */
function choose(...segments: string[]): number[][] {
  const chooser = new RewriteChooser(BYTES_MAX);
  const chosen: (readonly ArchivedSegment[])[] = [];
  for (const [i, text] of segments.entries()) {
    const [kind, bytes, , live] = text.split(" ");
    const segment = {
      path: text,
      firstIndex: i * 10 + 1,
      lastIndex: i * 10 + 10,
      lastTerm: 1,
      records: Number(live) === 0 ? 0 : 10,
      bytes: Number(bytes) * 1_000,
      sparse: kind === "sparse",
      salt: 0,
      places: new RecordPlaces(),
    };
    chosen.push(chooser.next(segment, Number(live) * 1_000));
  }
  chosen.push(chooser.finish());
  return chosen.filter((some) => some.length > 0)
    .map((some) => some.map(({ firstIndex }) => (firstIndex - 1) / 10));
}

Deno.test("RewriteChooser takes segments of which half is dead, and leaves others", () => {
  assertEquals(choose("dense 1000 live 501"), []);
  assertEquals(choose("dense 1000 live 500"), [[0]]);
  assertEquals(choose("dense 1000 live 900", "dense 1000 live 3", "dense 1000 live 900"), [[1]]);
  assertEquals(choose("sparse 400 live 100", "dense 1000 live 990"), [[0]]);
});

Deno.test("RewriteChooser makes one of small ones that lie side by side, up to what one may hold", () => {
  assertEquals(choose("sparse 10 live 10", "sparse 12 live 12", "dense 1000 live 0"), [[0, 1, 2]]);
  assertEquals(choose("sparse 10 live 10"), []);
  assertEquals(choose("sparse 0 live 0", "sparse 0 live 0"), [[0, 1]]);
  assertEquals(choose("sparse 0 live 0"), []);
  assertEquals(
    choose("dense 1000 live 400", "dense 1000 live 450", "dense 1000 live 300"),
    [[0, 1], [2]],
  );
  const many = choose(...Array.from({ length: 40 }, () => "dense 1000 live 1"));
  assertEquals(many.map((some) => some.length), [16, 16, 8]);
});

Deno.test("RewriteChooser does not copy a large one for the sake of small ones beside it", () => {
  assertEquals(choose("sparse 300 live 300", "sparse 10 live 10", "dense 1000 live 5"), [[1, 2]]);
  assertEquals(choose("dense 1000 live 5", "sparse 300 live 300", "sparse 10 live 10"), [[0]]);
  assertEquals(choose("sparse 300 live 300", "sparse 10 live 10"), []);
  assertEquals(choose("sparse 300 live 300", "sparse 200 live 200"), [[0, 1]]);
});

Deno.test("estimateLiveBytes() knows which parts of a segment have something alive", () => {
  const places = new RecordPlaces();
  // A hundred records of 10,000 bytes each.
  for (let i = 0; i < 100; i++) places.note(i + 1, 64 + i * 10_000);
  const segment = {
    path: "x",
    firstIndex: 1,
    lastIndex: 100,
    lastTerm: 1,
    records: 100,
    bytes: 64 + 1_000_000,
    sparse: false,
    salt: 0,
    places,
  };
  const estimate = (low: number, high: number) =>
    Math.round(estimateLiveBytes(segment, IndexSet.range(low, high)));
  assertEquals(estimate(1, 1), 0);
  assertEquals(estimate(1, 101), segment.bytes);
  assertEquals(estimate(7, 8), 10_000);
  assertEquals(estimate(20, 70), 500_000);
  assertEquals(estimate(500, 900), 0);
});
