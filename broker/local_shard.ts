/**
 * A shard together with what only its leader needs: which client is attached where, and the deliveries
 * that go out at the end of a turn.
 *
 * @module
 */

import type { Clock } from "../client/runtime.ts";
import type { Effects } from "../queue/mod.ts";
import {
  encodeConsumerEnded,
  encodeQueueGrown,
  encodeSessionEnded,
  type HeldDelivery,
} from "../wire/mod.ts";
import { type ClientLink, SessionBindings } from "./client_link.ts";
import { DeliverySender } from "./delivery_sender.ts";
import { FlowMeter } from "./flow_meter.ts";
import type { Shard } from "./shard.ts";

/** The serving side of one shard on this node. */
export class LocalShard {
  readonly shard: Shard;
  readonly bindings = new SessionBindings();
  readonly deliveries: DeliverySender;
  /** How fast messages go through, while this node leads. */
  readonly flow: FlowMeter;
  #leading = false;

  constructor(shard: Shard, clock: Clock) {
    this.shard = shard;
    this.flow = new FlowMeter(clock);
    this.deliveries = new DeliverySender(shard, this.bindings);
  }

  /** A tick of Raft's clock. */
  tick(): void {
    this.shard.tick();
    if (this.#leading) this.flow.check(this.shard.machine);
  }

  /** Carries out the effects of one command. */
  carryOut(effects: Effects): void {
    if (effects.deliveries.count > 0) this.deliveries.add(effects.deliveries);
    for (const { sessionId, consumerId, partitionId } of effects.drained) {
      this.deliveries.drained(sessionId, consumerId, partitionId);
    }
    for (const { sessionId, consumerId, partitionId } of effects.consumersEnded) {
      const link = this.bindings.link(sessionId);
      link?.send(
        encodeConsumerEnded(this.shard.id, { consumerId, partitionId, reason: "queueDeleted" }),
      );
    }
    for (const { sessionId, consumerId, partitionId } of effects.queuesGrown) {
      this.tellIfGrown(sessionId, consumerId, partitionId, 0);
    }
    for (const { sessionId } of effects.sessionsEnded) this.#endSession(sessionId, "timedOut");
  }

  /** Tells a client that knows fewer partitions of its queue than there are. */
  tellIfGrown(
    sessionId: number,
    consumerId: number,
    partitionId: number,
    known: number | undefined,
  ): void {
    const partitionCount = this.shard.machine.partition(partitionId)?.settings.partitions;
    if (known === undefined || partitionCount === undefined || known >= partitionCount) return;
    const grown = { consumerId, partitionId, partitionCount };
    this.bindings.link(sessionId)?.send(encodeQueueGrown(this.shard.id, grown));
  }

  /** Sends what a consumer that has attached (again) should hold and does not. */
  deliverMissing(
    sessionId: number,
    consumerId: number,
    partitionId: number,
    held: readonly HeldDelivery[],
  ): void {
    const has = new Map(held.map((one) => [one.offset, one.deliveryCount]));
    // What attaching itself let out follows as an effect of the same command.
    const { deliveries } = this.shard.machine.effects;
    for (let i = 0; i < deliveries.count; i++) {
      if (
        deliveries.sessionId[i] === sessionId && deliveries.consumerId[i] === consumerId &&
        deliveries.partitionId[i] === partitionId
      ) has.set(deliveries.offset[i]!, deliveries.deliveryCount[i]!);
    }
    for (const lease of this.shard.machine.leases(sessionId, consumerId, partitionId)) {
      if (has.get(lease.offset) === lease.deliveryCount) continue;
      this.deliveries.addOne(sessionId, consumerId, partitionId, lease);
    }
  }

  /** Leadership came or went: the sessions of a deposed leader have to look for the new one. */
  leaderChanged(): void {
    if (this.#leading === this.shard.leading) return;
    this.#leading = this.shard.leading;
    if (this.#leading) return this.flow.begin(this.shard.machine);
    this.deliveries.clear();
    for (const [sessionId, link] of this.bindings.clear()) {
      link.send(encodeSessionEnded(this.shard.id, { sessionId, reason: "leaderChanged" }));
    }
  }

  /**
   * A session was attached over a link, which serves it from now on. A link that had it before and is
   * still there is told: if its client is alive after all, it attaches again.
   *
   * @param attachIndex The log index of the command that attached it.
   */
  bind(sessionId: number, link: ClientLink, attachIndex: number): void {
    this.deliveries.forget(sessionId);
    // The client may have left while its request was under way.
    const previous = link.closed
      ? this.bindings.link(sessionId)
      : this.bindings.bind(sessionId, link, attachIndex);
    if (link.closed) this.shard.proposeCommand({ kind: "detachSession", sessionId, attachIndex });
    const reason = "attachedElsewhere";
    previous?.send(encodeSessionEnded(this.shard.id, { sessionId, reason }));
  }

  /** A client has gone: its sessions' time-outs start. */
  linkClosed(link: ClientLink): void {
    for (const { sessionId, attachIndex } of this.bindings.releaseLink(link)) {
      this.shard.proposeCommand({ kind: "detachSession", sessionId, attachIndex });
    }
  }

  #endSession(sessionId: number, reason: "timedOut"): void {
    const link = this.bindings.link(sessionId);
    if (link === undefined) return;
    this.bindings.release(sessionId);
    link.send(encodeSessionEnded(this.shard.id, { sessionId, reason }));
  }
}
