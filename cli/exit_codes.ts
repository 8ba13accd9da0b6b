/**
 * What a command's exit code says. Scripts depend on the numbers: they never change their meaning.
 *
 * @module
 */

/** The exit codes by name. */
export const ExitCode = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  notFound: 4,
  refused: 5,
  dataDirectory: 6,
  addressInUse: 7,
  interrupted: 130,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** One line for people about each exit code, in the order of the numbers. */
export const exitCodeMeanings: readonly (readonly [ExitCode, string])[] = [
  [ExitCode.ok, "Done."],
  [
    ExitCode.failed,
    "Failed: a message was not confirmed, a check did not hold, a node had to stop.",
  ],
  [ExitCode.usage, "Unknown command or flag, or a value that a flag does not take."],
  [ExitCode.unreachable, "No server answered in time, or the cluster has no leader."],
  [ExitCode.notFound, "There is no such queue or message."],
  [
    ExitCode.refused,
    "The server refused: a name, a setting or a message it does not take, or a limit.",
  ],
  [
    ExitCode.dataDirectory,
    "The data directory cannot be used: locked, of another cluster or node, damaged, no permission.",
  ],
  [ExitCode.addressInUse, "The address to listen on is in use, or is not one of this machine."],
  [ExitCode.interrupted, "Stopped by Ctrl-C or SIGTERM before the work was done."],
];
