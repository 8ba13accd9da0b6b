/**
 * One trial: a node of its own is harmed in the middle of a thousand messages, started again, and has to
 * keep what it had confirmed.
 *
 * A client publishes and consumes all the time, through every end and new start of the node. Lives of the
 * node that the trial has harm for are followed by unharmed ones, until all messages are acked. Then the
 * node is stopped, started once more, and asked for what must not be there: a message that was acked. In
 * the end every byte of its directory is checked.
 *
 * @module
 */

import { CommandError } from "../../cli/failures.ts";
import { LocalNode } from "../../cli/local_node.ts";
import { ownHost } from "../loopback.ts";
import type { SelfCommand } from "../../cli/self_command.ts";
import { liveSetOf } from "../../broker/live_set.ts";
import { decodeMachine } from "../../broker/machine_codec.ts";
import { type Client, connect } from "../../mod.ts";
import { denoFileSystem, verifyDataDirectory } from "../../storage/mod.ts";
import type { History } from "../process/history.ts";
import { within } from "../process/waiting.ts";
import type { TestDisk } from "./disks.ts";
import { buildShim, type CountedCall, countedCalls, type Harm, shimEnvironment } from "./harm.ts";
import { Load } from "./load.ts";

/** What is tried. */
export interface TrialOptions {
  readonly program: SelfCommand;
  readonly disk: TestDisk;
  /** Harm to the first lives of the node, one each. */
  readonly harms: readonly Harm[];
  /** @default {1000} */
  readonly messages?: number;
  /** @default {false} */
  readonly shortWrites?: boolean;
  /** @default {false} */
  readonly noSyncs?: boolean;
  /** Nothing has happened for so long: it never will. @default {10_000} */
  readonly stuckMs?: number;
}

/** How one life of the node ended. */
export interface LifeEnd {
  /** `SIGKILL`, or `exit code 1`. */
  readonly how: string;
  /** What it said last. */
  readonly lastWords: string;
  /** From the harm to the end of the process. */
  readonly ms: number;
}

/** What came of it. */
export interface TrialReport {
  /** The storage calls of each life. */
  readonly calls: readonly (readonly CountedCall[])[];
  /** The call that the harm of each life was done at, where it came to that. */
  readonly hits: readonly (CountedCall | undefined)[];
  /** The ends of the lives that had harm and came to it. */
  readonly ends: readonly LifeEnd[];
  /** Messages confirmed when the first life ended. */
  readonly confirmedBefore: number;
  /** What must not have happened. */
  readonly violations: readonly string[];
}

const queueName = "trial";
const clusterArguments = [
  "--segment-bytes=16KiB",
  "--snapshot-bytes=64KiB",
  // The disks of trials are smaller than what is kept in reserve otherwise.
  "--disk-reserve-bytes=1MiB",
  "--stop-with-stdin",
];

/** No trial takes longer: each of its waits has an end. */
const secondsMax = 180;

/** Runs one trial. */
export async function runTrial(options: TrialOptions): Promise<TrialReport> {
  const trial = new Trial(options, await buildShim());
  return await within("the trial was over", trial.run(), secondsMax);
}

class Trial {
  readonly #options: TrialOptions;
  readonly #shim: string;
  readonly #logs: string;
  readonly #host = ownHost();
  readonly #clientAddress = `${this.#host}:7400`;
  #load: Load | undefined;
  readonly #ends: LifeEnd[] = [];
  readonly #hits: (CountedCall | undefined)[] = [];
  #life = 0;
  #node: LocalNode | undefined;
  #isOver = false;
  #confirmedBefore = 0;
  readonly #calls: (readonly CountedCall[])[] = [];

  constructor(options: TrialOptions, shim: string) {
    this.#options = options;
    this.#shim = shim;
    this.#logs = Deno.makeTempDirSync({ prefix: "flowmq-trial-" });
  }

