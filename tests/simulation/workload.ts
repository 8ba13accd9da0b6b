/**
 * What the cluster is used for in a simulation: applications that publish and consume through the real
 * client, each in a process on a machine of its own.
 *
 * Applications are as careless as real ones: they ack late, twice or never, give messages back, close
 * consumers in the middle of things, crash and come back as somebody else. They report to the checker
 * what they asked for and what they were told, and judge nothing themselves.
 *
 * @module
 */

import {
  type Client,
  connect,
  ErrorCode,
  FlowMQError,
  QueueNotFoundError,
} from "../../client/mod.ts";
import type { MessageProperties } from "../../client/message_properties.ts";
import { deadLetterQueueOf, type QueueSettings } from "../../queue/mod.ts";
import type { SimulatedCluster } from "./cluster.ts";
import { consume } from "./consuming.ts";
import type { PublishRecord } from "./queue_checker.ts";
import type { Random } from "./random.ts";
import { publishNumbered } from "./named_producers.ts";
import { redrive } from "./redriver.ts";
import { keepSchedules } from "./scheduler.ts";
import { drawKeys, type WorkloadSettings } from "./workload_settings.ts";
import { Machine, type Process, type World } from "./world.ts";

/** How long a publish may take when all is well again, in virtual milliseconds. */
const LAST_WORDS_MS = 45_000;

const encoder = new TextEncoder();

/** All applications of a run. */
export class Workload {
  readonly cluster: SimulatedCluster;
  readonly settings: WorkloadSettings;
  readonly applications: Application[] = [];
  /** Publishers have stopped, and consumers work as they should. */
  diligent = false;
  readonly #random: Random;

  constructor(cluster: SimulatedCluster, settings: WorkloadSettings, random: Random) {
    this.cluster = cluster;
    this.settings = settings;
    this.#random = random;
    const add = (name: string, run: Role) => {
      const machine = new Machine(cluster.world, `10.0.1.${this.applications.length + 1}`);
      cluster.network.add(machine);
      this.applications.push(new Application(this, name, machine, random.fork(), run));
    };
    add("creator", createQueues);
    if (settings.managed) add("manager", manageQueues);
    for (let i = 0; i < settings.publishers; i++) add(`publisher-${i}`, publish);
    for (let i = 0; i < settings.consumers; i++) add(`consumer-${i}`, consume);
    for (let i = 0; i < settings.readers; i++) add(`reader-${i}`, read);
    for (let i = 0; i < settings.schedulers; i++) add(`scheduler-${i}`, keepSchedules);
    for (let i = 0; i < settings.producers; i++) add(`producer-${i}`, publishNumbered);
    for (let i = 0; i < settings.redrivers; i++) add(`redriver-${i}`, redrive);
  }

  get machines(): Machine[] {
    return this.applications.map(({ machine }) => machine);
  }

  start(): void {
    for (const application of this.applications) application.start();
  }

  /** Kills one application; another one takes its place after a while. */
  crashOne(): void {
    const application = this.#random.pick(this.applications.slice(1));
    const { world } = this.cluster;
    if (!application.alive) return;
    world.note(`FAULT ${application.name} crashes`);
    world.counters.add("fault: clients crashed");
    application.crash();
    world.timeline.after(this.#random.magnitude(10, 5_000), () => application.start());
  }

  /** Publishers end; consumers take what is left. */
  windDown(): void {
    this.diligent = true;
  }

  /**
   * Every publisher says one thing more to every queue. Nothing is broken any more but what others can
   * do without, so that it must arrive, whatever becomes of connections.
   *
   * @returns What was published.
   */
  lastWords(): PublishRecord[] {
    return this.applications.flatMap((application) => application.lastWords());
  }

  /** Whether no publisher waits for anything any more. */
  get published(): boolean {
    return this.applications.every(({ publishing }) => publishing === 0);
  }

  /** Ends all applications in an orderly way. */
  close(): void {
    for (const application of this.applications) application.close();
  }

  /** Whether all are closed. */
  get closed(): boolean {
    return this.applications.every(({ closed }) => closed);
  }
}

/** What an application does with its client. */
type Role = (application: Application, client: Client) => Promise<void>;

/** One application. */
export class Application {
  readonly workload: Workload;
  readonly name: string;
  readonly machine: Machine;
  readonly random: Random;
  readonly #run: Role;
  #lives = 0;
  #process: Process | undefined;
  #client: Client | undefined;
  /** Publishes that wait for their answer. */
  publishing = 0;
  closed = false;

