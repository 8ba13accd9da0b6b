import { assertEquals, assertRejects } from "@std/assert";
import { DeliveryPrinter } from "./delivery_printer.ts";

/** A message whose ack is written down. */
class Message {
  readonly text: string;
  readonly events: string[];
  constructor(text: string, events: string[]) {
    this.text = text;
    this.events = events;
  }
  ack(): Promise<void> {
    this.events.push(`ack ${this.text}`);
    return this.text === "expired" ? Promise.reject(new Error("late")) : Promise.resolve();
  }
}

function printer(events: string[], write: (text: string) => Promise<void>, ack = true) {
  return new DeliveryPrinter<Message>({
    format: (message) => [new TextEncoder().encode(message.text)],
    write: (bytes) => write(new TextDecoder().decode(bytes)),
    settle: ack ? (message) => message.ack() : undefined,
    onSettleFailed: (error) => events.push(`ack failed: ${(error as Error).message}`),
  });
}

Deno.test("DeliveryPrinter acks after the bytes are out and never before", async () => {
  const events: string[] = [];
  const out = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const printing = printer(events, async (text) => {
    begun.resolve();
    await out.promise;
    events.push(`out ${text}`);
  });
  printing.print(new Message("a", events));
  printing.print(new Message("b", events));
  await begun.promise;
  assertEquals(events, []);
  out.resolve();
  await printing.finish();
  assertEquals(events, ["out ab", "ack a", "ack b"]);
  assertEquals(printing.written, 2);
});

Deno.test("DeliveryPrinter writes in one go what came during a write", async () => {
  const events: string[] = [];
  const printing = printer(events, (text) => {
    events.push(`out ${text}`);
    if (text === "a") {
      printing.print(new Message("b", events));
      printing.print(new Message("c", events));
    }
    return Promise.resolve();
  }, false);
  printing.print(new Message("a", events));
  await printing.finish();
  assertEquals(events, ["out a", "out bc"]);
});

Deno.test("DeliveryPrinter acks nothing that could not be written", async () => {
  const events: string[] = [];
  const printing = printer(events, () => Promise.reject(new Deno.errors.BrokenPipe("closed")));
  printing.print(new Message("a", events));
  await assertRejects(() => printing.finish(), Deno.errors.BrokenPipe);
  printing.print(new Message("b", events));
  await assertRejects(() => printing.finish(), Deno.errors.BrokenPipe);
  await printing.broken;
  assertEquals(events, []);
});

Deno.test("DeliveryPrinter tells of acks that failed and goes on", async () => {
  const events: string[] = [];
  const printing = printer(events, () => Promise.resolve());
  printing.print(new Message("expired", events));
  printing.print(new Message("fine", events));
  await printing.finish();
  assertEquals(events.toSorted(), ["ack expired", "ack failed: late", "ack fine"]);
});
