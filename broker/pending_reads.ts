/**
 * Linearizable reads on their way (thesis, section 6.4): first a quorum has to confirm the leader, which
 * gives the read an index, then the machine has to apply that index.
 *
 * @module
 */

/** Told, once, whether the machine's state now is at least as new as when the read was asked for. */
export type ReadCallback = (current: boolean) => void;

/** The reads of one shard that are not answered yet. */
export class PendingReads {
  /** Those whose index is not confirmed yet, by number. */
  readonly #asked = new Map<number, ReadCallback>();
  /** Those that wait until the machine has applied their index. */
  #waiting: { readonly index: number; readonly done: ReadCallback }[] = [];
  #lastNumber = 0;

  /**
   * Takes a read.
   *
   * @param ask Gives its context to Raft, and says whether Raft took it.
   * @param done Told what becomes of it: at once where Raft did not.
   */
  ask(ask: (context: Uint8Array) => boolean, done: ReadCallback): void {
    const number = ++this.#lastNumber;
    if (ask(contextOf(number))) this.#asked.set(number, done);
    else done(false);
  }

  /** A quorum has confirmed the leader: the read may be served once `index` is applied. */
  confirmed(index: number, context: Uint8Array): void {
    const number = numberOf(context);
    const done = this.#asked.get(number);
    if (done === undefined) return;
    this.#asked.delete(number);
    this.#waiting.push({ index, done });
  }

  /** Serves the reads whose index is applied. */
  serve(appliedIndex: number): void {
    if (this.#waiting.length === 0) return;
    const ready = this.#waiting.filter((read) => read.index <= appliedIndex);
    if (ready.length === 0) return;
    this.#waiting = this.#waiting.filter((read) => read.index > appliedIndex);
    for (const { done } of ready) done(true);
  }

  /** Leadership is lost, and with it every read. */
  failAll(): void {
    const reads = [...this.#asked.values(), ...this.#waiting.map((read) => read.done)];
    this.#asked.clear();
    this.#waiting = [];
    for (const done of reads) done(false);
  }
}

/** The number of a read as the opaque bytes that Raft carries around. */
function contextOf(number: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, number, true);
  return bytes;
}

function numberOf(context: Uint8Array): number {
  return new DataView(context.buffer, context.byteOffset).getFloat64(0, true);
}
