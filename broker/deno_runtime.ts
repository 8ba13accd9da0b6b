/**
 * The world as Deno offers it: the runtime of the executable.
 *
 * @module
 */

import { denoByteStream, denoClientRuntime } from "../client/deno_runtime.ts";
import { denoFileSystem } from "../storage/mod.ts";
import type { Address, Listener, NodeRuntime } from "./runtime.ts";

/** Makes the runtime that a node of the executable uses. */
export function denoNodeRuntime(): NodeRuntime {
  return {
    ...denoClientRuntime(),
    files: denoFileSystem(),
    processId: Deno.pid,
    listen,
    memoryBytes: () => Deno.memoryUsage().rss,
  };
}

function listen(address: Address): Listener {
  const listener = Deno.listen({ hostname: address.hostname, port: address.port });
  const { hostname, port } = listener.addr;
  let isClosed = false;
  return {
    address: { hostname, port },
    async accept() {
      try {
        return denoByteStream(await listener.accept());
      } catch (error) {
        if (isClosed) return null;
        throw error;
      }
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      listener.close();
    },
  };
}
