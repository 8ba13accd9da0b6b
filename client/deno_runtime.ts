/**
 * The real world, as Deno shows it: TCP, the system's clock, and chance.
 *
 * @module
 */

import type { ByteStream, ClientRuntime, Clock, Dialer } from "./runtime.ts";

/** The system's clock. */
export const denoClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  // A number in some versions of Deno, in others an object that stands for one.
  setTimeout: (callback, ms) => Number(setTimeout(callback, ms)),
  clearTimeout: (id) => clearTimeout(id),
};

/** TCP without Nagle's delay: what is sent is already gathered. */
export const denoDialer: Dialer = {
  async connect({ hostname, port }, signal) {
    signal?.throwIfAborted();
    const dial = Deno.connect({ hostname, port });
    if (signal === undefined) return denoByteStream(await dial);
    // Not every version of Deno can cancel a dial: one that is given up is closed when it is done.
    return denoByteStream(await abandonable(dial, signal));
  },
};

function abandonable(dial: Promise<Deno.TcpConn>, signal: AbortSignal): Promise<Deno.TcpConn> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      reject(signal.reason);
      dial.then((conn) => conn.close(), () => {});
    };
    signal.addEventListener("abort", onAbort, { once: true });
    dial.then((conn) => {
      signal.removeEventListener("abort", onAbort);
      resolve(conn);
    }, (error) => {
      signal.removeEventListener("abort", onAbort);
      reject(error);
    });
  });
}

/**
 * Makes a byte stream of a TCP connection, which it owns from now on.
 *
 * @param conn Open.
 * @returns The stream.
 */
export function denoByteStream(conn: Deno.TcpConn): ByteStream {
  conn.setNoDelay(true);
  const remote = conn.remoteAddr;
  let isClosed = false;
  return {
    remoteAddress: `${remote.hostname}:${remote.port}`,
    read: (buffer) => conn.read(buffer),
    write: (bytes) => conn.write(bytes),
    close() {
      if (isClosed) return;
      isClosed = true;
      conn.close();
    },
  };
}

/**
 * What a client uses where it is not told otherwise.
 *
 * @returns Clock, dialer and chance of this process.
 */
export function denoClientRuntime(): ClientRuntime {
  return { clock: denoClock, dialer: denoDialer, random: () => Math.random() };
}
