/**
 * A client for the time of a command.
 *
 * @module
 */

import { type Client, connect } from "../mod.ts";
import { ConnectionLostError, RequestTimeoutError } from "../client/errors.ts";
import { ExitCode } from "./exit_codes.ts";
import { CommandError } from "./failures.ts";
import { formatMs } from "./format.ts";
import type { Terminal } from "./terminal.ts";

/** The values of the flags that all such commands have. */
export interface ClientFlagValues {
  readonly server: readonly string[];
  readonly timeout: number;
}

/** A cluster that is gone does not hold up a person who has pressed Ctrl-C. */
const interruptedCloseMs = 500;

/**
 * Connects a client.
 *
 * @param values Where to, and how long to try.
 * @param signal Gives up connecting.
 * @param name What the cluster's tools call this client.
 * @returns The client; the caller closes it.
 * @throws {CommandError} If no node answers in time.
 */
export async function connectTo(
  values: ClientFlagValues,
  signal: AbortSignal,
  name: string,
): Promise<Client> {
  try {
    return await connect(values.server, {
      name,
      connectTimeoutMs: values.timeout,
      requestTimeoutMs: values.timeout,
      signal,
    });
  } catch (error) {
    if (error instanceof ConnectionLostError || error instanceof RequestTimeoutError) {
      const reason = error.cause instanceof Error ? ` (${error.cause.message})` : "";
      throw new CommandError(
        `no node answered at ${values.server.join(", ")} within ${
          formatMs(values.timeout)
        }${reason}: ` +
          "flowmq serve starts one, -s HOST:PORT names another, --timeout waits longer",
        ExitCode.unreachable,
        { cause: error },
      );
    }
    throw error;
  }
}

/**
 * Connects, works, and closes the client, whatever becomes of the work.
 *
 * @param values Where to, and how long to try.
 * @param terminal Ctrl-C gives up connecting.
 * @param name What the cluster's tools call this client.
 * @param work What to do.
 * @returns What the work returns.
 * @throws {CommandError} If no node answers in time.
 */
export async function withClient<T>(
  values: ClientFlagValues,
  terminal: Terminal,
  name: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = await connectTo(values, terminal.interrupted, name);
  try {
    return await work(client);
  } finally {
    const timeoutMs = terminal.interrupted.aborted ? interruptedCloseMs : values.timeout;
    await client.close({ timeoutMs });
  }
}
