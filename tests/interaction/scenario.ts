/**
 * Runs scenarios: compares with what was recorded, or with what a story expects.
 *
 * @module
 */

import { ScenarioCluster } from "./cluster.ts";
import { type Paragraph, parseRecording, parseStory, type Step } from "./command.ts";
import { ALL_FIELDS, difference, type NodeRecord, SETTLED_FIELDS, STEP_FIELDS } from "./record.ts";

/** How a recording compares. */
export interface Comparison {
  readonly steps: number;
  /** The first thing that must agree and does not. */
  readonly difference: string | undefined;
  /** Steps after which something differs that need not agree, such as what is applied. */
  readonly otherDifferences: readonly string[];
}

/**
 * Runs a recording and compares.
 *
 * @param text The file's content.
 * @returns How it compares.
 */
export function compareRecording(text: string): Comparison {
  const cluster = new ScenarioCluster(true);
  const steps = parseRecording(text);
  const otherDifferences: string[] = [];
  for (const step of steps) {
    cluster.run(step.command);
    const actual = cluster.records();
    const found = stepDifference(step, actual);
    if (found !== undefined) {
      return { steps: steps.length, difference: at(step, found), otherDifferences };
    }
    for (const expected of step.nodes ?? []) {
      const other = difference(expected, actual[expected.id - 1], ALL_FIELDS);
      if (other !== undefined) otherDifferences.push(at(step, other));
    }
  }
  return { steps: steps.length, difference: undefined, otherDifferences };
}

function at(step: Step, text: string): string {
  return `step ${step.number}, ${[step.command.name, ...step.args].join(" ")}: ${text}`;
}

function stepDifference(step: Step, actual: readonly NodeRecord[]): string | undefined {
  const { command, nodes = [] } = step;
  const settled = command.name === "stabilize" && command.words.length === 0;
  const named = namedNodes(step);
  for (const expected of nodes) {
    const record = actual[expected.id - 1];
    let found = named.has(expected.id) ? difference(expected, record, STEP_FIELDS) : undefined;
    if (settled) found ??= difference(expected, record, SETTLED_FIELDS);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The nodes that a command names; all nodes for one that acts on all. */
function namedNodes({ command, nodes = [] }: Step): Set<number> {
  switch (command.name) {
    case "add-nodes":
    case "log-level":
      return new Set(nodes.map(({ id }) => id));
    case "propose":
    case "compact":
    case "set-randomized-election-timeout":
      return new Set([Number(command.words[0])]);
    default:
      return new Set(
        command.words.length > 0 ? command.words.map(Number) : nodes.map(({ id }) => id),
      );
  }
}

/**
 * Runs a recording without comparing.
 *
 * @param text The file's content; recorded nodes are ignored.
 * @returns The same steps with what our nodes look like, one JSON object a line.
 */
export function record(text: string): string {
  const cluster = new ScenarioCluster(true);
  let lines = "";
  for (const { number, command, args } of parseRecording(text)) {
    cluster.run(command);
    const nodes = cluster.records();
    lines += JSON.stringify({
      step: number,
      cmd: command.name,
      args,
      input: command.input,
      nodes,
      inflight: cluster.inFlight,
    }) + "\n";
  }
  return lines;
}

/**
 * Runs a story.
 *
 * @param text The file's content.
 * @returns The first difference, and the story as it would read if what happened was expected.
 */
export function runStory(text: string): { difference: string | undefined; rewritten: string } {
  const cluster = new ScenarioCluster();
  const { paragraphs, rest } = parseStory(text);
  let difference: string | undefined;
  let rewritten = "";
  for (const paragraph of paragraphs) {
    const { preface, line, command, expected } = paragraph;
    const lines = cluster.run(command);
    const actual = (lines.length === 0 ? ["ok"] : lines).map((line) => line + "\n").join("");
    if (actual !== expected) difference ??= storyDifference(paragraph, actual);
    const input = command.input === "" ? "" : command.input + "\n";
    rewritten += `${preface}${line}\n${input}----\n${actual}`;
  }
  return { difference, rewritten: rewritten + rest };
}

function storyDifference({ line, expected }: Paragraph, actual: string): string {
  return `${line}\n--- expected\n${expected}--- got\n${actual}`;
}
