import { assertEquals, assertMatch } from "@std/assert";
import {
  ConnectionLostError,
  ErrorCode,
  FlowMQError,
  MessageTooLargeError,
  QueueNotFoundError,
  RequestTimeoutError,
} from "../mod.ts";
import {
  CorruptRecordError,
  DataDirectoryLockedError,
  DataDirectoryMismatchError,
  DiskFullError,
  StorageFailedError,
  UnsupportedFormatError,
} from "../storage/errors.ts";
import { describeError } from "./describe_error.ts";
import { ExitCode } from "./exit_codes.ts";
import { CommandError, UsageError } from "./failures.ts";

Deno.test("describeError() says what to do about each kind of failure", () => {
  const cause = new Error("I/O error (os error 5)");
  const cases: [unknown, ExitCode, RegExp][] = [
    [new UsageError("unknown flag --x"), ExitCode.usage, /^unknown flag --x$/],
    [new CommandError("no"), ExitCode.failed, /^no$/],
    [new QueueNotFoundError("a b"), ExitCode.notFound, /"a b".*queue ls/],
    [new MessageTooLargeError(11, 10), ExitCode.refused, /11.*message-bytes-max/],
    [
      new RequestTimeoutError("publish to queue x", 50, { maybeApplied: true }),
      ExitCode.unreachable,
      /50 ms; it may have been carried out/,
    ],
    [new ConnectionLostError("Gone"), ExitCode.unreachable, /cluster status/],
    [
      new FlowMQError("Bad name", { code: ErrorCode.queueNameInvalid }),
      ExitCode.refused,
      /^bad name$/,
    ],
    [new FlowMQError("A bug", { code: ErrorCode.internal }), ExitCode.failed, /^a bug$/],
    [new DataDirectoryLockedError("/d", 7), ExitCode.dataDirectory, /process 7.*--data/],
    [new DataDirectoryLockedError("/d", undefined), ExitCode.dataDirectory, /another process/],
    [
      new DataDirectoryMismatchError("/d", "nodeId", "1", "2"),
      ExitCode.dataDirectory,
      /node 1.*--node 1/,
    ],
    [
      new DataDirectoryMismatchError("/d", "clusterId", "a", "b"),
      ExitCode.dataDirectory,
      /a, not b.*--cluster/,
    ],
    [new UnsupportedFormatError("/d/meta", 9, 1), ExitCode.dataDirectory, /version 9.*newer/],
    [
      new CorruptRecordError("/d/1.seg", 100, 5, "wrong checksum"),
      ExitCode.dataDirectory,
      /1\.seg at byte 100.*nothing was changed/,
    ],
    [new DiskFullError("write", "/d", cause), ExitCode.dataDirectory, /make room/],
    [new StorageFailedError("sync", "/d", cause), ExitCode.dataDirectory, /sync \/d.*check/],
    [new TypeError("x is not\na function"), ExitCode.failed, /^unexpected error: TypeError.*bug/],
    [
      new SuppressedError(new Error("later"), new CommandError("first")),
      ExitCode.failed,
      /^first$/,
    ],
    ["thrown text", ExitCode.failed, /thrown text/],
  ];
  for (const [error, exitCode, text] of cases) {
    const described = describeError(error);
    assertMatch(described.line, text);
    assertEquals(described.exitCode, exitCode, described.line);
    assertEquals(described.line.includes("\n"), false);
  }
});
