/**
 * The state of a queue machine as bytes, for disk and for other nodes.
 *
 * ```text
 *  0 u32 format version, 2
 *  4 parts, one after the other (`queue/machine_snapshot.ts`)
 * ```
 *
 * A part:
 *
 * ```text
 *  0 u32 length of the skeleton
 *  4 u32 length of the arrays
 *  8 the skeleton: the part as CBOR, with a map in the place of every typed array:
 *    {"f64": n} for n floats, {"u32": n} for n words, {"u8": n} for n bytes
 *    the arrays, one after the other in the order of their places, little-endian
 * ```
 *
 * Parts are small, so that neither side has more of a large state in memory than a few of them, and
 * others have their turn in between. Whoever stores the bytes guards them with a checksum.
 *
 * @module
 */

import { type MachineRestorer, ShardMachine, type SnapshotPart } from "../queue/mod.ts";
import { CorruptFileError } from "../storage/mod.ts";
import {
  concatBytes,
  decodeCbor,
  encodeCbor,
  MalformedFrameError,
  readU32,
  writeU32,
} from "../wire/mod.ts";

const formatVersion = 2;
const formatBytes = 4;
const headBytes = 8;

/** The most bytes a part may take: far more than one ever does. */
const partBytesMax = 16 << 20;

/** Bytes that are no state of a machine that this program knows. */
export class MalformedStateError extends Error {
  override name = "MalformedStateError";
}

/**
 * Encodes the state of a machine.
 *
 * @param parts The state.
 * @returns The bytes, in pieces: the format, then one for each part, made when it is asked for.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ShardMachine } from "../queue/mod.ts";
 *
 * const machine = new ShardMachine({ shard: 0 });
 * const again = decodeMachine(0, encodeMachine(machine.capture().parts()));
 * assertEquals(again.stateHash(), machine.stateHash());
 * ```
 */
export function* encodeMachine(parts: Iterable<SnapshotPart>): Generator<Uint8Array> {
  const format = new Uint8Array(formatBytes);
  writeU32(format, 0, formatVersion);
  yield format;
  for (const part of parts) yield encodePart(part);
}

function encodePart(part: SnapshotPart): Uint8Array {
  const arrays: Uint8Array[] = [];
  const skeleton = encodeCbor(withoutArrays(part, arrays));
  let arrayBytes = 0;
  for (const array of arrays) arrayBytes += array.length;
  const head = new Uint8Array(headBytes);
  writeU32(head, 0, skeleton.length);
  writeU32(head, 4, arrayBytes);
  return concatBytes([head, skeleton, ...arrays]);
}

/** Makes the machine again, from bytes that come in pieces of any size. */
export class MachineDecoder {
  readonly #restorer: MachineRestorer;
  #hasFormat = false;
  /** What has come, and where in it the next part begins. */
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;

  /**
   * @param shard The shard that the state is of.
   */
  constructor(shard: number) {
    this.#restorer = ShardMachine.restorer({ shard });
  }

  /**
   * Takes the next bytes.
   *
   * @param piece Bytes of the state. They must not change before all parts in them are restored.
   */
  push(piece: Uint8Array): void {
    const rest = this.#bytes.subarray(this.#at);
    this.#bytes = rest.length === 0 ? piece : concatBytes([rest, piece]);
    this.#at = 0;
  }

