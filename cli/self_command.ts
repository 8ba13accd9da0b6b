/**
 * How this program starts itself again: the launcher of local clusters and the bench run their nodes
 * as processes of the very program that a person started.
 *
 * @module
 */

import { v8Flags } from "./memory.ts";

/** A program and the arguments that come before any command. */
export interface SelfCommand {
  readonly path: string;
  readonly args: readonly string[];
}

/**
 * Finds out how to run this program: the executable itself where it was compiled, otherwise Deno
 * with `main.ts`.
 *
 * @param standalone Whether the code runs inside a compiled executable.
 * @returns Path and leading arguments.
 */
export function selfCommand(standalone: boolean = Deno.build.standalone): SelfCommand {
  if (standalone) return { path: Deno.execPath(), args: [] };
  const main = new URL("../main.ts", import.meta.url);
  const config = new URL("../deno.json", import.meta.url);
  return {
    path: Deno.execPath(),
    args: [
      "run",
      "--quiet",
      "--allow-all",
      v8Flags,
      `--config=${filePath(config)}`,
      filePath(main),
    ],
  };
}

/** The path of a `file:` URL, with `%20` and the like decoded. */
function filePath(url: URL): string {
  const path = decodeURIComponent(url.pathname);
  return Deno.build.os === "windows" ? path.replace(/^\//, "") : path;
}
