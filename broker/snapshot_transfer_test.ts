/**
 * Transfers of snapshots between two stores, with a test in the place of the network: frames are held,
 * lost, or damaged as it likes.
 */

import { assert, assertEquals } from "@std/assert";
import type { InstallSnapshot } from "../raft/mod.ts";
import { queueSettings, ShardMachine } from "../queue/mod.ts";
import { denoFileSystem, IndexSet, ShardStore, type StagedShard } from "../storage/mod.ts";
import {
  concatBytes,
  decodeFrame,
  decodeSnapshotAbort,
  decodeSnapshotAck,
  decodeSnapshotBegin,
  decodeSnapshotChunk,
  PeerFrameType,
} from "../wire/mod.ts";
import { denoClientRuntime } from "../client/deno_runtime.ts";
import { silentLogger } from "./logger.ts";
import { liveSetOf } from "./live_set.ts";
import { encodeMachine } from "./machine_codec.ts";
import type { Shard } from "./shard.ts";
import { SnapshotReceiver } from "./snapshot_receiver.ts";
import { SnapshotSender } from "./snapshot_sender.ts";

const { clock } = denoClientRuntime();
const configuration = {
  voters: [1, 2],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};
const SNAPSHOT_INDEX = 1_000;
const NEEDED_INDEX = 400;

/** Of three entries from the one that is needed on, one has a message. */
function machineWithMessages(): ShardMachine {
  const machine = new ShardMachine({ shard: 0 });
  const metaAt = (index: number) => ({ index, term: 1, timestampMs: 1 });
  const settings = queueSettings();
  const identity = { queueId: 1, queueName: "q", partitionNumber: 0, settings };
  const clientName = "x".repeat(200);
  machine.apply(metaAt(6), { kind: "createPartition", partitionId: 5, ...identity });
  machine.apply(metaAt(7), { kind: "openSession", timeoutMs: 9_000, clientName });
  const message = { kind: "publish", sessionId: 7, partitionId: 5, count: 1, bytes: 1 } as const;
  for (let index = NEEDED_INDEX, baseSequence = 0; index <= SNAPSHOT_INDEX; index += 3) {
    machine.apply(metaAt(index), { ...message, baseSequence: baseSequence++ });
  }
  return machine;
}

/** A leader with a snapshot, a follower without anything, and the frames between them. */
class Pair implements AsyncDisposable {
  readonly directory = Deno.makeTempDirSync();
  leaderStore!: ShardStore;
  followerStore!: ShardStore;
  sender!: SnapshotSender;
  receiver!: SnapshotReceiver;
  message!: InstallSnapshot;
  /** What the sender reported to the leader's core. */
  readonly outcomes: boolean[] = [];
  arrived: { staged: StagedShard; machine: ShardMachine } | undefined;
  readonly chunkPositions: number[] = [];
  readonly ackPositions: number[] = [];
  /** Most chunks that were not acked at a time. */
  underWayMax = 0;
  /** Told of each chunk before it is delivered: whether it is, and it may be changed. */
  onChunk: (frame: Uint8Array, number: number) => boolean = () => true;
  connected = true;
  readonly #leader: Shard;
  readonly #follower: Shard;

