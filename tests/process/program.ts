/**
 * Which program the process tests run: the stand-alone executable where there is one or it can be
 * built, `deno run main.ts` otherwise. Chosen once a test run, and told in one line.
 *
 * The variable `FLOWMQ_PROGRAM` names an executable and ends the search; `FLOWMQ_PROGRAM=main.ts` stands
 * for `deno run main.ts`.
 *
 * @module
 */

import { type SelfCommand, selfCommand } from "../../cli/self_command.ts";
import { exists, repositoryRoot } from "../paths.ts";

/** Longer than a build on a slow machine takes that has to fetch its tools first. */
const buildSecondsMax = 180;
/** The release server answers within this time, or counts as out of reach. */
const releaseServerMs = 3_000;

const executable = `${repositoryRoot}dist/flowmq`;
const folders = ["broker", "cli", "client", "queue", "raft", "storage", "wire"];
const files = ["main.ts", "mod.ts", "deno.json", "deno.lock"];

/** A choice, and why it fell. */
interface Choice {
  readonly program: SelfCommand;
  readonly reason: string;
}

/** When the newest file was changed that goes into the executable. */
function sourcesChangedAt(): number {
  let newest = 0;
  function look(path: string): void {
    newest = Math.max(newest, Deno.statSync(path).mtime?.getTime() ?? 0);
  }
  function walk(folder: string): void {
    for (const entry of Deno.readDirSync(folder)) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory) walk(path);
      else if (/\.ts$/.test(path) && !/_(test|bench)\.ts$/.test(path)) look(path);
    }
  }
  for (const folder of folders) walk(repositoryRoot + folder);
  for (const file of files) look(repositoryRoot + file);
  return newest;
}

function isUpToDate(): boolean {
  if (!exists(executable)) return false;
  return (Deno.statSync(executable).mtime?.getTime() ?? 0) > sourcesChangedAt();
}

/** Whether `deno task compile` would find the runtime base that it needs. */
async function canBuild(): Promise<boolean> {
  if (exists(`${repositoryRoot}../shared/deno-compile/deno-compile`)) return true;
  try {
    const response = await fetch("https://dl.deno.land/release-latest.txt", {
      signal: AbortSignal.timeout(releaseServerMs),
    });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

/** Builds the executable. @returns Why it did not work, or `undefined` if it did. */
async function build(): Promise<string | undefined> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "compile"],
    cwd: repositoryRoot,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    detached: true,
  }).spawn();
  // The task starts programs of its own: all of them end, or the pipe stays open.
  const timer = setTimeout(() => Deno.kill(-child.pid, "SIGKILL"), buildSecondsMax * 1_000);
  const { success, signal, stderr } = await child.output();
  clearTimeout(timer);
  if (success) return undefined;
  if (signal === "SIGKILL") return `the build took longer than ${buildSecondsMax} s`;
  const words = new TextDecoder().decode(stderr).split("\n");
  return `the build failed: ${words.find((line) => /error/i.test(line)) ?? "without a word"}`;
}

async function choose(): Promise<Choice> {
  const named = Deno.env.get("FLOWMQ_PROGRAM");
  if (named !== undefined && named !== "") {
    const chosen = named === "main.ts" ? selfCommand(false) : { path: named, args: [] };
    return { program: chosen, reason: "FLOWMQ_PROGRAM names it" };
  }
  const standalone: SelfCommand = { path: executable, args: [] };
  if (isUpToDate()) return { program: standalone, reason: "newer than its sources" };
  if (!await canBuild()) {
    return { program: selfCommand(false), reason: "no runtime base to build an executable with" };
  }
  const failure = await build();
  return failure === undefined
    ? { program: standalone, reason: "built just now" }
    : { program: selfCommand(false), reason: failure };
}

/** Each test file is a world of its own; what they share is the environment of the process. */
const memory = "FLOWMQ_PROCESS_TESTS_PROGRAM";

async function chooseOnce(): Promise<SelfCommand> {
  const remembered = Deno.env.get(memory);
  if (remembered !== undefined) return JSON.parse(remembered) as SelfCommand;
  const { program, reason } = await choose();
  Deno.env.set(memory, JSON.stringify(program));
  console.log(`process tests run ${[program.path, ...program.args].join(" ")} (${reason})`);
  return program;
}

/** The program under test. */
export const program: SelfCommand = await chooseOnce();
