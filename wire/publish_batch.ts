/**
 * The packed layout of a publish command, the one place where message bytes are laid out: what the
 * client builds is what is replicated, what is on every disk, and what consumers get slices of.
 *
 * ```text
 *  0  the command header, see command_header.ts; its u16 at 2 is how many partitions the queue had for
 *     whoever chose this one by the keys of the messages, 0 where it was not chosen so
 * 16  u64 sessionId
 * 24  u64 baseSequence
 * 32  u32 count
 * 36  u32 features: 1 some message has options, 2 some message has a key; other bits 0
 * 40  u32 × count   where each message ends, counted from the beginning of the message area
 *     message area: one record after the other, see message_record.ts
 * ```
 *
 * A log from before there were features says 0 there, whatever is in its messages.
 *
 * @module
 */

import type { MessageDetails, PublishDetails } from "../queue/commands.ts";
import {
  encodeUtf8,
  encodeUtf8Into,
  readU16,
  readU32,
  readU64,
  writeU16,
  writeU32,
  writeU64,
} from "./bytes.ts";
import { commandHeaderBytes, CommandKindCode, commandLayoutVersion } from "./command_header.ts";
import { MalformedFrameError } from "./errors.ts";
import { frameHeaderBytes, writeFrameHeader } from "./frame.ts";
import { keyBytesMax, type WireLimits } from "./limits.ts";
import { encodeMessageOptions, type MessageOptions } from "./message_options.ts";
import {
  checkMessage,
  encodeHeaders,
  messageContentBytes,
  type MessageHeaders,
  readMessageDetails,
  RecordFlag,
} from "./message_record.ts";
import { newBytes } from "./new_bytes.ts";

/** Where the table of ends begins in a publish command. */
export const publishTableOffset = commandHeaderBytes + 24;

const partitionCountOffset = 2;
const sequenceOffset = commandHeaderBytes + 8;
const countOffset = commandHeaderBytes + 16;

const featuresOffset = commandHeaderBytes + 20;

/** What some message of a publish command has, so that nobody looks for it where there is none. */
const Feature = { options: 1, key: 2 } as const;

/** The features of a command that holds a message with these flags. */
function featuresOf(flags: number): number {
  return ((flags & RecordFlag.options) !== 0 ? Feature.options : 0) |
    ((flags & RecordFlag.key) !== 0 ? Feature.key : 0);
}

/** What a publish command is about, besides its messages. */
export interface PublishTarget {
  /** The shard of the partition. */
  readonly shard: number;
  /** The session in that shard. */
  readonly sessionId: number;
  /** Where to. */
  readonly partitionId: number;
  /** The number of the first message. */
  readonly baseSequence: number;
  /** How many partitions the queue had when this one was chosen by keys. @default {0: it was not} */
  readonly partitionCount?: number;
}

/**
 * Messages on their way into one publish command.
 *
 * The body of each message is written once, into the message area, at the moment it is added: the
 * caller may do with its array what it likes afterwards. Areas of consecutive batches lie one behind
 * the other in large chunks, so that small batches cost no allocation of their own.
 *
 * @example Usage
 * ```ts
 * import { decodeMessage } from "./message_record.ts";
 * import { messageEnd, messageStart, PublishArena, PublishBatch } from "./publish_batch.ts";
 *
 * const batch = new PublishBatch(new PublishArena());
 * batch.add("hello", "key-1");
 * const command = batch.encodeCommand({ shard: 0, sessionId: 7, partitionId: 3, baseSequence: 0 });
 * const message = decodeMessage(command, messageStart(command, 0), messageEnd(command, 0));
 * if (message.key !== "key-1" || message.body.length !== 5) throw new Error("not what went in");
 * ```
 */
export class PublishBatch {
  readonly #arena: PublishArena;
  /** Ends of the messages, grown by doubling. */
  #ends = new Uint32Array(16);
  #count = 0;
  #bytes = 0;
  #features = 0;
  /** The chunk that the area lies in, and where it begins there. */
  #chunk: Uint8Array;
  #start: number;

  /**
   * Begins an empty batch. Only the newest batch of an arena may be added to.
   *
   * @param arena Where the bytes go.
   */
  constructor(arena: PublishArena) {
    this.#arena = arena;
    this.#chunk = arena.chunk;
    this.#start = arena.used;
  }

  /** How many messages it holds. */
  get count(): number {
    return this.#count;
  }