  constructor() {
    // Of a shard, transfers use no more than this.
    this.#leader = {
      id: 0,
      leading: true,
      snapshotSent: (_to: number, delivered: boolean) => void this.outcomes.push(delivered),
    } as unknown as Shard;
    this.#follower = {
      id: 0,
      coversSnapshot: () => this.arrived !== undefined,
      step: () => {},
      snapshotArrived: (_: InstallSnapshot, staged: StagedShard, machine: ShardMachine) => {
        this.arrived = { staged, machine };
      },
    } as unknown as Shard;
  }

  async open(): Promise<this> {
    const files = denoFileSystem();
    const options = { shard: 0, replica: 1, configuration, segmentBytesMax: 400_000 };
    this.leaderStore = await ShardStore.open(files, `${this.directory}/1`, options);
    this.followerStore = await ShardStore.open(files, `${this.directory}/2`, options);
    const entries = Array.from({ length: SNAPSHOT_INDEX + 10 }, (_, i) => {
      return { index: i + 1, term: 1, kind: 0, data: new Uint8Array(20_000).fill(i) } as const;
    });
    await this.leaderStore.persist({ term: 1, vote: 1, commit: 0 }, entries);
    const metadata = { index: SNAPSHOT_INDEX, term: 1, configuration };
    const writer = this.leaderStore.beginSnapshot({ ...metadata, neededIndex: NEEDED_INDEX });
    const machine = machineWithMessages();
    for (const part of encodeMachine(machine.capture().parts())) writer.write(part);
    assert(await writer.finish(liveSetOf(machine), () => Promise.resolve()));
    const snapshot = { metadata, data: new Uint8Array(0) };
    this.message = { kind: "installSnapshot", from: 1, to: 2, term: 1, snapshot };
    Object.assign(this.#leader, { store: this.leaderStore });
    Object.assign(this.#follower, { store: this.followerStore });
    const fail = (error: Error) => {
      throw error;
    };
    const host = { clock, log: silentLogger, chunkBytes: 256 << 10, fail };
    this.sender = new SnapshotSender({ ...host, send: (_, parts) => this.#toFollower(parts) });
    this.receiver = new SnapshotReceiver({ ...host, send: (_, parts) => this.#toLeader(parts) });
    return this;
  }

  /** The leader's core wants a snapshot sent. @returns What became of it. */
  async send(): Promise<boolean> {
    const before = this.outcomes.length;
    this.sender.begin(this.#leader, this.message);
    while (this.outcomes.length === before) await new Promise((resolve) => setTimeout(resolve, 1));
    return this.outcomes.at(-1)!;
  }

  /** The connection breaks: what is under way is lost. */
  disconnect(): void {
    this.connected = false;
    queueMicrotask(() => {
      this.sender.lost(2);
      this.receiver.lost(1);
      this.connected = true;
    });
  }

  #toFollower(parts: readonly Uint8Array[]): boolean {
    if (!this.connected) return false;
    const bytes = concatBytes([...parts]);
    const { type, payload } = decodeFrame(bytes);
    if (type === PeerFrameType.snapshotBegin) {
      this.#later(() => this.receiver.begin(1, this.#follower, decodeSnapshotBegin(payload)));
      return true;
    }
    const chunk = decodeSnapshotChunk(payload);
    this.chunkPositions.push(chunk.position);
    const underWay = this.chunkPositions.length - this.ackPositions.length + 1;
    this.underWayMax = Math.max(this.underWayMax, underWay);
    if (!this.onChunk(payload, this.chunkPositions.length)) return true;
    this.#later(() => this.receiver.chunk(1, this.#follower, chunk));
    return true;
  }

  #toLeader(parts: readonly Uint8Array[]): boolean {
    if (!this.connected) return false;
    const { type, payload } = decodeFrame(concatBytes([...parts]));
    if (type === PeerFrameType.snapshotAbort) {
      this.#later(() => this.sender.aborted(2, decodeSnapshotAbort(payload)));
    } else {
      this.ackPositions.push(decodeSnapshotAck(payload).position);
      this.#later(() => this.sender.acknowledged(2, decodeSnapshotAck(payload)));
    }
    return true;
  }

  #later(work: () => void): void {
    queueMicrotask(() => {
      if (this.connected) work();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.sender.close();
    this.receiver.close();
    this.arrived?.staged.abandon();
    await this.leaderStore.close();
    await this.followerStore.close();
    Deno.removeSync(this.directory, { recursive: true });
  }
}

function checkArrived({ arrived, leaderStore, followerStore }: Pair): void {
  const { log, stored, held } = arrived!.staged;
  assertEquals([log.firstIndex, log.lastIndex], [SNAPSHOT_INDEX + 1, SNAPSHOT_INDEX]);
  assertEquals(stored?.index, SNAPSHOT_INDEX);
  assertEquals(arrived!.machine.sessions().length, 1);
  assertEquals([held.size, held.has(778), held.has(779)], [201, true, false]);
  void followerStore.installSnapshot({ term: 1, vote: 0, commit: 0 }, arrived!.staged);
  assertEquals(followerStore.reachIndex, NEEDED_INDEX);
  for (const index of held.from(0)) {
    assertEquals(followerStore.entry(index).data, leaderStore.entry(index).data);
  }
}

Deno.test("a snapshot and its log arrive as they were, few chunks at a time", async () => {
  await using pair = await new Pair().open();
  assertEquals(await pair.send(), true);
  checkArrived(pair);
  assert(pair.chunkPositions.length > 10);
  assertEquals(pair.underWayMax, 4);
  assertEquals(await pair.send(), true, "who has it all says so at once");
});

Deno.test("a snapshot goes on where the connection broke, and nothing is sent twice", async () => {
  await using pair = await new Pair().open();
  pair.onChunk = (_, number) => {
    if (number === 8) pair.disconnect();
    return number !== 8;
  };
  assertEquals(await pair.send(), false);
  const sent = pair.chunkPositions.length;
  const acked = pair.ackPositions.at(-1)!;
  assert(acked > 0);
  assertEquals(await pair.send(), true);
  checkArrived(pair);
  assert(pair.chunkPositions[sent]! >= acked, `${pair.chunkPositions[sent]}, after ${acked}`);
});

Deno.test("a snapshot that is damaged on its way is refused, and comes well the next time", async () => {
  await using pair = await new Pair().open();
  for (const damaged of [1, 5]) {
    pair.chunkPositions.length = 0;
    pair.onChunk = (payload, number) => {
      if (number === damaged) payload[60]! ^= 1;
      return true;
    };
    assertEquals(await pair.send(), false, `chunk ${damaged}`);
    assertEquals(pair.arrived, undefined);
  }
  pair.onChunk = () => true;
  assertEquals(await pair.send(), true);
  checkArrived(pair);
});

Deno.test("what a snapshot needs stays on disk until its transfer is over", async () => {
  await using pair = await new Pair().open();
  let compacted = false;
  pair.onChunk = (_, number) => {
    if (number === 3 && !compacted) {
      compacted = true;
      void compactBehind(pair.leaderStore, SNAPSHOT_INDEX + 5);
    }
    return true;
  };
  assertEquals(await pair.send(), true);
  checkArrived(pair);
  await pair.leaderStore.compact(SNAPSHOT_INDEX);
  assert(pair.leaderStore.firstIndex() > NEEDED_INDEX);
});

async function compactBehind(store: ShardStore, index: number): Promise<void> {
  const writer = store.beginSnapshot({ index, term: 1, configuration, neededIndex: index + 1 });
  writer.write(new Uint8Array(10));
  await writer.finish(new IndexSet(), () => Promise.resolve());
  await store.compact(index);
  await store.rewriteSegments(index, {
    pace: () => Promise.resolve(),
    spareBytesMax: 0,
    isOver: () => false,
    done: () => assert(false, "nothing is rewritten that a pinned snapshot may need"),
  });
}