  /**
   * Restores the next part, a millisecond's work or two.
   *
   * @returns Whether there was one; if not, more bytes are needed.
   * @throws {MalformedStateError} when the bytes are something else.
   */
  step(): boolean {
    const bytes = this.#bytes;
    if (!this.#hasFormat && bytes.length - this.#at >= formatBytes) {
      if (readU32(bytes, this.#at) !== formatVersion) {
        throw new MalformedStateError("Cannot restore a state as its format is not known here");
      }
      this.#hasFormat = true;
      this.#at += formatBytes;
    }
    if (!this.#hasFormat || bytes.length - this.#at < headBytes) return false;
    const start = this.#at + headBytes;
    const arrays = start + readU32(bytes, this.#at);
    const end = arrays + readU32(bytes, this.#at + 4);
    if (end - start > partBytesMax) {
      throw new MalformedStateError(`Cannot restore a part of a state of ${end - start} bytes`);
    }
    if (end > bytes.length) return false;
    this.#at = end;
    this.#restore(bytes.subarray(start, arrays), bytes.subarray(arrays, end));
    return true;
  }

  /**
   * Ends the state.
   *
   * @returns The machine.
   * @throws {MalformedStateError} when bytes are missing, or there are too many.
   */
  finish(): ShardMachine {
    if (this.#at < this.#bytes.length) {
      throw new MalformedStateError("Cannot restore a state that is cut off");
    }
    return asMalformed(() => this.#restorer.finish());
  }

  #restore(skeleton: Uint8Array, arrays: Uint8Array): void {
    asMalformed(() => {
      const reader = new ArrayReader(arrays);
      const part = withArrays(decodeCbor(skeleton), reader) as SnapshotPart;
      reader.finish();
      this.#restorer.take(part);
    });
  }
}

/**
 * Makes a machine of its state.
 *
 * @param shard The shard.
 * @param pieces The bytes, in pieces of any size.
 * @returns The machine.
 * @throws {MalformedStateError} when the bytes are something else.
 */
export function decodeMachine(shard: number, pieces: Iterable<Uint8Array>): ShardMachine {
  const decoder = new MachineDecoder(shard);
  for (const piece of pieces) {
    decoder.push(piece);
    while (decoder.step());
  }
  return decoder.finish();
}

/**
 * Makes the machine that a shard on disk begins with.
 *
 * @param shard Its number.
 * @param state What its snapshot holds, in pieces; `undefined` where there is none.
 * @returns The machine of the snapshot, or that of an empty log.
 * @throws {CorruptFileError} when the bytes are something else.
 */
export function openMachine(
  shard: number,
  state: Iterable<Uint8Array> | undefined,
): ShardMachine {
  if (state === undefined) return new ShardMachine({ shard });
  try {
    return decodeMachine(shard, state);
  } catch (error) {
    if (!(error instanceof MalformedStateError)) throw error;
    throw new CorruptFileError(`the snapshot of shard ${shard}`, error.message);
  }
}

/** Does something with bytes from outside, and names what is wrong with them. */
function asMalformed<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof MalformedFrameError || error instanceof RangeError)) throw error;
    throw new MalformedStateError(error.message, { cause: error });
  }
}

type TypedArray = Float64Array | Uint32Array | Uint8Array;

function isTypedArray(value: object): value is TypedArray {
  return value instanceof Float64Array || value instanceof Uint32Array ||
    value instanceof Uint8Array;
}

/** What stands in the place of an array. */
function placeholderOf(array: TypedArray): Record<string, number> {
  if (array instanceof Float64Array) return { f64: array.length };
  return array instanceof Uint32Array ? { u32: array.length } : { u8: array.length };
}

/** The same plain data with a map in the place of each array, which goes to the list. */
function withoutArrays(value: unknown, arrays: Uint8Array[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (isTypedArray(value)) {
    arrays.push(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    return placeholderOf(value);
  }
  if (Array.isArray(value)) return value.map((item) => withoutArrays(item, arrays));
  const copy: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value)) copy[name] = withoutArrays(item, arrays);
  return copy;
}

/** The opposite: replaces the maps, in place. */
function withArrays(value: unknown, reader: ArrayReader): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = withArrays(value[i], reader);
    return value;
  }
  const record = value as Record<string, unknown>;
  if (typeof record.f64 === "number") return reader.take(record.f64, Float64Array);
  if (typeof record.u32 === "number") return reader.take(record.u32, Uint32Array);
  if (typeof record.u8 === "number") return reader.take(record.u8, Uint8Array);
  for (const name of Object.keys(record)) record[name] = withArrays(record[name], reader);
  return record;
}

/** Takes arrays from the bytes behind a skeleton. */
class ArrayReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  take<T>(
    count: number,
    type: { readonly BYTES_PER_ELEMENT: number; new (buffer: ArrayBuffer): T },
  ): T {
    const start = this.#at;
    const end = start + count * type.BYTES_PER_ELEMENT;
    if (!Number.isSafeInteger(count) || count < 0 || end > this.#bytes.length) {
      throw new MalformedStateError(
        `Cannot restore a state that is cut off in an array of ${count}`,
      );
    }
    this.#at = end;
    // A copy of its own, since an array must begin at a multiple of its elements' size.
    return new type(this.#bytes.slice(start, end).buffer as ArrayBuffer);
  }

  finish(): void {
    if (this.#at === this.#bytes.length) return;
    throw new MalformedStateError(
      `Cannot restore a part of a state with ${this.#bytes.length - this.#at} bytes behind it`,
    );
  }
}
