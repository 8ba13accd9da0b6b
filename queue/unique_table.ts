/**
 * Where the messages of a partition are that were published with a text by which they are unique.
 *
 * Nobody tells the table that a message is gone: who looks one up asks whether it is still alive. So
 * it costs nothing where messages are settled. What is gone is swept out little by little: each new
 * text has the two oldest looked at, which are dropped, or go to the end of the line. So there are
 * never many more texts than there are live messages with one.
 *
 * ```text
 *          start                                        end
 *   …swept │ oldest, looked at next … │ … newest         │
 *          └──── places, in chunks that are only appended to ────┘
 * ```
 *
 * The order of the line follows from the log, so it is a part of the state like everything else.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import type { UniqueSnapshot } from "./machine_snapshot.ts";

const CHUNK = 256;
const SWEPT_AT_ONCE = 2;

/** A message with a text. */
export interface UniqueMessage {
  readonly offset: number;
  /** Of the entry that holds it. */
  readonly term: number;
}

/** Neighbours in the line. Only the last chunk grows. */
interface Chunk {
  readonly texts: string[];
  readonly messages: UniqueMessage[];
}

/** The line as it was at one moment. */
export interface UniqueCapture {
  /** Makes the parts of a snapshot. */
  parts(): Iterable<UniqueSnapshot>;
}

/** Texts of one partition. */
export class UniqueTable {
  /** The place of each text in the line. */
  readonly #places = new Map<string, number>();
  readonly #chunks: Chunk[] = [];
  /** The place that the first chunk begins with. */
  #base = 0;
  #start = 0;
  #end = 0;

  /** How many places the line has. */
  get size(): number {
    return this.#end - this.#start;
  }

  /**
   * Finds a message.
   *
   * @param text What it is unique by.
   * @returns The newest with this text, dead or alive, as far as it is still known.
   */
  find(text: string): UniqueMessage | undefined {
    const place = this.#places.get(text);
    return place === undefined ? undefined : this.#messageAt(place);
  }

  /**
   * Notes a new message, the only one alive that has its text.
   *
   * @param text What it is unique by.
   * @param message The message.
   * @param isAlive Tells whether the message with an offset is alive.
   */
  add(text: string, message: UniqueMessage, isAlive: (offset: number) => boolean): void {
    this.#append(text, message);
    for (let swept = 0; swept < SWEPT_AT_ONCE && this.#start < this.#end - 1; swept++) {
      this.#sweep(isAlive);
    }
  }

  /**
   * Tells whether some message is as it is asked for. Goes over all of them.
   *
   * @param isWanted Tells whether one is.
   * @returns Whether there is one.
   */
  some(isWanted: (message: UniqueMessage) => boolean): boolean {
    return this.#places.values().some((place) => isWanted(this.#messageAt(place)));
  }

  /**
   * Takes hold of the line as it is now.
   *
   * @returns The line, however this goes on.
   */
  capture(): UniqueCapture {
    const chunks = this.#chunks.slice();
    const start = this.#start - this.#base;
    const end = this.#end - this.#base;
    return { parts: () => partsOf(chunks, start, end) };
  }

  /**
   * Adds places as they were in a snapshot, behind those that are there.
   *
   * @param snapshot Some places.
   */
  restore({ texts, offset, term }: UniqueSnapshot): void {
    for (let at = 0; at < texts.length; at++) {
      this.#append(texts[at]!, { offset: offset[at]!, term: term[at]! });
    }
  }

  /** Checks that every text is found in the line. */
  checkInvariants(): void {
    invariant(this.#places.size <= this.size, "A text has a place of its own");
    for (const [text, place] of this.#places) {
      invariant(place >= this.#start && place < this.#end, "The place of a text is in the line");
      const chunk = this.#chunks[Math.floor((place - this.#base) / CHUNK)]!;
      invariant(chunk.texts[(place - this.#base) % CHUNK] === text, "A text is at its place");
    }
  }

  #messageAt(place: number): UniqueMessage {
    const at = place - this.#base;
    return this.#chunks[Math.floor(at / CHUNK)]!.messages[at % CHUNK]!;
  }

  #append(text: string, message: UniqueMessage): void {
    const at = this.#end - this.#base;
    if (at % CHUNK === 0) this.#chunks.push({ texts: [], messages: [] });
    const chunk = this.#chunks[this.#chunks.length - 1]!;
    chunk.texts.push(text);
    chunk.messages.push(message);
    this.#places.set(text, this.#end++);
  }

  /** Looks at the oldest place. */
  #sweep(isAlive: (offset: number) => boolean): void {
    const place = this.#start++;
    const { texts, messages } = this.#chunks[0]!;
    const at = place - this.#base;
    const text = texts[at]!;
    const message = messages[at]!;
    // Another place has the text by now, where the message had gone before.
    const isCurrent = this.#places.get(text) === place;
    if (isCurrent && isAlive(message.offset)) this.#append(text, message);
    else if (isCurrent) this.#places.delete(text);
    if (at === CHUNK - 1) {
      this.#chunks.shift();
      this.#base += CHUNK;
    }
  }
}

/** Parts of the same size, wherever the chunks begin: so they are the same on every replica. */
function* partsOf(
  chunks: readonly Chunk[],
  start: number,
  end: number,
): Generator<UniqueSnapshot> {
  for (let first = start; first < end; first += CHUNK) {
    const texts: string[] = [];
    const messages: UniqueMessage[] = [];
    for (let at = first; at < Math.min(first + CHUNK, end); at++) {
      const chunk = chunks[Math.floor(at / CHUNK)]!;
      texts.push(chunk.texts[at % CHUNK]!);
      messages.push(chunk.messages[at % CHUNK]!);
    }
    yield {
      texts,
      offset: Float64Array.from(messages, ({ offset }) => offset),
      term: Float64Array.from(messages, ({ term }) => term),
    };
  }
}
