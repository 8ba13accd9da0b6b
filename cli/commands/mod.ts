/**
 * All commands, in the order in which help lists them.
 *
 * @module
 */

import type { Command } from "../command.ts";
import { bench } from "./bench.ts";
import { benchRole } from "./bench_role.ts";
import { clusterStatus } from "./cluster_status.ts";
import { demo } from "./demo.ts";
import { dev } from "./dev.ts";
import { explain } from "./explain.ts";
import { logDump } from "./log_dump.ts";
import { logInspect } from "./log_inspect.ts";
import { logVerify } from "./log_verify.ts";
import { msgGet } from "./msg_get.ts";
import { msgHistory } from "./msg_history.ts";
import { msgRm } from "./msg_rm.ts";
import { pub } from "./pub.ts";
import { queueAdd } from "./queue_add.ts";
import { queueEdit } from "./queue_edit.ts";
import { queueInfo } from "./queue_info.ts";
import { queueLs } from "./queue_ls.ts";
import { queuePause } from "./queue_pause.ts";
import { queueDlqLs } from "./queue_dlq_ls.ts";
import { queueDlqPurge } from "./queue_dlq_purge.ts";
import { queueDlqRedrive } from "./queue_dlq_redrive.ts";
import { queuePurge } from "./queue_purge.ts";
import { queueResume } from "./queue_resume.ts";
import { queuePeek } from "./queue_peek.ts";
import { queueReplay } from "./queue_replay.ts";
import { queueRm } from "./queue_rm.ts";
import { queueScheduleAdd } from "./queue_schedule_add.ts";
import { queueScheduleLs } from "./queue_schedule_ls.ts";
import { queueSchedulePause, queueScheduleResume } from "./queue_schedule_pause.ts";
import { queueScheduleRm } from "./queue_schedule_rm.ts";
import { serve } from "./serve.ts";
import { sub } from "./sub.ts";
import { verify } from "./verify.ts";
import { version } from "./version.ts";

/** The commands. */
export const commands: readonly Command[] = [
  serve,
  dev,
  pub,
  sub,
  queueAdd,
  queueEdit,
  queueLs,
  queueInfo,
  queuePause,
  queueResume,
  queuePurge,
  queueDlqLs,
  queueDlqRedrive,
  queueDlqPurge,
  queuePeek,
  queueReplay,
  queueRm,
  queueScheduleAdd,
  queueScheduleLs,
  queueSchedulePause,
  queueScheduleResume,
  queueScheduleRm,
  msgGet,
  msgHistory,
  msgRm,
  explain,
  clusterStatus,
  verify,
  logInspect,
  logVerify,
  logDump,
  demo,
  bench,
  version,
  benchRole,
];
