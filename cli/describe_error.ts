/**
 * Any error as one line for a person and an exit code for a script.
 *
 * @module
 */

import { ErrorCode } from "../wire/mod.ts";
import { FlowMQError, MessageTooLargeError, QueueNotFoundError } from "../client/errors.ts";
import {
  CorruptFileError,
  CorruptRecordError,
  DataDirectoryLockedError,
  DataDirectoryMismatchError,
  DiskFullError,
  StorageFailedError,
  UnsupportedFormatError,
} from "../storage/errors.ts";
import { ExitCode } from "./exit_codes.ts";
import { CommandError } from "./failures.ts";

/** What a person and a script are told. */
export interface ErrorDescription {
  /** One line: what, with which value, what to do. */
  readonly line: string;
  readonly exitCode: ExitCode;
}

const unreachableCodes: ReadonlySet<number> = new Set([
  ErrorCode.notLeader,
  ErrorCode.noLeader,
  ErrorCode.leadershipLost,
  ErrorCode.overloaded,
  ErrorCode.shuttingDown,
  ErrorCode.requestTimeout,
  ErrorCode.connectionLost,
]);

const refusalCodes: ReadonlySet<number> = new Set([
  ErrorCode.unsupportedProtocol,
  ErrorCode.queueExists,
  ErrorCode.scheduleExists,
  ErrorCode.queueNameInvalid,
  ErrorCode.settingsInvalid,
  ErrorCode.messageTooLarge,
  ErrorCode.invalidArgument,
  ErrorCode.limitReached,
  ErrorCode.diskFull,
  ErrorCode.queueFull,
  ErrorCode.queueGrowing,
  ErrorCode.messageLeased,
  ErrorCode.noHistory,
]);

function describeClientError(error: FlowMQError): ErrorDescription {
  if (error instanceof QueueNotFoundError) {
    const name = JSON.stringify(error.queue);
    return {
      line: `there is no queue ${name}: flowmq queue ls lists them, flowmq queue add makes one`,
      exitCode: ExitCode.notFound,
    };
  }
  if (error instanceof MessageTooLargeError) {
    return {
      line: `${lowerFirst(error.message)} (flowmq serve --message-bytes-max raises the limit)`,
      exitCode: ExitCode.refused,
    };
  }
  if (unreachableCodes.has(error.code)) {
    const unknown = error.maybeApplied ? "; it may have been carried out all the same" : "";
    return {
      line: lowerFirst(error.message) + unknown +
        " (flowmq cluster status shows which nodes are up, --timeout waits longer)",
      exitCode: ExitCode.unreachable,
    };
  }
  const isMissing = error.code === ErrorCode.queueNotFound ||
    error.code === ErrorCode.partitionNotFound || error.code === ErrorCode.scheduleNotFound ||
    error.code === ErrorCode.messageNotFound;
  if (isMissing) {
    return { line: lowerFirst(error.message), exitCode: ExitCode.notFound };
  }
  return {
    line: lowerFirst(error.message) + adviceOn(error.code),
    exitCode: refusalCodes.has(error.code) ? ExitCode.refused : ExitCode.failed,
  };
}

function adviceOn(code: number): string {
  if (code === ErrorCode.queueExists) return " (flowmq queue info shows them)";
  if (code === ErrorCode.scheduleExists) {
    return ": flowmq queue schedule ls shows it, flowmq queue schedule rm makes room";
  }
  if (code === ErrorCode.queueGrowing) return " (flowmq queue info shows when it is over)";
  if (code === ErrorCode.noHistory) return " (flowmq queue edit QUEUE --history 10m)";
  if (code === ErrorCode.messageLeased) return " (flowmq msg get shows who has it)";
  if (code === ErrorCode.diskFull) return " (flowmq cluster status shows how much there is)";
  return "";
}

function describeStorageError(error: Error): string | undefined {
  if (error instanceof DataDirectoryLockedError) {
    const holder = error.pid === undefined ? "another process" : `process ${error.pid}`;
    return `data directory ${error.path} is in use by ${holder}: stop that one, or choose another ` +
      "directory with --data";
  }
  if (error instanceof DataDirectoryMismatchError) {
    const { path, field, found, expected } = error;
    switch (field) {
      case "clusterId":
        return `data directory ${path} belongs to another cluster (${found}, not ${expected}): ` +
          "start with the --node, --cluster and --shards it was made with, or choose another with --data";
      case "nodeId":
        return `data directory ${path} belongs to node ${found}, not to node ${expected}: ` +
          `start with --node ${found}, or choose another directory with --data`;
      case "shard":
        return `data directory ${path} holds shard ${found} where shard ${expected} belongs: ` +
          "its directories were moved; put them back";
    }
  }
  if (error instanceof UnsupportedFormatError) {
    return `${error.path} has format version ${error.version}, which is newer than this program ` +
      "reads: start a newer flowmq";
  }
  if (error instanceof CorruptRecordError || error instanceof CorruptFileError) {
    return `${lowerFirst(error.message)}; nothing was changed: restore the directory from a copy`;
  }
  if (error instanceof DiskFullError) {
    return `${lowerFirst(error.message)}: make room on the disk and start the node again`;
  }
  if (error instanceof StorageFailedError) {
    return `${lowerFirst(error.message)}: check the disk and the permissions of the directory`;
  }
  return undefined;
}

function describeSystemError(error: Error): ErrorDescription | undefined {
  const message = lowerFirst(error.message);
  if (error instanceof Deno.errors.PermissionDenied) {
    return { line: `${message}: no permission`, exitCode: ExitCode.failed };
  }
  if (error instanceof Deno.errors.NotFound) {
    return { line: message, exitCode: ExitCode.failed };
  }
  return undefined;
}

/**
 * Describes whatever a command threw.
 *
 * @param error Anything.
 * @returns A line and an exit code. An error nobody expected is described as the bug it is.
 */
export function describeError(error: unknown): ErrorDescription {
  const description = describe(error);
  // deno-lint-ignore no-control-regex
  return { ...description, line: description.line.replaceAll(/[\x00-\x1f\x7f]+/g, " ").trim() };
}

function describe(error: unknown): ErrorDescription {
  // What went wrong first matters; that the tidying up failed as well follows from it.
  if (error instanceof SuppressedError) return describe(error.suppressed);
  if (error instanceof CommandError) return { line: error.message, exitCode: error.exitCode };
  if (error instanceof FlowMQError) return describeClientError(error);
  if (error instanceof Error) {
    const storage = describeStorageError(error);
    if (storage !== undefined) return { line: storage, exitCode: ExitCode.dataDirectory };
    const system = describeSystemError(error);
    if (system !== undefined) return system;
  }
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    line: `unexpected error: ${text} (a bug; with FLOWMQ_STACK=1 it says where)`,
    exitCode: ExitCode.failed,
  };
}

/** A sentence as the continuation of `flowmq: `; an abbreviation such as `TLS` keeps its capitals. */
function lowerFirst(text: string): string {
  return /^[A-Z][a-z' ]/.test(text) ? text[0]!.toLowerCase() + text.slice(1) : text;
}
