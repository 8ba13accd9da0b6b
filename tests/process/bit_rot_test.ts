/**
 * Damaged files of real nodes.
 *
 * @module
 */

import { assertEquals, assertGreater } from "@std/assert";
import { fillUntilSnapshot, type Flip, rotWhileWorking } from "./bit_rot.ts";
import { processTest } from "./process_test_case.ts";

processTest(
  "a flipped bit in any kind of file is found, named and repaired while work goes on",
  { seconds: 180 },
  async ({ cluster }) => {
    await fillUntilSnapshot(cluster);
    const flips: Flip[] = [];
    const history = await rotWhileWorking(cluster, 5, (flip) => flips.push(flip));
    console.log(history.summary());
    assertEquals(history.check(), []);
    assertEquals(
      flips.map(({ kind }) => kind),
      ["meta", "configuration", "hard state", "segment", "snapshot"],
    );
    // Of term and vote there is a second copy.
    assertEquals(flips.map(({ replaced }) => replaced).slice(0, 4), [true, true, false, true]);
    assertGreater(history.totals.confirmed, 200);
  },
);
