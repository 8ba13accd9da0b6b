/**
 * Takes connections as long as there are any to take.
 *
 * @module
 */

import type { ByteStream, Clock } from "../client/runtime.ts";
import type { Logger } from "./logger.ts";
import type { Listener } from "./runtime.ts";

/** Pause after the system refused a connection, such as for want of file descriptors. */
const RETRY_MS = 100;

/**
 * Yields the connections of a listener until it is closed. A connection that cannot be taken is
 * reported, and the next one waited for: those that are there go on.
 */
export async function* acceptAll(
  listener: Listener,
  clock: Clock,
  log: Logger,
): AsyncGenerator<ByteStream> {
  for (;;) {
    try {
      const stream = await listener.accept();
      if (stream === null) return;
      yield stream;
    } catch (error) {
      log.error("Cannot accept a connection", {
        error: error instanceof Error ? error.message : String(error),
      });
      await new Promise<void>((resolve) => clock.setTimeout(resolve, RETRY_MS));
    }
  }
}
