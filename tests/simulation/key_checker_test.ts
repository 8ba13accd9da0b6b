import { assertEquals } from "@std/assert";
import { type QueueSettings, queueSettings } from "../../queue/mod.ts";
import { KeyChecker } from "./key_checker.ts";

/**
 * Delivers messages by their offsets; one behind a `!` is acked, behind a `~` ready again, behind a `?`
 * delayed. Returns what is broken first.
 */
function broken(settings: Partial<QueueSettings>, keys: string, steps: string): string | undefined {
  const checker = new KeyChecker(queueSettings(settings));
  const messages = Array.from(keys, (key, offset) => ({
    offset,
    key,
    priority: 0,
    state: "ready",
    deliveryCount: 0,
  }));
  for (const message of messages) checker.published(message);
  let nowMs = 0;
  for (const step of steps.split(" ")) {
    if (step.endsWith("ms")) {
      nowMs += parseInt(step);
      continue;
    }
    const message = messages[Number(step.replace(/[!~?]/, ""))]!;
    if (step.startsWith("!")) message.state = "acked";
    else if (step.startsWith("~")) message.state = "ready";
    else if (step.startsWith("?")) message.state = "delayed";
    else {
      const found = checker.delivered(message, nowMs);
      if (found !== undefined) return found.join(": ");
      message.deliveryCount++;
      message.state = "leased";
    }
  }
  return undefined;
}

Deno.test("KeyChecker finds two of a key in flight, and one that overtakes another", () => {
  const settings = { order: "key" } as const;
  assertEquals(broken(settings, "abab", "0 1 !0 2 !1 ~2 2 3"), undefined);
  assertEquals(
    broken(settings, "aab", "0 2 1"),
    "so many of a key are in flight as may be: a has 0",
  );
  assertEquals(broken(settings, "aab", "0 ~0 1"), "a key goes in order: a has 0 before that");
  assertEquals(broken(settings, "aab", "0 ?0 1"), "a key waits for what comes back: a has 0");
  assertEquals(broken(settings, "aa", "1"), "a key goes in order: a has 0 before that");
  assertEquals(broken(settings, "aa", "?0 1"), undefined, "a delay of its own holds up nobody");
});

Deno.test("KeyChecker finds more of a key in flight than may be, and deliveries out of order", () => {
  const settings = { keyConcurrency: 2 };
  assertEquals(broken(settings, "aaab", "0 1 3 ?0 2"), undefined);
  assertEquals(
    broken(settings, "aaab", "0 1 3 2"),
    "so many of a key are in flight as may be: a has 0,1",
  );
  assertEquals(broken(settings, "aaa", "0 2"), "a key goes in order: a has 1 before that");
});

Deno.test("KeyChecker finds a key that is over its rate", () => {
  const settings = { keyRatePerSecond: 2 };
  assertEquals(broken(settings, "aaaaab", "0 1 5 500ms 2 500ms 3"), undefined);
  assertEquals(
    broken(settings, "aaaaab", "0 1 5 2 3"),
    "a key keeps to its rate: a, at 2 a second, has 4 in 0 ms",
  );
});

Deno.test("KeyChecker knows keys only where they matter", () => {
  const checker = new KeyChecker(queueSettings());
  const message = { key: "a", priority: 0, state: "ready", deliveryCount: 0 };
  checker.published({ ...message, offset: 0 });
  checker.update(queueSettings({ fairKeys: true }));
  checker.published({ ...message, offset: 1 });
  checker.published({ ...message, key: undefined, offset: 2 });
  assertEquals([0, 1, 2].map((offset) => checker.has(offset)), [false, true, false]);
});
