import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  oneOf,
  onOrOff,
  QUEUE_SETTINGS,
  queueSettings,
  queueSettingsProblem,
  settingsDifferences,
  wholeNumber,
} from "./settings.ts";

Deno.test("queueSettings() fills in defaults that are fine, and leaves out what is no setting", () => {
  const defaults = queueSettings();
  assertEquals(queueSettingsProblem(defaults), undefined);
  assertEquals(Object.keys(defaults), Object.keys(QUEUE_SETTINGS));
  const given = { leaseMs: 500, colour: "red" };
  assertEquals(queueSettings(given), { ...defaults, leaseMs: 500 });
});

Deno.test("queueSettingsProblem() has bounds for every field, and knows every name", () => {
  const day = 24 * 60 * 60 * 1_000;
  for (const partitions of [1, 1_024]) {
    assertEquals(queueSettingsProblem({ partitions }), undefined);
  }
  for (const partitions of [0, 1_025, 1.5, NaN, -1]) {
    assertEquals(
      queueSettingsProblem({ partitions }),
      `A queue must have 1 to 1024 partitions: current value is ${partitions}`,
    );
  }
  for (const leaseMs of [100, day]) {
    assertEquals(queueSettingsProblem({ leaseMs }), undefined);
  }
  for (const leaseMs of [99, day + 1, 100.5, Infinity]) {
    assertStringIncludes(queueSettingsProblem({ leaseMs })!, "milliseconds");
  }
  const given = { partitions: 1, colour: "red" };
  assertEquals(queueSettingsProblem(given), 'A queue has no setting "colour"');
});

Deno.test("settingsDifferences() compares every field", () => {
  const settings = queueSettings({ partitions: 2 });
  assertEquals(settingsDifferences(settings, { ...settings }), []);
  for (const name of Object.keys(QUEUE_SETTINGS)) {
    const other = { ...settings, [name]: "other" };
    assertEquals(settingsDifferences(settings, other).length, 1, name);
  }
  assertEquals(
    settingsDifferences(settings, { ...settings, partitions: 3 }),
    ["partitions is 2, not 3"],
  );
});

Deno.test("Settings are whole numbers, words, or on or off", () => {
  const rule = (range: string) => `It must be ${range}`;
  const size = wholeNumber({ default: 0, min: 0, max: 9, rule });
  const word = oneOf(["fifo", "key"], { default: "fifo", rule });
  const light = onOrOff({ default: false, rule });
  assertEquals([0, 9].map((value) => size.problem(value)), [undefined, undefined]);
  assertEquals(size.problem(10), "It must be 0 to 9: current value is 10");
  assertEquals(size.problem("3"), 'It must be 0 to 9: current value is "3"');
  assertEquals(word.problem("key"), undefined);
  assertEquals(word.problem("lifo"), 'It must be fifo or key: current value is "lifo"');
  assertEquals(light.problem(true), undefined);
  assertEquals(light.problem(0), "It must be true or false: current value is 0");
});
