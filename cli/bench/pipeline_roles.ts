/**
 * The processes of the bare pipeline: what a replicated, synced write costs with no queue, no
 * consensus and no protocol around it.
 *
 * A leader takes frames from clients. It appends each to its file and sends it to two followers at
 * the same time; they append it to theirs. Whatever waits while a file is being synced shares the
 * next sync. A frame is confirmed as soon as two of the three files hold it.
 *
 * A frame is a `u32` length, little-endian, and that many bytes; the first 12 of them come back as
 * the confirmation. A follower answers with the `u32` number of frames that are on its disk. Nothing
 * here is shared with the broker, so that a slow part of the broker cannot hide in its own yardstick.
 *
 * @module
 */

/** Bytes of a frame that are its confirmation. */
export const confirmationBytes = 12;

const loopback = "127.0.0.1";

/** A connection that carries frames. */
export class FramedConnection {
  readonly #connection: Deno.TcpConn;
  #outgoing: Uint8Array[] = [];
  #outgoingBytes = 0;
  #writing = false;

  /**
   * Takes a connection over.
   *
   * @param connection An open connection.
   */
  constructor(connection: Deno.TcpConn) {
    connection.setNoDelay(true);
    this.#connection = connection;
  }

  /**
   * Connects to a port of this machine.
   *
   * @param port Where a role listens.
   * @returns The connection.
   */
  static async open(port: number): Promise<FramedConnection> {
    return new FramedConnection(await Deno.connect({ hostname: loopback, port }));
  }

  /**
   * Sends a frame. Frames that wait for a write to end go out together in the next one.
   *
   * @param frame Must not change until it is sent.
   */
  send(frame: Uint8Array): void {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, frame.length, true);
    this.#outgoing.push(length, frame);
    this.#outgoingBytes += 4 + frame.length;
    if (!this.#writing) void this.#write();
  }

  /**
   * Reads until the other side closes.
   *
   * @param onFrame Gets each frame; it may keep it.
   */
  async read(onFrame: (frame: Uint8Array) => void): Promise<void> {
    let buffer = new Uint8Array(1 << 20);
    let held = 0; // bytes at the start of the buffer that are no whole frame yet
    for (;;) {
      const count = await this.#connection.read(buffer.subarray(held)).catch(() => null);
      if (count === null) return;
      const end = held + count;
      const view = new DataView(buffer.buffer);
      let start = 0;
      let needed = 4;
      while (end - start >= 4) {
        needed = 4 + view.getUint32(start, true);
        if (end - start < needed) break;
        onFrame(buffer.slice(start + 4, start + needed));
        start += needed;
        needed = 4;
      }
      held = end - start;
      if (needed > buffer.length) {
        const larger = new Uint8Array(needed * 2);
        larger.set(buffer.subarray(start, end));
        buffer = larger;
      } else if (start > 0) {
        buffer.copyWithin(0, start, end);
      }
    }
  }

  /** Ends the connection. */
  close(): void {
    this.#connection.close();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    try {
      while (this.#outgoing.length > 0) {
        const bytes = joined(this.#outgoing, this.#outgoingBytes);
        this.#outgoing = [];
        this.#outgoingBytes = 0;
        for (let done = 0; done < bytes.length;) {
          done += await this.#connection.write(bytes.subarray(done));
        }
      }
    } catch {
      // The other process has ended, and this one will be told to.
    }
    this.#writing = false;
  }
}

/** A file whose appends are synced, as many at once as wait. */
class SyncedFile {
  readonly #file: Deno.FsFile;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #appended = 0;
  #syncing = false;
  readonly #onSynced: (appends: number) => void;

  /** Makes an empty file. `onSynced` hears how many appends are on disk. */
  constructor(path: string, onSynced: (appends: number) => void) {
    this.#file = Deno.openSync(path, { write: true, create: true, truncate: true });
    this.#onSynced = onSynced;
  }

  append(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#appended++;
    if (!this.#syncing) void this.#sync();
  }

  async #sync(): Promise<void> {
    this.#syncing = true;
    while (this.#waiting.length > 0) {
      const appends = this.#appended;
      const bytes = joined(this.#waiting, this.#waitingBytes);
      this.#waiting = [];
      this.#waitingBytes = 0;
      for (let done = 0; done < bytes.length;) {
        done += this.#file.writeSync(bytes.subarray(done));
      }
      await this.#file.syncData();
      this.#onSynced(appends);
    }
    this.#syncing = false;
  }
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

async function serve(
  onPort: (port: number) => void,
  onConnection: (connection: FramedConnection) => void,
): Promise<never> {
  const listener = Deno.listen({ hostname: loopback, port: 0 });
  onPort(listener.addr.port);
  for (;;) onConnection(new FramedConnection(await listener.accept()));
}

/**
 * Runs a follower until the process ends.
 *
 * @param path Its file.
 * @param onPort Hears where it listens.
 */
export async function runFollower(path: string, onPort: (port: number) => void): Promise<never> {
  let leader: FramedConnection | undefined;
  const file = new SyncedFile(path, (appends) => {
    const answer = new Uint8Array(4);
    new DataView(answer.buffer).setUint32(0, appends, true);
    leader?.send(answer);
  });
  return await serve(onPort, (connection) => {
    leader = connection;
    void connection.read((frame) => file.append(frame));
  });
}

/**
 * Runs the leader until the process ends.
 *
 * @param path Its file.
 * @param followerPorts Where the two followers listen.
 * @param onPort Hears where it listens.
 */
export async function runLeader(
  path: string,
  followerPorts: readonly number[],
  onPort: (port: number) => void,
): Promise<never> {
  const onDisk = [0, 0, 0];
  let waiting: { readonly client: FramedConnection; readonly confirmation: Uint8Array }[] = [];
  let first = 0; // place in `waiting` of the oldest frame that is not confirmed
  let confirmed = 0;

  function confirm(place: number, frames: number): void {
    onDisk[place] = frames;
    const majority = onDisk.toSorted((a, b) => a - b)[1]!;
    for (; confirmed < majority; confirmed++) {
      const { client, confirmation } = waiting[first++]!;
      client.send(confirmation);
    }
    if (first > 16_384) {
      waiting = waiting.slice(first);
      first = 0;
    }
  }

  const file = new SyncedFile(path, (appends) => confirm(0, appends));
  const followers = await Promise.all(followerPorts.map(async (port, i) => {
    const follower = await FramedConnection.open(port);
    void follower.read((answer) => {
      const view = new DataView(answer.buffer, answer.byteOffset);
      confirm(i + 1, view.getUint32(0, true));
    });
    return follower;
  }));
  return await serve(onPort, (client) => {
    void client.read((frame) => {
      waiting.push({ client, confirmation: frame.slice(0, confirmationBytes) });
      for (const follower of followers) follower.send(frame);
      file.append(frame);
    });
  });
}
