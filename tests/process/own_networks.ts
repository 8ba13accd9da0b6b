/**
 * Nodes with network interfaces of their own, on one bridge, as if on machines of their own: a cable can be
 * pulled. Nobody is told then; what is sent is lost in silence, as between machines whose switch has died.
 *
 * Takes Linux, root, and the `ip` program.
 *
 * @module
 */

import type { LocalNodeSettings } from "../../cli/local_node.ts";
import type { NodePorts } from "../../cli/ports.ts";

/** Networks on one bridge, until they are disposed of. */
export class OwnNetworks implements AsyncDisposable {
  /** Where each node listens. */
  readonly hosts: readonly string[];
  readonly ports: readonly NodePorts[];
  readonly #name: string;

  private constructor(name: string, subnet: string, count: number) {
    this.#name = name;
    this.hosts = Array.from({ length: count }, (_, i) => `${subnet}.${i + 1}`);
    this.ports = this.hosts.map(() => ({ client: 7400, peer: 7402 }));
  }

  /**
   * Makes the networks.
   *
   * @param count How many nodes there are.
   * @returns The networks; this process is on the bridge, and reaches all of them.
   * @throws {Error} If that cannot be done here.
   */
  static async make(count: number): Promise<OwnNetworks> {
    const tag = Math.floor(Math.random() * 0x10000);
    const subnet = `10.${100 + (tag >> 8) % 100}.${tag & 0xff}`;
    const networks = new OwnNetworks(`fmq${tag.toString(16)}`, subnet, count);
    try {
      await networks.#build(subnet);
    } catch (error) {
      await networks[Symbol.asyncDispose]();
      throw error;
    }
    return networks;
  }

  async #build(subnet: string): Promise<void> {
    const bridge = this.#name;
    await ip(`link add ${bridge} type bridge`);
    await ip(`addr add ${subnet}.254/24 dev ${bridge}`);
    await ip(`link set ${bridge} up`);
    for (const [i, host] of this.hosts.entries()) {
      const inside = this.#space(i + 1);
      const cable = this.#cable(i + 1);
      await ip(`netns add ${inside}`);
      await ip(`link add ${cable} type veth peer name eth0 netns ${inside}`);
      await ip(`link set ${cable} master ${bridge} up`);
      await ip(`-n ${inside} addr add ${host}/24 dev eth0`);
      await ip(`-n ${inside} link set eth0 up`);
      await ip(`-n ${inside} link set lo up`);
    }
  }

  /** Lets a node run in its network; for `LocalCluster.start()`. */
  readonly adapt = (settings: LocalNodeSettings): LocalNodeSettings => {
    const { path, args } = settings.program;
    const program = {
      path: "ip",
      args: ["netns", "exec", this.#space(settings.id), path, ...args],
    };
    return { ...settings, program };
  };

  /** Pulls the cable of a node. */
  cut(node: number): Promise<void> {
    return ip(`link set ${this.#cable(node)} nomaster`);
  }

  /** Plugs it in again. */
  mend(node: number): Promise<void> {
    return ip(`link set ${this.#cable(node)} master ${this.#name}`);
  }

  #space(node: number): string {
    return `${this.#name}-${node}`;
  }

  #cable(node: number): string {
    return `${this.#name}c${node}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const i of this.hosts.keys()) await ip(`netns del ${this.#space(i + 1)}`).catch(() => {});
    await ip(`link del ${this.#name}`).catch(() => {});
  }
}

/** Runs `ip`. */
async function ip(command: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("ip", { args: command.split(" ") }).output();
  if (!success) throw new Error(`ip ${command}: ${new TextDecoder().decode(stderr).trim()}`);
}
