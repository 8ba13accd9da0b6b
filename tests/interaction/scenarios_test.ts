/** Runs the recorded scenarios, the quorum tables and our own stories against the core. */

import { assertEquals } from "@std/assert";
import { runQuorumTable } from "./quorum_table.ts";
import { compareRecording, record, runStory } from "./scenario.ts";

const SHARED = new URL("../../../shared/raft-scenarios/", import.meta.url);
const STORIES = new URL("./testdata/", import.meta.url);

/**
 * Where ours differs on the way, and why. What must agree agrees here too; in scenarios without a
 * reason everything that is recorded agrees after every step.
 */
const EXPLAINED: Readonly<Record<string, string>> = {
  "confchange_v2_add_double_auto.ndjson":
    "our leader takes a change of members only once it has committed an entry of its own term, and " +
    "so the change is proposed again one ready later",
};

function filesIn(directory: URL, extension: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name)
      .filter((name) => name.endsWith(extension)).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

for (const [folder, what] of [["transcripts", "transcripts"], ["random", "random schedules"]]) {
  const directory = new URL(`${folder}/`, SHARED);
  const files = filesIn(directory, ".ndjson");
  Deno.test({
    name: `The recorded ${what} agree with ours`,
    ignore: files.length === 0,
    async fn(t) {
      for (const name of files) {
        const reason = EXPLAINED[name];
        await t.step(reason === undefined ? name : `${name} (${reason})`, () => {
          const text = Deno.readTextFileSync(new URL(name, directory));
          const { difference, otherDifferences } = compareRecording(text);
          assertEquals(difference, undefined);
          assertEquals(otherDifferences.length > 0, reason !== undefined);
        });
      }
    },
  });
}

const tables = filesIn(new URL("quorum/", SHARED), ".txt");
Deno.test({
  name: "The quorum tables agree with ours",
  ignore: tables.length === 0,
  fn() {
    let total = 0;
    for (const name of tables) {
      const text = Deno.readTextFileSync(new URL(`quorum/${name}`, SHARED));
      const { cases, differences } = runQuorumTable(text);
      assertEquals(differences, [], name);
      total += cases;
    }
    assertEquals(total, 127);
  },
});

Deno.test("Our own stories happen as they are told", async (t) => {
  for (const name of filesIn(STORIES, ".txt")) {
    await t.step(name, () => {
      const { difference } = runStory(Deno.readTextFileSync(new URL(name, STORIES)));
      assertEquals(difference, undefined);
    });
  }
});

const COMMANDS = [
  { step: 1, cmd: "add-nodes", args: ["3", "voters=(1, 2, 3)", "index=2"] },
  { step: 2, cmd: "campaign", args: ["1"] },
  { step: 3, cmd: "stabilize", args: [] },
].map((line) => JSON.stringify(line)).join("\n");

Deno.test("record() prints a recording that compareRecording() agrees with", () => {
  const recorded = record(COMMANDS);
  const { steps, difference, otherDifferences } = compareRecording(recorded);
  assertEquals({ steps, difference, otherDifferences }, {
    steps: 3,
    difference: undefined,
    otherDifferences: [],
  });
});

Deno.test("compareRecording() shows the first difference", () => {
  const altered = record(COMMANDS).replaceAll('"lead":1', '"lead":2');
  assertEquals(
    compareRecording(altered).difference,
    "step 3, stabilize: node 1 lead: expected 2, got 1",
  );
});

Deno.test("runStory() shows what happened instead", () => {
  const { difference, rewritten } = runStory("raft-state\n----\nsomething else\n");
  assertEquals(difference, "raft-state\n--- expected\nsomething else\n--- got\nok\n");
  assertEquals(rewritten, "raft-state\n----\nok\n");
});