  /** How long its message area is. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Adds a message.
   *
   * @param body Copied; text becomes UTF-8.
   * @param key At most 65,535 bytes of UTF-8.
   * @param headers From {@linkcode encodeHeaders}.
   * @param options From {@linkcode encodeMessageOptions}.
   * @returns How many bytes the message takes in the area.
   * @throws {RangeError} when the key is too long.
   */
  add(
    body: string | Uint8Array,
    key?: string,
    headers?: Uint8Array,
    options?: Uint8Array,
  ): number {
    const isText = typeof body === "string";
    // Text is encoded straight into the area: three bytes a code unit always do.
    const room = 1 + (isText ? body.length * 3 : body.length) +
      (key === undefined ? 0 : 2 + key.length * 3) +
      (headers === undefined ? 0 : 4 + headers.length) +
      (options === undefined ? 0 : options.length);
    this.#reserve(room);
    const chunk = this.#chunk;
    const start = this.#start + this.#bytes;
    let at = start + 1;
    let flags = 0;
    if (key !== undefined) {
      flags |= RecordFlag.key;
      const keyBytes = encodeUtf8Into(key, chunk, at + 2);
      if (keyBytes > keyBytesMax) {
        throw new RangeError(
          `Cannot publish a key over ${keyBytesMax} bytes: current length is ${keyBytes}`,
        );
      }
      writeU16(chunk, at, keyBytes);
      at += 2 + keyBytes;
    }
    if (headers !== undefined) {
      flags |= RecordFlag.headers;
      writeU32(chunk, at, headers.length);
      chunk.set(headers, at + 4);
      at += 4 + headers.length;
    }
    if (options !== undefined) {
      flags |= RecordFlag.options;
      chunk.set(options, at);
      at += options.length;
    }
    if (isText) {
      at += encodeUtf8Into(body, chunk, at);
    } else {
      chunk.set(body, at);
      at += body.length;
    }
    chunk[start] = flags;
    this.#features |= featuresOf(flags);
    this.#bytes = at - this.#start;
    this.#arena.used = at;
    this.#pushEnd(this.#bytes);
    return at - start;
  }

  /**
   * Adds a message that is laid out already.
   *
   * @param record A message as it is in a command that was checked; copied.
   */
  addRecord(record: Uint8Array): void {
    this.#reserve(record.length);
    const start = this.#start + this.#bytes;
    this.#chunk.set(record, start);
    this.#bytes += record.length;
    this.#arena.used = start + record.length;
    this.#features |= featuresOf(record[0]!);
    this.#pushEnd(this.#bytes);
  }

  /**
   * Looks at a message.
   *
   * @param position From 0.
   * @returns Its record, for `readMessageDetails` and `addRecord`; a view of the area.
   */
  recordAt(position: number): Uint8Array {
    const start = position === 0 ? 0 : this.#ends[position - 1]!;
    return this.#chunk.subarray(this.#start + start, this.#start + this.#ends[position]!);
  }

