/**
 * Harm to a process at one of its storage calls, done by a library that is loaded into it (`shim.c`).
 *
 * The library counts the calls by which the process changes what is in one directory, in all its threads
 * and of all kinds together, so that "the 57th" means one moment of its life.
 *
 * @module
 */

import { repositoryRoot } from "../paths.ts";

/** What is done at a call. */
export type HarmKind =
  /** SIGKILL, in place of the call. */
  | "kill"
  /** A write is done by half, then SIGKILL; like `kill` for other calls. */
  | "tear"
  /** The call fails, once. */
  | "error"
  /** What is not on the disk by then never gets there, and SIGKILL. Needs a {@linkcode LoopDisk}. */
  | "power"
  /** The same, but the process lives on, and this call and all after it fail. */
  | "power-error";

/** Harm to one life of a process. */
export interface Harm {
  readonly kind: HarmKind;
  /** Which call, from 1. */
  readonly at: number;
  /** What is counted. @default {"all"} */
  readonly calls?: "all" | "syncs";
  /** With `error`. @default {"EIO"} */
  readonly error?: "EIO" | "ENOSPC";
}

/** What the library is told. */
export interface ShimSettings {
  /** The calls that count are about something in here. */
  readonly directory: string;
  /** Gets a line for each of the calls, if anything does. */
  readonly logPath?: string;
  readonly harm?: Harm | undefined;
  /** Where the file system is mounted whose power is cut. */
  readonly mount?: string | undefined;
  /** Half of the writes take only a part of what they were given. */
  readonly shortWrites?: boolean;
  /** Syncs do nothing, and say that all is well. */
  readonly noSyncs?: boolean;
  /** Syncs take so much longer while a file is there. */
  readonly slowSyncs?: { readonly ms: number; readonly whilePath: string };
}

let built: Promise<string> | undefined;

/**
 * Compiles the library, once.
 *
 * @returns Where it is.
 * @throws {Error} If there is no compiler, or it does not like the source.
 */
export function buildShim(): Promise<string> {
  return built ??= compile();
}

async function compile(): Promise<string> {
  const path = `${await Deno.makeTempDir({ prefix: "flowmq-shim-" })}/shim.so`;
  const source = `${repositoryRoot}tests/faults/shim.c`;
  const { success, stderr } = await new Deno.Command("gcc", {
    args: ["-shared", "-fPIC", "-O2", "-o", path, source, "-ldl"],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`gcc cannot build the shim: ${new TextDecoder().decode(stderr)}`);
  globalThis.addEventListener("unload", () => {
    Deno.removeSync(path);
    Deno.removeSync(path.slice(0, path.lastIndexOf("/")));
  });
  return path;
}

/**
 * The environment of a process that the library is to be loaded into.
 *
 * @param shim Where the library is.
 * @param settings What it is told.
 * @returns Variables.
 */
export function shimEnvironment(shim: string, settings: ShimSettings): Record<string, string> {
  const { directory, logPath, harm, mount, shortWrites, noSyncs, slowSyncs } = settings;
  return {
    LD_PRELOAD: shim,
    FAULT_DIRECTORY: directory,
    ...(logPath === undefined ? {} : { FAULT_LOG: logPath }),
    ...(harm === undefined ? {} : {
      FAULT_KIND: harm.kind,
      FAULT_AT: String(harm.at),
      FAULT_CALLS: harm.calls ?? "all",
      FAULT_ERROR: harm.error ?? "EIO",
    }),
    ...(mount === undefined ? {} : { FAULT_MOUNT: mount }),
    ...(shortWrites ? { FAULT_SHORT_WRITES: "1" } : {}),
    ...(noSyncs ? { FAULT_NO_SYNCS: "1" } : {}),
    ...(slowSyncs === undefined
      ? {}
      : { FAULT_SLOW_MS: String(slowSyncs.ms), FAULT_SLOW_WHILE: slowSyncs.whilePath }),
  };
}

/** A call that the library has counted. */
export interface CountedCall {
  readonly number: number;
  readonly name: string;
  /** In the directory. */
  readonly path: string;
  /** Of a write or a truncation. */
  readonly bytes: number;
  /** Whether it was the one that harm was done at. */
  readonly hit: boolean;
}

/**
 * Reads what the library has written down.
 *
 * @param logPath Where.
 * @returns The calls, in order.
 */
export function countedCalls(logPath: string): CountedCall[] {
  let text = "";
  try {
    text = Deno.readTextFileSync(logPath);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return text.split("\n").filter(Boolean).map((line) => {
    const [number = "", name = "", path = "", bytes = "", hit] = line.split(" ");
    return { number: Number(number), name, path, bytes: Number(bytes), hit: hit === "HIT" };
  });
}
