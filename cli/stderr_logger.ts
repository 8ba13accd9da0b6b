/**
 * The node's log on stderr: one line an event, for people (`text`) or for programs (`json`).
 *
 * ```text
 * 2026-01-31T10:20:30.123Z INFO  leader elected shard=0 term=7
 * {"time":"2026-01-31T10:20:30.123Z","level":"info","message":"leader elected","shard":0,"term":7}
 * ```
 *
 * @module
 */

import type { LogFields, Logger } from "../broker/logger.ts";

/** How loud an event is, from the least to the most. */
export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

/** The forms a line can have. */
export const logFormats = ["text", "json"] as const;
export type LogFormat = (typeof logFormats)[number];

/** What {@linkcode StderrLogger} needs. */
export interface StderrLoggerOptions {
  readonly format: LogFormat;
  /** Quieter events are dropped. */
  readonly level: LogLevel;
  /** Fields that every line gets, such as the node's id. */
  readonly fields?: LogFields;
  /** Takes a finished line without its end. */
  write(line: string): void;
  /** Milliseconds since the epoch. */
  now(): number;
}

/** Errors become their message, with causes; what JSON cannot hold becomes text. */
function plainValue(value: unknown): unknown {
  if (value instanceof Error) {
    return value.cause === undefined
      ? value.message
      : `${value.message}: ${plainValue(value.cause)}`;
  }
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value === undefined || typeof value === "function") return null;
  return value;
}

function textValue(value: unknown): string {
  const plain = plainValue(value);
  if (typeof plain === "string") {
    return /^[^\s"=\p{Cc}]+$/u.test(plain) ? plain : JSON.stringify(plain);
  }
  return JSON.stringify(plain) ?? "null";
}

/** {@linkcode Logger} that writes lines. */
export class StderrLogger implements Logger {
  readonly #options: StderrLoggerOptions;
  readonly #threshold: number;

  /**
   * Makes a logger.
   *
   * @param options Form, level, and where lines go.
   */
  constructor(options: StderrLoggerOptions) {
    this.#options = options;
    this.#threshold = logLevels.indexOf(options.level);
  }

  debug(message: string, fields?: LogFields): void {
    this.#log("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#log("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#log("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#log("error", message, fields);
  }

  #log(level: LogLevel, message: string, fields: LogFields | undefined): void {
    if (logLevels.indexOf(level) < this.#threshold) return;
    const time = new Date(this.#options.now()).toISOString();
    const all = { ...this.#options.fields, ...fields };
    this.#options.write(
      this.#options.format === "json"
        ? JSON.stringify({ time, level, message, ...mapValues(all, plainValue) })
        : `${time} ${level.toUpperCase().padEnd(5)} ${message}` +
          Object.entries(all).map(([key, value]) => ` ${key}=${textValue(value)}`).join(""),
    );
  }
}

function mapValues(fields: LogFields, change: (value: unknown) => unknown): LogFields {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, change(value)]));
}