  /**
   * Lays out everything before the message area, frame header included. Frame = head + area.
   *
   * @param type The frame type of a publish request.
   * @param correlationId The number of the request.
   * @param target Session, partition and sequence.
   * @returns Bytes of their own.
   */
  encodeHead(type: number, correlationId: number, target: PublishTarget): Uint8Array {
    const commandBytes = publishTableOffset + 4 * this.#count;
    const head = newBytes(frameHeaderBytes + commandBytes);
    writeFrameHeader(head, 0, type, target.shard, correlationId, commandBytes + this.#bytes);
    this.#writeCommandHead(head, frameHeaderBytes, target);
    return head;
  }

  /** The messages: a view that stays valid. */
  get area(): Uint8Array {
    return this.#chunk.subarray(this.#start, this.#start + this.#bytes);
  }

  /**
   * Makes the whole command in one piece.
   *
   * @param target Session, partition and sequence.
   * @returns Bytes of their own.
   */
  encodeCommand(target: PublishTarget): Uint8Array {
    const areaStart = publishTableOffset + 4 * this.#count;
    const command = new Uint8Array(areaStart + this.#bytes);
    this.#writeCommandHead(command, 0, target);
    command.set(this.area, areaStart);
    return command;
  }

  #writeCommandHead(bytes: Uint8Array, offset: number, target: PublishTarget): void {
    bytes[offset] = CommandKindCode.publish;
    bytes[offset + 1] = commandLayoutVersion;
    writeU16(bytes, offset + partitionCountOffset, target.partitionCount ?? 0);
    writeU32(bytes, offset + 4, target.partitionId);
    writeU64(bytes, offset + commandHeaderBytes, target.sessionId);
    writeU64(bytes, offset + sequenceOffset, target.baseSequence);
    writeU32(bytes, offset + countOffset, this.#count);
    writeU32(bytes, offset + featuresOffset, this.#features);
    let at = offset + publishTableOffset;
    for (let i = 0; i < this.#count; i++, at += 4) writeU32(bytes, at, this.#ends[i]!);
  }

  #pushEnd(end: number): void {
    if (this.#count === this.#ends.length) {
      const ends = new Uint32Array(this.#ends.length * 2);
      ends.set(this.#ends);
      this.#ends = ends;
    }
    this.#ends[this.#count++] = end;
  }

  /** Makes room behind the last message, in a new chunk where the present one is full. */
  #reserve(room: number): void {
    if (this.#start + this.#bytes + room <= this.#chunk.length) return;
    const area = this.area;
    this.#arena.renew(area.length + room);
    this.#chunk = this.#arena.chunk;
    this.#start = 0;
    this.#chunk.set(area);
  }
}

/**
 * Memory for message areas: a chunk that batches share, one behind the other. Chunks grow with what
 * goes through, so that a quiet queue costs little and a busy one seldom asks for memory.
 */
export class PublishArena {
  readonly #chunkBytesMax: number;
  #chunkBytes: number;
  /** The chunk in use. Those before it live as long as a batch in them. */
  chunk: Uint8Array;
  /** How much of the chunk is taken. */
  used = 0;

  /**
   * Makes an arena.
   *
   * @param chunkBytesMax The most to ask memory for at once, but for a batch that needs more.
   */
  constructor(chunkBytesMax = 1024 * 1024) {
    this.#chunkBytesMax = chunkBytesMax;
    this.#chunkBytes = Math.min(4 * 1024, chunkBytesMax);
    this.chunk = new Uint8Array(0);
  }

  /**
   * Begins a new chunk.
   *
   * @param bytes The least it has to hold.
   */
  renew(bytes: number): void {
    // Twice the need, so that a batch that goes on growing is copied a few times at most.
    this.chunk = new Uint8Array(Math.max(this.#chunkBytes, bytes * 2));
    this.used = 0;
    this.#chunkBytes = Math.min(this.#chunkBytes * 2, this.#chunkBytesMax);
  }
}

/** How many messages a publish command holds. */
export function publishCount(command: Uint8Array): number {
  return readU32(command, countOffset);
}

/** The session of a publish command. */
export function publishSessionId(command: Uint8Array): number {
  return readU64(command, commandHeaderBytes);
}

/** How many partitions the queue had when that of a publish command was chosen; 0 for not by that. */
export function publishPartitionCount(command: Uint8Array): number {
  return readU16(command, partitionCountOffset);
}

/** The sequence number of the first message of a publish command. */
export function publishBaseSequence(command: Uint8Array): number {
  return readU64(command, sequenceOffset);
}

/** How long the message area of a publish command is. */
export function publishAreaBytes(command: Uint8Array): number {
  return command.length - publishTableOffset - 4 * publishCount(command);
}

/**
 * Where message `position` of a checked publish command begins.
 *
 * @param command Checked by {@linkcode checkPublishCommand} when it came in.
 * @param position From 0 to the command's count - 1.
 * @returns An offset into `command`.
 */
export function messageStart(command: Uint8Array, position: number): number {
  const areaStart = publishTableOffset + 4 * readU32(command, countOffset);
  return position === 0
    ? areaStart
    : areaStart + readU32(command, publishTableOffset + 4 * (position - 1));
}

/**
 * Where message `position` of a checked publish command ends.
 *
 * @param command Checked by {@linkcode checkPublishCommand} when it came in.
 * @param position From 0 to the command's count - 1.
 * @returns An offset into `command`.
 */
export function messageEnd(command: Uint8Array, position: number): number {
  return publishTableOffset + 4 * readU32(command, countOffset) +
    readU32(command, publishTableOffset + 4 * position);
}

/** Where a message record is; filled in by {@linkcode messageBounds}. */
export interface MessageBounds {
  /** Where it begins. */
  start: number;
  /** Where it ends. */
  end: number;
}

/**
 * Finds message `position` of a checked publish command, both ends at once.
 *
 * @param command Checked by {@linkcode checkPublishCommand} when it came in.
 * @param position From 0 to the command's count - 1.
 * @param bounds Filled in: one object serves a whole loop.
 */
export function messageBounds(
  command: Uint8Array,
  position: number,
  bounds: MessageBounds,
): void {
  bounds.start = messageStart(command, position);
  bounds.end = messageEnd(command, position);
}

/**
 * Checks a publish command that came from a client, down to every message: after this nobody who
 * reads it, on this node or another, now or after a restart, meets a surprise.
 *
 * @param command The payload of a publish request.
 * @param limits What this broker accepts.
 * @returns -1, or the position of the first message that is over `limits.messageBytesMax`.
 * @throws {MalformedFrameError} when it is not a publish command.
 */
export function checkPublishCommand(
  command: Uint8Array,
  limits: Pick<WireLimits, "messageBytesMax" | "batchCountMax">,
): number {
  if (
    command.length < publishTableOffset || command[0] !== CommandKindCode.publish ||
    command[1] !== commandLayoutVersion
  ) {
    throw new MalformedFrameError(
      `Cannot read a publish command: ${command.length} bytes, kind ${command[0]}, version ${
        command[1]
      }`,
    );
  }
  const count = readU32(command, countOffset);
  if (count === 0 || count > limits.batchCountMax) {
    throw new MalformedFrameError(
      `Cannot publish a batch of more than ${limits.batchCountMax} messages or none: its count is ${count}`,
    );
  }
  const areaStart = publishTableOffset + 4 * count;
  if (areaStart > command.length) {
    throw new MalformedFrameError(`Cannot read a publish command cut off in its table of ${count}`);
  }
  readU64(command, commandHeaderBytes);
  if (!Number.isSafeInteger(readU64(command, sequenceOffset) + count)) {
    throw new MalformedFrameError("Cannot publish sequence numbers over 2^53 - 1");
  }
  let tooLarge = -1;
  let features = 0;
  let start = areaStart;
  for (let i = 0; i < count; i++) {
    const end = areaStart + readU32(command, publishTableOffset + 4 * i);
    if (end <= start || end > command.length) {
      throw new MalformedFrameError(
        `Cannot read message ${i} of a batch as its end is out of order`,
      );
    }
    const flags = command[start]!;
    if (flags !== 0) {
      checkMessage(command, start, end);
      features |= featuresOf(flags);
    }
    // The cheap bound first.
    if (
      tooLarge === -1 && end - start - 1 > limits.messageBytesMax &&
      messageContentBytes(command, start, end) > limits.messageBytesMax
    ) tooLarge = i;
    start = end;
  }
  if (start !== command.length) {
    throw new MalformedFrameError(
      `Cannot read a publish command with ${command.length - start} bytes behind its last message`,
    );
  }
  if (readU32(command, featuresOffset) !== features) {
    throw new MalformedFrameError(
      `Cannot publish a batch with the features ${readU32(command, featuresOffset)}: ` +
        `those of its messages are ${features}`,
    );
  }
  return tooLarge;
}

/**
 * What the messages of a publish command ask for, read out of it message by message.
 *
 * @param command Checked by {@linkcode checkPublishCommand} when it came in.
 * @returns The details, or `undefined` where no message has any.
 */
export function publishDetails(command: Uint8Array): PublishDetails | undefined {
  return readU32(command, featuresOffset) === 0 ? undefined : new CommandDetails(command);
}

class CommandDetails implements PublishDetails {
  readonly #command: Uint8Array;

  constructor(command: Uint8Array) {
    this.#command = command;
  }

  get hasOptions(): boolean {
    return (readU32(this.#command, featuresOffset) & Feature.options) !== 0;
  }

  at(position: number): MessageDetails {
    return readMessageDetails(this.#command, messageStart(this.#command, position));
  }
}

/**
 * Makes a publish command of messages, for tools and tests; clients use {@linkcode PublishBatch}.
 *
 * @param target Session, partition and sequence.
 * @param messages At least one.
 * @returns The command's bytes.
 */
export function encodePublishCommand(
  target: Omit<PublishTarget, "shard">,
  messages: readonly {
    readonly body: string | Uint8Array;
    readonly key?: string;
    readonly headers?: MessageHeaders;
    readonly options?: MessageOptions;
  }[],
): Uint8Array {
  const batch = new PublishBatch(new PublishArena());
  for (const message of messages) {
    const headers = message.headers === undefined ? undefined : encodeHeaders(message.headers);
    batch.add(
      typeof message.body === "string" ? encodeUtf8(message.body) : message.body,
      message.key,
      headers,
      message.options === undefined ? undefined : encodeMessageOptions(message.options),
    );
  }
  return batch.encodeCommand({ ...target, shard: 0 });
}
