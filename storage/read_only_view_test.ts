import { assert, assertEquals, assertThrows } from "@std/assert";
import { newDisk } from "./_testing.ts";
import { CorruptFileError } from "./errors.ts";
import type { FileSystem } from "./file_system.ts";
import { ReadOnlyView } from "./read_only_view.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function put(files: FileSystem, path: string, content: string): void {
  const file = files.open(path, { write: true, create: true });
  file.writeSync(bytes(content), 0);
  file.close();
}

function written() {
  const { disk } = newDisk();
  disk.makeDirectory("d/inner");
  put(disk, "d/a", "first");
  put(disk, "d/inner/b", "second");
  return disk;
}

Deno.test("ReadOnlyView keeps showing what was there, whatever becomes of it", () => {
  const disk = written();
  using view = new ReadOnlyView(disk, "d");
  put(disk, "d/a", "first and more");
  disk.remove("d/inner/b");
  put(disk, "d/late", "late");
  assertEquals(text(view.readFile("d/a")), "first");
  assertEquals(text(view.readFile("d/inner/b")), "second");
  assertEquals(view.list("d").map(({ name }) => name), ["a", "inner"]);
  assertEquals(view.list("d/inner").map(({ name }) => name), ["b"]);
  assertEquals([view.exists("d/late"), view.exists("d/a"), view.exists("d/inner")], [
    false,
    true,
    true,
  ]);
  assertEquals([view.fileCount, view.bytes], [2, 11]);
  const handle = view.open("d/a", { read: true });
  handle.close();
  const buffer = new Uint8Array(10);
  assertEquals([handle.readSync(buffer, 3), handle.readSync(buffer, 5), handle.size()], [2, 0, 5]);
});

Deno.test("ReadOnlyView keeps showing zeros where a segment had room for more", () => {
  const { disk } = newDisk();
  disk.makeDirectory("d");
  const size = 200_000;
  for (const stored of [0, 1, 100_000, size]) {
    const content = new Uint8Array(size).fill(7, 0, stored);
    const segment = disk.open("d/00000000000000000001.seg", { write: true, create: true });
    segment.writeSync(content, 0);
    using view = new ReadOnlyView(disk, "d");
    segment.writeSync(new Uint8Array(size - stored).fill(9), stored);
    segment.writeSync(content.subarray(0, stored), 0);
    segment.close();
    assertEquals(view.readFile("d/00000000000000000001.seg"), content);
    const piece = new Uint8Array(50);
    const at = Math.max(0, stored - 25);
    const count = view.open("d/00000000000000000001.seg", { read: true }).readSync(piece, at);
    assertEquals(piece.subarray(0, count), content.subarray(at, at + count));
  }
});

Deno.test("ReadOnlyView never writes, and never locks", async () => {
  const disk = written();
  using view = new ReadOnlyView(disk, "d");
  const handle = view.open("d/a", { read: true });
  const refused = [
    () => view.open("d/a", { read: true, write: true }),
    () => view.open("d/new", { read: true, create: true }),
    () => view.remove("d/a"),
    () => view.rename("d/a", "d/z"),
    () => view.makeDirectory("d/z"),
    () => handle.truncateSync(0),
    () => handle.writeSync(bytes("x"), 0),
  ];
  for (const attempt of refused) assertThrows(attempt, TypeError, "only reads");
  const rejected = [
    handle.truncate(0),
    handle.syncData(),
    handle.tryLock(),
    view.syncDirectory("d"),
  ];
  for (const { status } of await Promise.allSettled(rejected)) assertEquals(status, "rejected");
  assertEquals(text(disk.readFile("d/a")), "first");
});

/** Something happens to the files right before one of them is opened, once. */
function disturbed(files: FileSystem, path: string, disturb: () => void): FileSystem {
  let isDisturbed = false;
  return {
    list: (path: string) => files.list(path),
    exists: (path: string) => files.exists(path),
    open(opened: string, options: object) {
      if (opened === path && !isDisturbed) {
        isDisturbed = true;
        disturb();
      }
      return files.open(opened, options);
    },
  } as unknown as FileSystem;
}

Deno.test("ReadOnlyView begins again when a file goes before it is opened", () => {
  const disk = written();
  const files = disturbed(disk, "d/inner/b", () => {
    disk.remove("d/inner/b");
    put(disk, "d/inner/c", "third");
  });
  using view = new ReadOnlyView(files, "d");
  assertEquals(view.list("d/inner").map(({ name }) => name), ["c"]);
  assertEquals(text(view.readFile("d/inner/c")), "third");
});

Deno.test("ReadOnlyView keeps others from taking files of logs, and no other files", async () => {
  const disk = written();
  put(disk, "d/inner/1.seg", "records");
  put(disk, "d/lock", "1");
  const locked = async (path: string) => {
    const file = disk.open(path, { read: true });
    const isFree = await file.tryLock();
    file.close();
    return !isFree;
  };
  const view = new ReadOnlyView(disk, "d");
  assertEquals([await locked("d/inner/1.seg"), await locked("d/lock")], [true, false]);
  view[Symbol.dispose]();
  assertEquals(await locked("d/inner/1.seg"), false);
});

Deno.test("ReadOnlyView begins again when a file is being cut that it has just opened", async () => {
  const disk = written();
  put(disk, "d/inner/1.seg", "records");
  const cut = disk.open("d/inner/1.seg", { write: true });
  assert(await cut.tryLock());
  assertThrows(() => new ReadOnlyView(disk, "d"), Error, "No such file");
  let opened = 0;
  const renamed = {
    list: (path: string) => disk.list(path),
    exists: (path: string) => disk.exists(path),
    open(path: string, options: object) {
      const file = disk.open(path, options);
      if (path.endsWith(".seg") && ++opened === 2) {
        disk.rename("d/inner/1.seg", "d/inner/1.seg.trash");
        put(disk, "d/inner/2.seg", "others");
      }
      return file;
    },
  } as unknown as FileSystem;
  using view = new ReadOnlyView(renamed, "d");
  assertEquals(view.list("d/inner").map(({ name }) => name), ["2.seg", "b"]);
});

Deno.test("ReadOnlyView throws for a directory that is not there", () => {
  const { disk } = newDisk();
  assertEquals(assertThrows(() => new ReadOnlyView(disk, "d"), Error).message.includes("d"), true);
});

Deno.test("ReadOnlyView reports a part of a file that the disk cannot read as damage", () => {
  const disk = written();
  const broken = {
    list: () => [{ name: "a", isDirectory: false }],
    open: () => ({
      size: () => 5,
      close() {},
      readSync(): number {
        throw Object.assign(new Error("Input/output error"), { code: "EIO" });
      },
    }),
    exists: (path: string) => disk.exists(path),
  } as unknown as FileSystem;
  using view = new ReadOnlyView(broken, "d");
  assertThrows(() => view.readFile("d/a"), CorruptFileError, "cannot be read at byte 0");
});