  constructor(workload: Workload, name: string, machine: Machine, random: Random, run: Role) {
    this.workload = workload;
    this.name = name;
    this.machine = machine;
    this.random = random;
    this.#run = run;
  }

  get world(): World {
    return this.machine.world;
  }

  get alive(): boolean {
    return this.#process !== undefined;
  }

  /** The name of this life. */
  get lifeName(): string {
    return `${this.name}.${this.#lives}`;
  }

  start(): void {
    if (this.#process !== undefined || this.closed) return;
    this.#lives++;
    const process = this.#process = this.machine.spawn(this.lifeName, this.random.fork());
    this.#live(process).catch((error) => {
      this.world.violated("applications are told of failures", `${process.name}: ${error.stack}`);
    });
  }

  crash(): void {
    this.#process?.die("killed");
    this.#process = undefined;
    this.#client = undefined;
    // Nobody will ever tell it.
    for (const record of this.workload.cluster.queueChecker.publishes) {
      if (record.state === "underWay" && record.publisher === this.lifeName) {
        record.state = "maybeApplied";
      }
    }
    this.publishing = 0;
  }

  close(): void {
    if (this.closed) return;
    if (this.#client === undefined) {
      this.crash();
      this.closed = true;
      return;
    }
    void this.#client.close({ timeoutMs: 20_000 }).then(() => this.closed = true);
  }

  /** See {@linkcode Workload.lastWords}. */
  lastWords(): PublishRecord[] {
    const client = this.#client;
    if (client === undefined || this.#run !== publish) return [];
    const { settings, cluster: { queueChecker } } = this.workload;
    const names = settings.queues.map(({ name }) => name);
    return names.filter((name) => queueChecker.has(name)).map((name) => {
      const id = `${this.lifeName}-${name}-last`;
      const record = queueChecker.publishing(name, this.lifeName, Infinity, id);
      const receipt = client.queue(name).publish(`${id} `, { timeoutMs: LAST_WORDS_MS });
      void follow(this, [record], receipt.then((one) => [one]));
      return record;
    });
  }

  /** The time on the clock of its machine. */
  get nowMs(): number {
    return this.#process!.clock.now();
  }

  /** Lets time pass for this application. */
  sleep(ms: number): Promise<void> {
    const { clock } = this.#process!;
    return new Promise((resolve) => clock.setTimeout(resolve, ms));
  }

  async #live(process: Process): Promise<void> {
    const { cluster, settings } = this.workload;
    const { network } = cluster;
    const { clock, random } = process;
    const runtime = { clock, dialer: network.dialer(process), random: random.next };
    for (;;) {
      try {
        const servers = this.random.shuffle(cluster.servers);
        // So many that not all of them can be among the nodes that stay broken.
        const majority = Math.floor(servers.length / 2) + 1;
        const count = this.random.integer(majority, servers.length);
        const client = await connect(servers.slice(0, count), {
          name: process.name,
          runtime,
          requestTimeoutMs: settings.requestTimeoutMs,
          sessionTimeoutMs: settings.sessionTimeoutMs,
        });
        this.#client = client;
        return await this.#run(this, client);
      } catch (error) {
        if (this.closed) return;
        if (!(error instanceof FlowMQError)) throw error;
        this.world.counters.add(`client: failed with ${error.name}`);
        await this.sleep(this.random.between(10, 500));
      }
    }
  }
}

