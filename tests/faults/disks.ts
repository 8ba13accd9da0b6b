/**
 * Where the data of nodes under test are: on a disk whose power can be cut, on one that can be full, or
 * in memory, where a process can be killed as well as anywhere.
 *
 * @module
 */

import { buildShim } from "./harm.ts";

/** A place for data. */
export interface TestDisk extends AsyncDisposable {
  /** An empty directory when it is made. */
  readonly directory: string;
  /** Where a file system is mounted for it alone. */
  readonly mount?: string;
  /** Makes the disk usable again, with what survived, once nobody uses it. */
  recover(): Promise<void>;
}

/** Memory that looks like a file system, where there is such a thing. */
export function memoryRoot(): string | undefined {
  try {
    return Deno.statSync("/dev/shm").isDirectory ? "/dev/shm" : undefined;
  } catch {
    return undefined;
  }
}

async function newDirectory(root = memoryRoot()): Promise<string> {
  return await Deno.makeTempDir({
    prefix: "flowmq-faults-",
    ...(root === undefined ? {} : { dir: root }),
  });
}

/** A directory: everything that was written stays. */
export class PlainDisk implements TestDisk {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Makes one, in memory where that can be had. */
  static async make(): Promise<PlainDisk> {
    return new PlainDisk(await newDirectory());
  }

  recover(): Promise<void> {
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** Runs a system tool. @throws {Error} with its last words, if its exit code is not one of `good`. */
async function tool(name: string, args: readonly string[], good: readonly number[] = [0]) {
  const command = new Deno.Command(name, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  const { code, stdout, stderr } = await command.output();
  if (good.includes(code)) return;
  const words = new TextDecoder().decode(stderr) + new TextDecoder().decode(stdout);
  throw new Error(`${name} ${args.join(" ")}: exit code ${code}: ${words.trim()}`);
}

/** What `e2fsck` says when it had nothing to do, or has mended something. */
const fsckDone = [0, 1];

/** A file system of its own, in an image: its power can be cut. */
export class LoopDisk implements TestDisk {
  readonly directory: string;
  readonly mount: string;
  readonly #base: string;
  readonly #cut: (mount: string) => boolean;

  private constructor(base: string, cut: (mount: string) => boolean) {
    this.#base = base;
    this.mount = `${base}/mount`;
    this.directory = `${this.mount}/trial`;
    this.#cut = cut;
  }

  /**
   * Makes and mounts one.
   *
   * @param mebibytes How large.
   * @param root Where the image goes; in memory where left out: syncs are quick then.
   * @throws {Error} If that cannot be done here.
   */
  static async make(mebibytes = 64, root?: string): Promise<LoopDisk> {
    const base = await newDirectory(root);
    const disk = new LoopDisk(base, powerCutter(await buildShim()));
    await Deno.mkdir(disk.mount);
    const image = await Deno.open(`${base}/image`, { write: true, create: true });
    await image.truncate(mebibytes * 1024 * 1024);
    image.close();
    await tool("mkfs.ext4", ["-q", "-F", `${base}/image`]);
    await disk.#mount();
    await Deno.mkdir(disk.directory);
    await tool("sync", ["-f", disk.mount]);
    return disk;
  }

  /** All that is not on the disk now never will be; every later call fails. */
  cutPower(): void {
    if (!this.#cut(this.mount)) throw new Error(`The power of ${this.mount} cannot be cut`);
  }

  async recover(): Promise<void> {
    await tool("umount", [this.mount]);
    await tool("e2fsck", ["-f", "-y", `${this.#base}/image`], fsckDone);
    await this.#mount();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await tool("umount", [this.mount]);
    await Deno.remove(this.#base, { recursive: true });
  }

  async #mount(): Promise<void> {
    await tool("mount", ["-o", "loop", `${this.#base}/image`, this.mount]);
  }
}

function powerCutter(shim: string): (mount: string) => boolean {
  return (mount) => {
    const library = Deno.dlopen(shim, {
      cut_power_of: { parameters: ["buffer"], result: "i32" },
    });
    try {
      return library.symbols.cut_power_of(new TextEncoder().encode(`${mount}\0`)) === 0;
    } finally {
      library.close();
    }
  };
}

/** Memory of a fixed size: it can be full, and grow. */
export class SmallDisk implements TestDisk {
  readonly directory: string;
  readonly mount: string;

  private constructor(mount: string) {
    this.mount = mount;
    this.directory = `${mount}/trial`;
  }

  /** Mounts one. @throws {Error} If that cannot be done here. */
  static async make(kibibytes: number): Promise<SmallDisk> {
    const mount = await newDirectory();
    await tool("mount", ["-t", "tmpfs", "-o", `size=${kibibytes}k`, "flowmq-faults", mount]);
    const disk = new SmallDisk(mount);
    await Deno.mkdir(disk.directory);
    return disk;
  }

  /** Gives it another size. */
  async resize(kibibytes: number): Promise<void> {
    await tool("mount", ["-o", `remount,size=${kibibytes}k`, this.mount]);
  }

  recover(): Promise<void> {
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await tool("umount", [this.mount]);
    await Deno.remove(this.mount);
  }
}
