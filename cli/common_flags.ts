/**
 * The flags that many commands share, so that they mean and read the same everywhere.
 *
 * @module
 */

import { durationFlag, serversFlag, switchFlag } from "./flags.ts";

/** Where a single node listens for clients unless it is told otherwise. */
export const defaultClientAddress = "127.0.0.1:7400";

/** Flags of every command that talks to a cluster. */
export const clientFlags = {
  server: serversFlag({
    short: "s",
    help: "Nodes of the cluster; one is enough, more help when that one is down.",
    default: defaultClientAddress,
  }),
  timeout: durationFlag({
    help: "How long to try before giving up.",
    default: "10s",
    minimumMs: 1,
    maximumMs: 86_400_000,
  }),
};

/** For commands whose result a program may want to read. */
export const jsonFlag = switchFlag({ help: "Print JSON, one object a line, instead of text." });