/** Makes the queues, and goes on making and listing some. */
async function createQueues(application: Application, client: Client): Promise<void> {
  const { reads } = application.workload.cluster.queueChecker;
  for (const { name, ...plan } of application.workload.settings.queues) {
    const queue = await client.createQueue(name, plan).catch((error) => {
      // A publisher was there first, and made it as queues are when nobody says how.
      if (error instanceof FlowMQError && error.code === ErrorCode.queueExists) return undefined;
      throw error;
    });
    if (queue !== undefined && queue.state !== "ready") {
      application.world.violated("a queue is ready when it is made", JSON.stringify(queue));
    }
  }
  for (let i = 0; !application.workload.diligent; i++) {
    const { random } = application;
    const name = `extra-${random.below(4)}`;
    try {
      const isThere = random.chance(0.7);
      const asked = reads.ask();
      if (isThere) await client.createQueue(name, { partitions: random.integer(1, 3) });
      else await client.deleteQueue(name);
      reads.toldOfQueue(asked, name, isThere);
      application.world.counters.add("client: extra queues made or deleted");
    } catch (error) {
      if (!(error instanceof FlowMQError)) throw error;
      application.world.counters.add(`client: extra queue: ${error.name} ${error.code}`);
    }
    await application.sleep(random.wait(2_000));
  }
}

/** No queue gets more partitions than so many. */
const PARTITIONS_MAX = 8;

/** So often acked messages are brought back in a run: each time there are more of them. */
const REPLAYS_MAX = 6;

/** Changes, pauses, resumes and purges queues, and removes messages. In the end none stays paused. */
async function manageQueues(application: Application, client: Client): Promise<void> {
  const { random, workload, world } = application;
  const { settings, cluster: { queueChecker } } = workload;
  const own = settings.queues.map(({ name }) => name);
  const names = [...own, ...own.map(deadLetterQueueOf), "extra-0", "extra-1"];
  let replays = 0;
  while (!application.closed) {
    // Again and again, as an old request to pause one may come late.
    const what = workload.diligent ? "resume" : random.pick([
      "edit",
      "pause",
      "resume",
      "resume",
      "purge",
      "remove",
      "remove",
      "remove",
      "replay",
      "grow",
    ]);
    for (const name of workload.diligent ? names : [random.pick(names)]) {
      const queue = client.queue(name);
      try {
        if (what === "pause") await queue.pause();
        else if (what === "resume") await queue.resume();
        else if (what === "purge") await queue.purge();
        else if (what === "remove") await removeOne(application, client);
        else if (what === "grow") {
          const info = (await client.queues()).find((one) => one.name === name);
          const more = (info?.partitions.length ?? Infinity) + random.integer(1, 3);
          if (!own.includes(name) || more > PARTITIONS_MAX) continue;
          queueChecker.edited(await client.editQueue(name, { partitions: more }));
        } else if (what === "replay") {
          if (++replays > REPLAYS_MAX) continue;
          const since = application.nowMs - random.magnitude(100, 60_000);
          const { count } = await queue.replay({ since });
          world.counters.add("client: messages replayed", count);
        } else {
          const change = random.pick<Partial<QueueSettings>>([
            { leaseMs: Math.round(random.magnitude(500, 30_000)) },
            { maxMessages: random.pick([0, 5, 100]) },
            { maxBytes: random.pick([0, 1_000, 50_000]) },
            { maxDeliveries: random.pick([0, 2, 5]) },
            { ttlMs: random.pick([0, 0, 5_000]), deadLetterExpired: random.chance(0.5) },
            { starvationLimit: random.pick([0, 3]) },
            drawKeys(random),
            { historyMs: random.pick([0, 1_000, 30_000]) },
          ]);
          queueChecker.edited(await client.editQueue(name, change));
        }
        world.counters.add(`client: queues managed: ${what}`);
      } catch (error) {
        if (!(error instanceof FlowMQError)) throw error;
        world.counters.add(`client: ${what}: ${error.name} ${error.code}`);
      }
    }
    await application.sleep(random.wait(settings.managePauseMs));
  }
}

/** Removes a message that somebody has a receipt of, most often one of the newest. */
async function removeOne({ random, workload, world }: Application, client: Client): Promise<void> {
  const { queueChecker } = workload.cluster;
  const confirmed = queueChecker.publishes.filter(({ place }) => place !== undefined);
  if (confirmed.length === 0) return;
  const back = Math.floor(random.magnitude(1, confirmed.length + 1));
  const { id, queue, place } = confirmed.at(-back)!;
  const removal = await client.removeMessage({ queue, ...place! });
  queueChecker.removed(queue, { ...place!, id });
  world.counters.add(`client: messages removed: ${removal}`);
}

