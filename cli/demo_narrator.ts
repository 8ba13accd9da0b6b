/**
 * The demo in words, for a person who watches.
 *
 * @module
 */

import type { DemoCounts, DemoListener, DemoResult } from "./demo_run.ts";
import { formatCount, formatMany, formatMs } from "./format.ts";
import type { LocalCluster } from "./local_cluster.ts";
import { ProgressLine } from "./progress.ts";
import type { Output } from "./terminal.ts";

const indent = "     ";

/** Tells what happens. */
export class DemoNarrator implements DemoListener {
  readonly #out: Output;
  readonly #progress: ProgressLine;
  readonly #total: number;
  readonly #what: string;
  #step = 0;

  /**
   * Makes a narrator.
   *
   * @param out Where the story goes.
   * @param total How many messages there are.
   * @param what What the messages are, such as `lines of the MIT licence`.
   */
  constructor(out: Output, total: number, what: string) {
    this.#out = out;
    this.#progress = new ProgressLine(out);
    this.#total = total;
    this.#what = what;
  }

  /** Says what is going to be seen. */
  begin(nodes: number): void {
    const { bold, dim } = this.#out.paint;
    this.#out.line("");
    this.#out.line(
      `${bold("FlowMQ")} ${dim(`${nodes} nodes, a publisher, two consumers, and a kill -9`)}`,
    );
  }

  started(cluster: LocalCluster, ms: number): void {
    this.#head(`${formatMany(cluster.nodes.length, "node")} started in ${formatMs(ms)}`);
    for (const node of cluster.nodes) {
      this.#say(
        `node ${node.id}  ${node.clientAddress}  ${this.#out.paint.dim(`process ${node.pid}`)}`,
      );
    }
  }

  leading(nodeId: number, term: number): void {
    this.#say(`node ${nodeId} leads ${this.#out.paint.dim(`(term ${term})`)}`);
    this.#head(
      `Publishing ${formatCount(this.#total)} ${this.#what}; two consumers take turns`,
    );
  }

  progress(counts: DemoCounts): void {
    this.#progress.update(() => {
      const width = 24;
      const filled = Math.round(counts.confirmed / this.#total * width);
      const bar = "█".repeat(filled) + "░".repeat(width - filled);
      return `${indent}${bar} ${formatCount(counts.confirmed)} confirmed, ` +
        `${formatCount(counts.acked)} acked`;
    });
  }

  killed(nodeId: number, counts: DemoCounts): void {
    const { bold, red } = this.#out.paint;
    this.#head(
      `${red(bold(`kill -9 node ${nodeId}`))}, the leader, after ` +
        `${formatCount(counts.confirmed)} confirmed messages`,
    );
  }

  elected(nodeId: number, term: number, ms: number): void {
    this.#say(
      `node ${nodeId} leads ${this.#out.paint.dim(`(term ${term})`)}, elected ${formatMs(ms)} ` +
        "after the kill",
    );
  }

  paused(ms: number): void {
    this.#say(`publishing paused for ${this.#out.paint.bold(formatMs(ms))}`);
  }

  restarted(nodeId: number, ms: number, entriesBehind: number): void {
    this.#head(`Node ${nodeId} started again, ready after ${formatMs(ms)}`);
    this.#say(`${formatMany(entriesBehind, "log entry", "log entries")} behind`);
  }

  caughtUp(nodeId: number, ms: number): void {
    this.#say(`node ${nodeId} has caught up, ${formatMs(ms)} after its start`);
    this.#head("The rest of the messages");
  }

  /** Draws the conclusion. */
  end(result: DemoResult): void {
    const { bold, dim, green, red } = this.#out.paint;
    const { verdict, consumers, failure, directory } = result;
    this.#head("Verdict");
    const shares = consumers.map((count, i) => `consumer ${i + 1}: ${formatCount(count)}`);
    const rows: [string, number, string, boolean?][] = [
      ["published", verdict.published, `in ${formatMs(result.seconds * 1_000)}`],
      ["confirmed", verdict.confirmed, "on the disks of a majority"],
      ["delivered", verdict.delivered, shares.join(", ")],
      ["redelivered", verdict.redelivered, "before their ack: allowed"],
      ["acked", verdict.acked, ""],
      ["lost", verdict.lost, "confirmed and never delivered", verdict.lost === 0],
      [
        "duplicated",
        verdict.duplicated,
        "delivered again after their ack",
        verdict.duplicated === 0,
      ],
      ["corrupted", verdict.corrupted, "not what was published", verdict.corrupted === 0],
    ];
    const width = Math.max(...rows.map(([, count]) => formatCount(count).length));
    for (const [name, count, note, good] of rows) {
      const figure = formatCount(count).padStart(width);
      const mark = good === undefined ? " " : good ? green("✓") : red("✗");
      this.#say(`${name.padEnd(11)} ${bold(figure)} ${mark} ${dim(note)}`.trimEnd());
    }
    this.#out.line("");
    if (failure !== undefined) this.#say(red(failure));
    if (directory !== undefined) this.#say(`data and logs of the nodes are in ${directory}`);
    this.#say(
      verdict.ok
        ? green(bold("Nothing lost, nothing acked came twice."))
        : red(bold("The queue did not keep its promises.")),
    );
    this.#out.line("");
  }

  #head(text: string): void {
    this.#progress.clear();
    this.#step++;
    this.#out.line("");
    this.#out.line(`  ${this.#out.paint.cyan(String(this.#step))}  ${text}`);
  }

  #say(text: string): void {
    this.#progress.clear();
    this.#out.line(indent + text);
  }
}
