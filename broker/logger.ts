/**
 * What the broker tells its operator: short messages with structured fields. Where they go, and in
 * which form, is up to whoever starts the node.
 *
 * @module
 */

/** Values worth reading in a log line. */
export type LogFields = Record<string, unknown>;

/** Receives what happens on a node. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** Drops everything. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
};