/** Reads how many messages there are, and which queues. */
async function read(application: Application, client: Client): Promise<void> {
  const { random, workload, world } = application;
  const { settings, cluster: { queueChecker: { reads } } } = workload;
  const names = [...settings.queues.map(({ name }) => name), "extra-0"];
  while (!application.closed) {
    const name = random.pick(names);
    const asked = reads.ask();
    try {
      if (random.chance(0.2)) reads.gotList(asked, await client.queues());
      else reads.gotReport(asked, await client.queue(name).info());
    } catch (error) {
      if (!(error instanceof FlowMQError)) throw error;
      if (error instanceof QueueNotFoundError) reads.gotNotFound(asked, name);
      else world.counters.add(`client: read: ${error.name} ${error.code}`);
    }
    await application.sleep(random.wait(settings.readPauseMs));
  }
}

/** Publishes until told to stop. */
async function publish(application: Application, client: Client): Promise<void> {
  const { random, workload } = application;
  const { settings } = workload;
  const { queueChecker } = workload.cluster;
  const underWayMax = random.pick([1, 10, 1_000]);
  const counts = new Map<string, number>();
  const publisher = application.lifeName;
  const next = (queue: string) => {
    const number = counts.get(queue) ?? 0;
    counts.set(queue, number + 1);
    const id = `${publisher}-${queue}-${number}`;
    const padding = " ".repeat(1 + random.below(settings.bodyBytesMax));
    const asked = ask(application);
    const record = queueChecker.publishing(queue, publisher, number, id, asked);
    const body = random.chance(0.5) ? id + padding : encoder.encode(id + padding);
    return { record, message: { body, ...asked } };
  };
  while (!workload.diligent) {
    if (application.publishing < underWayMax) {
      const queue = client.queue(random.pick(settings.queues).name);
      const count = random.integer(1, settings.batchMax);
      if (random.chance(0.3)) {
        const batch = Array.from({ length: count }, () => next(queue.name));
        void follow(
          application,
          batch.map(({ record }) => record),
          queue.publishBatch(batch.map(({ message }) => message), { create: settings.create }),
        );
      } else {
        for (let i = 0; i < count; i++) {
          const { record, message: { body, ...rest } } = next(queue.name);
          const options = { ...rest, create: settings.create };
          void follow(application, [record], queue.publish(body, options).then((one) => [one]));
        }
      }
    }
    await application.sleep(random.wait(settings.publishPauseMs));
  }
}

/** Decides what a message is published with. */
export function ask({ random, workload }: Application): MessageProperties {
  const { asks } = workload.settings;
  const delayMs = random.chance(asks.delay) ? Math.round(random.magnitude(1, asks.delayMsMax)) : 0;
  // Nothing may expire before it is due.
  const ttlMs = random.chance(asks.ttl)
    ? delayMs + Math.round(random.between(1, asks.ttlMsMax))
    : 0;
  return {
    ...(random.chance(asks.key) ? { key: `key-${random.below(5)}` } : {}),
    ...(random.chance(asks.unique) ? { unique: `unique-${random.below(asks.uniques)}` } : {}),
    ...(random.chance(asks.priority) ? { priority: random.below(10) } : {}),
    ...(delayMs > 0 ? { delayMs } : {}),
    ...(ttlMs > 0 ? { ttlMs } : {}),
  };
}

/** Reports what became of a publish. */
export async function follow(
  application: Application,
  records: readonly PublishRecord[],
  receipts: ReturnType<ReturnType<Client["queue"]>["publishBatch"]>,
): Promise<void> {
  const { queueChecker } = application.workload.cluster;
  application.publishing++;
  try {
    const places = await receipts;
    records.forEach((record, i) => queueChecker.confirmed(record, places[i]!));
  } catch (error) {
    if (!(error instanceof FlowMQError)) throw error;
    application.world.counters.add(`client: publish: ${error.name} ${error.code}`);
    // Of several, some may be stored whatever the error says.
    const maybeApplied = error.maybeApplied || records.length > 1;
    for (const record of records) queueChecker.refused(record, maybeApplied);
  }
  application.publishing--;
}
