import { assertEquals } from "@std/assert";
import { newDisk, randomFrom, settle } from "../storage/_testing.ts";
import { DataDirectory } from "../storage/mod.ts";
import type { PeerStanding } from "../wire/mod.ts";
import { Formation } from "./formation.ts";

const blank = { incarnation: "b", isBlank: true, isLost: false, isDiskLow: false, replicas: [] };
const lost = { incarnation: "l", isBlank: false, isLost: true, isDiskLow: false, replicas: [] };
const member = { incarnation: "m", isBlank: false, isLost: false, isDiskLow: false, replicas: [] };

/** A formation on a new directory, and what it decides. */
async function newFormation(nodeId: number, prepare?: (directory: DataDirectory) => Promise<void>) {
  const { disk, clock } = newDisk();
  const options = { nodeId, random: randomFrom(nodeId) };
  const directory = await clock.run(DataDirectory.open(disk, "data", options));
  if (prepare !== undefined) await clock.run(prepare(directory));
  const announced: Omit<PeerStanding, "replicas" | "isDiskLow">[] = [];
  const formation = new Formation(nodeId, [1, 2, 3], directory, () => {
    announced.push(formation.standing);
  });
  let decision: "founder" | "newcomer" | undefined;
  void formation.isFounder.then((isFounder) => decision = isFounder ? "founder" : "newcomer");
  return {
    formation,
    directory,
    announced,
    async decision() {
      while (await clock.step());
      await settle();
      return decision;
    },
  };
}

Deno.test("the first node founds the cluster when all others are blank, and says so", async () => {
  const { formation, directory, announced, decision } = await newFormation(1);
  formation.heard(2, { ...blank, incarnation: "two" });
  assertEquals(formation.missing, [3]);
  assertEquals(await decision(), undefined);
  formation.heard(3, { ...blank, incarnation: "three" });
  const founders = { 1: directory.meta.incarnation, 2: "two", 3: "three" };
  assertEquals(await decision(), "founder");
  assertEquals(announced.map((standing) => standing.founders), [founders]);
  assertEquals(directory.meta.standing, "founding");
});

Deno.test("the first node does not count on a node that has gone again", async () => {
  const { formation, decision } = await newFormation(1);
  formation.heard(2, blank);
  formation.lost(2);
  formation.heard(3, blank);
  assertEquals(await decision(), undefined);
});

Deno.test("another node waits for the founders, and knows itself among them", async () => {
  const { formation, directory, decision } = await newFormation(2);
  formation.heard(1, blank);
  formation.heard(3, blank);
  assertEquals(await decision(), undefined);
  const founders = { 1: "one", 2: directory.meta.incarnation, 3: "three" };
  formation.heard(1, { ...member, founders });
  assertEquals(await decision(), "founder");
  assertEquals([directory.meta.standing, directory.meta.founders], ["founding", founders]);
});

Deno.test("a node hears from a newcomer that it is a founder", async () => {
  const founder = await newFormation(2);
  const founders = { 1: "one", 2: founder.directory.meta.incarnation, 3: "of an earlier life" };
  const newcomer = await newFormation(3);
  newcomer.formation.heard(1, { ...member, founders });
  assertEquals(await newcomer.decision(), "newcomer");
  founder.formation.heard(3, {
    ...newcomer.formation.standing,
    isBlank: false,
    isDiskLow: false,
    replicas: [],
  });
  assertEquals(await founder.decision(), "founder");
});

Deno.test("a node that is not the one that founded the cluster is a newcomer", async () => {
  const { formation, decision } = await newFormation(1);
  formation.heard(2, blank);
  formation.heard(3, { ...member, founders: { 1: "of an earlier life", 2: "two", 3: "three" } });
  assertEquals(await decision(), "newcomer");
});

Deno.test("a blank node among nodes that have lost everything founds no cluster", async () => {
  const { formation, decision } = await newFormation(1);
  formation.heard(2, lost);
  assertEquals(await decision(), undefined);
  formation.heard(3, blank);
  assertEquals(await decision(), "newcomer");
});

Deno.test("a node that was interrupted while it founded goes on with that", async () => {
  const founders = { 1: "one", 2: "two", 3: "three" };
  const { decision } = await newFormation(1, (directory) => {
    return directory.setStanding("founding", founders);
  });
  assertEquals(await decision(), "founder");
});

Deno.test("a member has nothing to wait for", async () => {
  const { decision } = await newFormation(1, (directory) => directory.setStanding("member"));
  assertEquals(await decision(), "newcomer");
});
