import { assertEquals } from "@std/assert";
import { PendingReads } from "./pending_reads.ts";

/** Asks for a read that Raft takes. @returns Its context. */
function ask(reads: PendingReads, done: (current: boolean) => void): Uint8Array {
  let context = new Uint8Array();
  reads.ask((given) => {
    context = new Uint8Array(given);
    return true;
  }, done);
  return context;
}

Deno.test("PendingReads serves a read once it is confirmed and its index is applied", () => {
  const reads = new PendingReads();
  const answers: string[] = [];
  const first = ask(reads, (current) => answers.push(`first ${current}`));
  const second = ask(reads, (current) => answers.push(`second ${current}`));
  reads.serve(100);
  assertEquals(answers, []);
  reads.confirmed(7, second);
  reads.confirmed(9, first);
  reads.serve(6);
  assertEquals(answers, []);
  reads.serve(8);
  assertEquals(answers, ["second true"]);
  reads.serve(9);
  reads.serve(10);
  assertEquals(answers, ["second true", "first true"]);
});

Deno.test("PendingReads fails what Raft refuses, and everything when leadership is lost", () => {
  const reads = new PendingReads();
  const answers: string[] = [];
  reads.ask(() => false, (current) => answers.push(`refused ${current}`));
  const confirmed = ask(reads, (current) => answers.push(`confirmed ${current}`));
  const asked = ask(reads, (current) => answers.push(`asked ${current}`));
  reads.confirmed(3, confirmed);
  reads.failAll();
  assertEquals(answers, ["refused false", "asked false", "confirmed false"]);
  reads.confirmed(3, asked);
  reads.serve(3);
  assertEquals(answers.length, 3);
});
