import { assert, assertEquals } from "@std/assert";
import { UniqueTable } from "./unique_table.ts";

function restored(table: UniqueTable): UniqueTable {
  const copy = new UniqueTable();
  for (const part of table.capture().parts()) copy.restore(part);
  return copy;
}

/** Everything that is in the line, in its order. */
function line(table: UniqueTable): string[] {
  return [...table.capture().parts()].flatMap(({ texts, offset, term }) =>
    texts.map((text, at) => `${text}@${offset[at]}/${term[at]}`)
  );
}

Deno.test("UniqueTable finds the newest message with a text, also from a snapshot", () => {
  const table = new UniqueTable();
  assertEquals(table.find("a"), undefined);
  for (let offset = 0; offset < 1_000; offset++) {
    table.add(`text ${offset % 700}`, { offset, term: offset % 7 }, (one) => one >= offset - 700);
    table.checkInvariants();
  }
  const copy = restored(table);
  copy.checkInvariants();
  for (const one of [table, copy]) {
    assertEquals(one.find("text 0"), { offset: 700, term: 0 });
    assertEquals(one.find("text 299"), { offset: 999, term: 5 });
    assertEquals(one.find("text 300"), { offset: 300, term: 6 });
  }
  assertEquals(line(copy), line(table));
});

Deno.test("UniqueTable holds few texts of messages that are gone, whatever stays alive", () => {
  const table = new UniqueTable();
  const live = 500;
  // The oldest ones stay, and a hundred thousand come and go behind them.
  const isAlive = (offset: number) => offset < live;
  for (let offset = 0; offset < 100_000; offset++) {
    table.add(`text ${offset}`, { offset, term: 1 }, isAlive);
    assert(table.size <= 2 * live + 2, `${table.size} places for ${live} live messages`);
  }
  for (let offset = 0; offset < live; offset++) {
    assertEquals(table.find(`text ${offset}`)?.offset, offset);
  }
  table.checkInvariants();
});

Deno.test("UniqueTable goes on after a snapshot as the one that it was taken of", () => {
  const table = new UniqueTable();
  const isAlive = (offset: number) => offset % 3 === 0;
  for (let offset = 0; offset < 600; offset++) {
    table.add(`text ${offset % 90}`, { offset, term: 1 }, isAlive);
  }
  const capture = table.capture();
  const before = line(table);
  const copy = restored(table);
  for (let offset = 600; offset < 2_000; offset++) {
    table.add(`text ${offset % 90}`, { offset, term: 2 }, isAlive);
    copy.add(`text ${offset % 90}`, { offset, term: 2 }, isAlive);
  }
  assertEquals(line(copy), line(table));
  // What was captured stays as it was.
  const texts = [...capture.parts()].flatMap((part) => part.texts);
  assertEquals(texts, before.map((one) => one.slice(0, one.indexOf("@"))));
});

Deno.test("UniqueTable gives the same parts after a restart, wherever it has its line", () => {
  const table = new UniqueTable();
  const isAlive = (offset: number) => offset % 2 === 0;
  for (let offset = 0; offset < 1_500; offset++) {
    table.add(`text ${offset}`, { offset, term: 1 }, isAlive);
    if (offset % 61 > 0) continue;
    assertEquals([...restored(table).capture().parts()], [...table.capture().parts()]);
  }
});
