/**
 * The state of a queue machine as bytes, for disk and for other nodes.
 *
 * ```text
 *  0 u32 format version, 1
 *  4 u32 length of the skeleton
 *  8 the skeleton: the state as CBOR, with a map in the place of every typed array:
 *    {"f64": n} for n floats, {"u32": n} for n words
 *    the arrays, one after the other in the order of their places, little-endian
 * ```
 *
 * Nearly all of a large state is in its arrays, and those go out as they lie in memory. Whoever stores
 * the bytes guards them with a checksum.
 *
 * @module
 */

import { type MachineSnapshot, ShardMachine } from "../queue/mod.ts";
import { CorruptFileError } from "../storage/mod.ts";
import { decodeCbor, encodeCbor, MalformedFrameError, readU32, writeU32 } from "../wire/mod.ts";

const formatVersion = 1;
const headBytes = 8;

/** Bytes that are no state of a machine that this program knows. */
export class MalformedStateError extends Error {
  override name = "MalformedStateError";
}

/**
 * Encodes the state of a machine.
 *
 * @param snapshot The state. Its arrays are among the bytes and must not change until those are used.
 * @returns The bytes, in parts.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ShardMachine } from "../queue/mod.ts";
 * import { concatBytes } from "../wire/mod.ts";
 *
 * const machine = new ShardMachine({ shard: 0 });
 * const bytes = concatBytes(encodeMachine(machine.snapshot()));
 * assertEquals(decodeMachine(0, bytes).stateHash(), machine.stateHash());
 * ```
 */
export function encodeMachine(snapshot: MachineSnapshot): Uint8Array[] {
  const arrays: Uint8Array[] = [];
  const skeleton = encodeCbor(withoutArrays(snapshot, arrays));
  const head = new Uint8Array(headBytes);
  writeU32(head, 0, formatVersion);
  writeU32(head, 4, skeleton.length);
  return [head, skeleton, ...arrays];
}

/**
 * Makes the machine again.
 *
 * @param shard The shard that it is of.
 * @param bytes What `encodeMachine` gave.
 * @returns The machine.
 * @throws {MalformedStateError} when the bytes are something else.
 */
export function decodeMachine(shard: number, bytes: Uint8Array): ShardMachine {
  if (bytes.length < headBytes || readU32(bytes, 0) !== formatVersion) {
    throw new MalformedStateError("Cannot restore a state as its format is not known here");
  }
  const end = headBytes + readU32(bytes, 4);
  if (end > bytes.length) throw new MalformedStateError("Cannot restore a state that is cut off");
  try {
    const skeleton = decodeCbor(bytes.subarray(headBytes, end));
    const reader = new ArrayReader(bytes, end);
    const snapshot = withArrays(skeleton, reader) as MachineSnapshot;
    reader.finish();
    return ShardMachine.restore({ shard }, snapshot);
  } catch (error) {
    if (!(error instanceof MalformedFrameError || error instanceof RangeError)) throw error;
    throw new MalformedStateError(error.message, { cause: error });
  }
}

/**
 * Makes the machine that a shard on disk begins with.
 *
 * @param shard Its number.
 * @param state What its snapshot holds, `undefined` where there is none.
 * @returns The machine of the snapshot, or that of an empty log.
 * @throws {CorruptFileError} when the bytes are something else.
 */
export function openMachine(shard: number, state: Uint8Array | undefined): ShardMachine {
  if (state === undefined) return new ShardMachine({ shard });
  try {
    return decodeMachine(shard, state);
  } catch (error) {
    if (!(error instanceof MalformedStateError)) throw error;
    throw new CorruptFileError(`the snapshot of shard ${shard}`, error.message);
  }
}

/** The same plain data with a map in the place of each array, which goes to the list. */
function withoutArrays(value: unknown, arrays: Uint8Array[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Float64Array || value instanceof Uint32Array) {
    arrays.push(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    return value instanceof Float64Array ? { f64: value.length } : { u32: value.length };
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
  for (const name of Object.keys(record)) record[name] = withArrays(record[name], reader);
  return record;
}

/** Takes arrays from the bytes behind the skeleton. */
class ArrayReader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, start: number) {
    this.#bytes = bytes;
    this.#at = start;
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
      `Cannot restore a state with ${this.#bytes.length - this.#at} bytes behind it`,
    );
  }
}