  async run(): Promise<TrialReport> {
    const living = this.#live();
    try {
      await using client = await this.#connect();
      const { messages = 1_000, stuckMs = 10_000 } = this.#options;
      this.#load = new Load(client, { queue: queueName, messages, stuckMs });
      await this.#load.finish();
    } finally {
      this.#isOver = true;
      await this.#node?.stop();
      await living;
    }
    const { history } = this.#load!;
    await this.#checkWhatIsLeft(history);
    const violations = history.check();
    // Whoever switches syncs off wants to see a loss, and no more.
    const isExpected = violations.length === 0 || this.#options.noSyncs === true;
    if (isExpected) await Deno.remove(this.#logs, { recursive: true });
    else violations.push(await this.#keepEvidence());
    return {
      calls: this.#calls,
      hits: this.#hits,
      ends: this.#ends,
      confirmedBefore: this.#confirmedBefore,
      violations,
    };
  }

  /** Puts what the node has on its disk beside the logs. @returns Where to look. */
  async #keepEvidence(): Promise<string> {
    const args = ["-a", this.#data, this.#logs];
    const { success } = await new Deno.Command("cp", { args, stderr: "null" }).output();
    return `logs${success ? " and data" : ""} are in ${this.#logs}`;
  }

  #connect(): Promise<Client> {
    return connect(this.#clientAddress, {
      name: "trial",
      connectTimeoutMs: 30_000,
      // A life that ends in the middle of something is followed by the next one within this time.
      requestTimeoutMs: 30_000,
    });
  }

  /** Starts the node again and again, until the trial is over. */
  async #live(): Promise<void> {
    while (!this.#isOver) {
      const life = this.#life++;
      const node = this.#newNode(life);
      this.#node = node;
      try {
        await node.start();
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
      }
      const how = await node.ended();
      this.#noteEnd(life, how);
      await this.#options.disk.recover();
    }
  }

  #newNode(life: number): LocalNode {
    const { program, disk, harms, shortWrites = false, noSyncs = false } = this.#options;
    const clientAddress = this.#clientAddress;
    const peerAddress = `${this.#host}:7402`;
    return new LocalNode({
      id: 1,
      clientAddress,
      peerAddress,
      dataDirectory: this.#data,
      logPath: `${this.#logs}/node-${life}.log`,
      serveArguments: [
        "serve",
        `--data=${this.#data}`,
        `--listen=${clientAddress}`,
        `--peer=${peerAddress}`,
        ...clusterArguments,
      ],
      program,
      environment: shimEnvironment(this.#shim, {
        directory: disk.directory,
        logPath: this.#callLog(life),
        harm: harms[life],
        mount: disk.mount,
        shortWrites,
        noSyncs,
      }),
    });
  }

  get #data(): string {
    return `${this.#options.disk.directory}/data`;
  }

  #callLog(life: number): string {
    return `${this.#logs}/calls-${life}.log`;
  }

  #noteEnd(life: number, how: string): void {
    const endedAt = Date.now();
    const callLog = this.#callLog(life);
    const calls = countedCalls(callLog);
    this.#calls.push(calls);
    if (life === 0) this.#confirmedBefore = this.#load?.history.totals.confirmed ?? 0;
    if (this.#options.harms[life] === undefined) return;
    const hit = calls.find((call) => call.hit);
    this.#hits.push(hit);
    if (hit === undefined) return;
    // Calls after the one that failed are written down, too, where there are any.
    const hitAt = Deno.statSync(callLog).mtime!.getTime();
    const words = Deno.readTextFileSync(`${this.#logs}/node-${life}.log`).trim().split("\n");
    this.#ends.push({ how, lastWords: words.at(-1)!, ms: endedAt - hitAt });
  }

  /** Starts the node once more: all messages are acked, and none of them may be there. */
  async #checkWhatIsLeft(history: History): Promise<void> {
    const life = this.#options.harms.length + this.#life;
    const node = this.#newNode(life);
    this.#node = node;
    try {
      await node.start();
      await using client = await this.#connect();
      const queue = client.queue(queueName);
      for await (const delivery of queue.consume({ drain: true })) {
        await delivery.ack();
        if (history.isComplete) {
          history.violation(`offset ${delivery.offset} came again in the end`);
        }
      }
      const { ready, leased, acked, published } = await queue.info();
      if (history.isComplete && (ready + leased > 0 || acked !== published)) {
        history.violation(
          `in the end ${published} are published, ${ready} ready, ${leased} leased, ${acked} acked`,
        );
      }
    } catch (error) {
      history.violation(`in the end: ${(error as Error).message}`);
    } finally {
      await node.stop();
      this.#calls.push(countedCalls(this.#callLog(life)));
    }
    const { findings } = verifyDataDirectory(
      denoFileSystem(),
      this.#data,
      (shard, state) => liveSetOf(decodeMachine(shard, state)),
    );
    for (const { path, offset, reason } of findings) {
      history.violation(`${path}, byte ${offset ?? "-"}: ${reason}`);
    }
  }
}
