/**
 * Lets any node serve any client: a request for a shard that another node leads travels there over the
 * peer stream, as the client sent it, and the answers come back the same way.
 *
 * The node the client is connected to numbers its connections and wraps their frames; the leader sees
 * a {@linkcode RelayedLink} like any other client. Neither looks into the frames. Numbers begin at a
 * random place, so that a node that has restarted does not mistake an answer to an old connection for
 * one of its own.
 *
 * A relay ends with the connection, or with the peer stream: then the client's connection is closed,
 * and the client, which cannot know what was lost, connects and attaches anew.
 *
 * @module
 */

import type { NodeId } from "../raft/mod.ts";
import { encodeRelayClose, encodeRelayHead, type Frame } from "../wire/mod.ts";
import type { ClientLink } from "./client_link.ts";
import type { PeerNetwork } from "./peer_network.ts";

/** With more than this under way to a node, clients are told to go there themselves. */
const WAITING_BYTES_MAX = 16 << 20;

const nobody: ReadonlySet<NodeId> = new Set();

/** A client connected to another node, which relays its frames. */
export class RelayedLink implements ClientLink {
  readonly name: string;
  readonly relayed = true;
  closed = false;
  readonly #peers: PeerNetwork;
  readonly #node: NodeId;
  readonly #connectionId: number;
  readonly #ended: () => void;

  /** @param ended Told when an answer could not be sent. */
  constructor(peers: PeerNetwork, node: NodeId, connectionId: number, ended: () => void) {
    this.name = `node ${node} #${connectionId}`;
    this.#peers = peers;
    this.#node = node;
    this.#connectionId = connectionId;
    this.#ended = ended;
  }

  get waitingBytes(): number {
    return this.#peers.waitingBytes(this.#node);
  }

  drained(): Promise<void> {
    return this.#peers.flushed(this.#node);
  }

  send(head: Uint8Array, body?: Uint8Array): void {
    if (this.closed) return;
    const length = head.length + (body?.length ?? 0);
    const address = { connectionId: this.#connectionId, toLeader: false };
    const parts = [encodeRelayHead(address, length), head];
    if (body !== undefined) parts.push(body);
    if (this.#peers.sendRelay(this.#node, parts)) return;
    // The way back is not up: the client must not wait for answers that cannot come.
    this.#ended();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    const address = { connectionId: this.#connectionId, toLeader: false };
    this.#peers.sendRelay(this.#node, [encodeRelayClose(address)]);
  }
}

/** The clients that other nodes relay to this one. */
export class RelayInbox {
  readonly #peers: PeerNetwork;
  readonly #closed: (link: ClientLink) => void;
  readonly #links = new Map<NodeId, Map<number, RelayedLink>>();

  /** @param closed Told when a relayed client has gone. */
  constructor(peers: PeerNetwork, closed: (link: ClientLink) => void) {
    this.#peers = peers;
    this.#closed = closed;
  }

  /** The link of a client, made with its first frame. */
  link(node: NodeId, connectionId: number): RelayedLink {
    let links = this.#links.get(node);
    if (links === undefined) this.#links.set(node, links = new Map());
    let link = links.get(connectionId);
    if (link === undefined) {
      const ended = () => this.end(node, connectionId);
      links.set(connectionId, link = new RelayedLink(this.#peers, node, connectionId, ended));
    }
    return link;
  }

  /** The client has closed its connection to `node`. */
  end(node: NodeId, connectionId: number): void {
    const link = this.#links.get(node)?.get(connectionId);
    if (link === undefined) return;
    this.#links.get(node)!.delete(connectionId);
    link.closed = true;
    this.#closed(link);
  }

  /** The stream from or to `node` broke: all its clients start over. */
  endAll(node: NodeId): void {
    const links = this.#links.get(node);
    if (links === undefined) return;
    this.#links.delete(node);
    for (const link of links.values()) {
      link.closed = true;
      this.#closed(link);
    }
  }
}

/** The clients of this node whose requests go to others. */
export class RelayOutbox {
  readonly #peers: PeerNetwork;
  #nextId: number;
  readonly #idOf = new Map<ClientLink, number>();
  readonly #linkOf = new Map<number, ClientLink>();
  /** Where each client's frames have gone, by shard. */
  readonly #nodesOf = new Map<ClientLink, Map<number, NodeId>>();

  constructor(peers: PeerNetwork, random: () => number) {
    this.#peers = peers;
    this.#nextId = 1 + Math.floor(random() * 2 ** 48);
  }

  /**
   * Sends a client's frame to the node that leads its shard.
   *
   * @param frame The frame, which says which shard it is for.
   * @returns Whether there is a stream to that node, and one back.
   */
  forward(link: ClientLink, to: NodeId, frame: Frame): boolean {
    if (!this.#peers.connected(to) || this.#peers.waitingBytes(to) > WAITING_BYTES_MAX) {
      return false;
    }
    // Answers come on the stream that the other node dials. Where there is none, theirs would be lost, and
    // nothing would ever end the wait for them: there is no stream to break.
    if (!this.#peers.heard(to)) return false;
    let id = this.#idOf.get(link);
    if (id === undefined) {
      id = this.#nextId++;
      this.#idOf.set(link, id);
      this.#linkOf.set(id, link);
      this.#nodesOf.set(link, new Map());
    }
    this.#nodesOf.get(link)!.set(frame.shard, to);
    const { bytes } = frame;
    const head = encodeRelayHead({ connectionId: id, toLeader: true }, bytes.length);
    return this.#peers.sendRelay(to, [head, bytes]);
  }

  /** The nodes that clients of ours are relayed to. */
  nodes(): ReadonlySet<NodeId> {
    if (this.#nodesOf.size === 0) return nobody;
    return new Set([...this.#nodesOf.values()].flatMap((nodes) => [...nodes.values()]));
  }

  /** An answer for one of our clients. */
  answer(connectionId: number, frame: Uint8Array): void {
    this.#linkOf.get(connectionId)?.send(frame);
  }

  /** The leader ended a relay: so does the client's connection. */
  closeLink(connectionId: number): void {
    this.#linkOf.get(connectionId)?.close();
  }

  /** A client of ours has gone: the nodes that serve it are told. */
  linkClosed(link: ClientLink): void {
    const id = this.#idOf.get(link);
    if (id === undefined) return;
    const end = encodeRelayClose({ connectionId: id, toLeader: true });
    for (const node of new Set(this.#nodesOf.get(link)!.values())) {
      this.#peers.sendRelay(node, [end]);
    }
    this.#idOf.delete(link);
    this.#linkOf.delete(id);
    this.#nodesOf.delete(link);
  }

  /** The stream to or from `node` broke: clients that relied on it start over. */
  closeAll(node: NodeId): void {
    this.#closeWhere((nodes) => [...nodes.values()].includes(node));
  }

  /**
   * Another node leads the shard now. The one before may have fallen silent, and would leave its
   * clients waiting for ever: those that rely on it start over.
   */
  leaderMoved(shard: number, leader: NodeId): void {
    this.#closeWhere((nodes) => (nodes.get(shard) ?? leader) !== leader);
  }

  #closeWhere(test: (nodes: ReadonlyMap<number, NodeId>) => boolean): void {
    for (const [link, nodes] of [...this.#nodesOf]) {
      if (!test(nodes)) continue;
      link.close();
      this.linkClosed(link);
    }
  }
}
