/**
 * What `flowmq dev --data` has to remember for its next start: `cluster.json` in the directory.
 *
 * The nodes' data belongs to a cluster of exactly these members, and the programs of the person who
 * uses it know the ports: both stay as they are.
 *
 * @module
 */

import { CommandError } from "./failures.ts";
import { ExitCode } from "./exit_codes.ts";
import type { NodePorts } from "./ports.ts";

/** The cluster in a directory. */
export interface DevLayout {
  readonly version: 1;
  readonly shards: number;
  /** By node. */
  readonly ports: readonly NodePorts[];
}

/**
 * Names the file.
 *
 * @param directory The directory of the cluster.
 * @returns Its path.
 */
export function layoutPath(directory: string): string {
  return `${directory}/cluster.json`;
}

function isPorts(value: unknown): value is NodePorts {
  const { client, peer } = (value ?? {}) as Partial<NodePorts>;
  return [client, peer].every((port) => Number.isInteger(port) && port! > 0 && port! <= 65_535);
}

/**
 * Reads the layout of a directory.
 *
 * @param directory The directory of the cluster.
 * @returns The layout, or `undefined` where there is none yet.
 * @throws {CommandError} If the file is not what was once written.
 */
export async function readLayout(directory: string): Promise<DevLayout | undefined> {
  const path = layoutPath(directory);
  let text;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  try {
    const layout = JSON.parse(text) as Partial<DevLayout>;
    const { version, shards, ports } = layout;
    if (version === 1 && Number.isInteger(shards) && ports?.length && ports.every(isPorts)) {
      return layout as DevLayout;
    }
  } catch {
    // Falls through: it is no JSON.
  }
  throw new CommandError(
    `${path} is not a layout that flowmq dev has written: choose another directory with --data, ` +
      "or restore the file",
    ExitCode.dataDirectory,
  );
}

/**
 * Writes the layout of a directory, whole or not at all.
 *
 * @param directory The directory of the cluster; made if it does not exist.
 * @param layout What to remember.
 */
export async function writeLayout(directory: string, layout: DevLayout): Promise<void> {
  await Deno.mkdir(directory, { recursive: true });
  const path = layoutPath(directory);
  await Deno.writeTextFile(`${path}.new`, JSON.stringify(layout, null, 2) + "\n");
  await Deno.rename(`${path}.new`, path);
}
