/**
 * The command language of the scenarios: one command a line, a name and its arguments.
 *
 * ```text
 * add-nodes 3 voters=(1,2,3) index=2 prevote=true
 * propose-conf-change 1 transition=auto
 * v4 r1
 * ----
 * …what happened…
 * ```
 *
 * A story is a text file of such paragraphs: a command, the lines of its input, four dashes, and what
 * is expected to happen; an empty line ends the paragraph, and `#` begins a comment. A recording is a
 * file with one JSON object a line: a command and, if it was recorded, what every node looked like
 * after it.
 *
 * @module
 */

import type { NodeRecord } from "./record.ts";

/** One command. */
export interface Command {
  readonly name: string;
  /** Arguments without a name, such as node ids. */
  readonly words: readonly string[];
  /** Arguments of the form `name=value`, or `name=(value, value)`. */
  readonly options: ReadonlyMap<string, readonly string[]>;
  /** The lines between the command and its result. */
  readonly input: string;
}

/** One line of a recording. */
export interface Step {
  readonly number: number;
  readonly command: Command;
  /** As the file has it. */
  readonly args: readonly string[];
  /** What every node looked like afterwards, if that was recorded. */
  readonly nodes: readonly NodeRecord[] | undefined;
}

/** One paragraph of a story. */
export interface Paragraph {
  /** Comments and empty lines before the command. */
  readonly preface: string;
  /** The command's line as written. */
  readonly line: string;
  readonly command: Command;
  readonly expected: string;
}

/**
 * Makes a command of its parts.
 *
 * @param name The command's name.
 * @param args Its arguments.
 * @param input The lines of its input.
 * @returns The command.
 */
export function makeCommand(name: string, args: readonly string[], input: string): Command {
  const words: string[] = [];
  const options = new Map<string, readonly string[]>();
  for (const arg of args) {
    const at = arg.indexOf("=");
    if (at < 0) {
      words.push(arg);
      continue;
    }
    const value = arg.slice(at + 1).replace(/^\((.*)\)$/, "$1");
    options.set(arg.slice(0, at), value.split(",").map((part) => part.trim()).filter(Boolean));
  }
  return { name, words, options, input };
}

/**
 * Reads a recording.
 *
 * @param text The file's content.
 * @returns Its steps.
 * @throws {SyntaxError} when a line is not a step.
 */
export function parseRecording(text: string): Step[] {
  return text.split("\n").filter((line) => line.trim() !== "").map((line) => {
    const { step, cmd, args = [], input = "", nodes } = JSON.parse(line);
    if (typeof cmd !== "string") {
      throw new SyntaxError(`Cannot read a step as it has a command: current value is ${line}`);
    }
    return { number: step, command: makeCommand(cmd, args, input), args, nodes };
  });
}

/**
 * Reads a story.
 *
 * @param text The file's content.
 * @returns Its paragraphs, and the text behind the last one.
 * @throws {SyntaxError} when a command has no result.
 */
export function parseStory(text: string): { paragraphs: Paragraph[]; rest: string } {
  const lines = text.split("\n");
  const paragraphs: Paragraph[] = [];
  let at = 0;
  for (;;) {
    const start = at;
    while (at < lines.length && /^\s*(#.*)?$/.test(lines[at]!)) at++;
    const preface = lines.slice(start, at).map((line) => line + "\n").join("");
    if (at >= lines.length) return { paragraphs, rest: lines.slice(start).join("\n") };
    const line = lines[at++]!;
    const inputStart = at;
    while (at < lines.length && lines[at] !== "----") at++;
    if (at === lines.length) {
      throw new SyntaxError(
        `Cannot read a story as ---- follows a command: current value is ${line}`,
      );
    }
    const input = lines.slice(inputStart, at++).join("\n");
    const expectedStart = at;
    while (at < lines.length && lines[at] !== "") at++;
    const expected = lines.slice(expectedStart, at).map((text) => text + "\n").join("");
    const [name, ...args] = line.match(/[^\s=]+=\([^)]*\)|\S+/g)!;
    paragraphs.push({ preface, line, command: makeCommand(name!, args, input), expected });
  }
}
