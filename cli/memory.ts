/**
 * How freed memory is kept for what comes next.
 *
 * What a node reads and writes goes through buffers of some hundred kilobytes, each used once. The C
 * library of Linux gets blocks of that size from the kernel and gives them back when they are freed, so
 * that every buffer costs a page fault for each 4 KiB of it, and the kernel's zeroing. It stops doing so
 * for blocks up to the size of the largest that was ever freed.
 *
 * The collector of garbage counts these buffers as well, and takes 12 MiB of them for a reason to look
 * through the whole heap, where nothing but buffers is to be freed: under load, several times a second.
 * A busy node has 14 MiB of code and tables and 32 MiB of newest entries that stay, and as much again may
 * come and go before it is worth a look.
 *
 * @module
 */

/** The collector leaves a heap alone whose objects and buffers together are below so many MiB. */
const heapMiBMin = 96;

/** How this program is to be run (`deno task start` too); V8 takes it at the start of a process only. */
export const v8Flags = `--v8-flags=--initial-old-space-size=${heapMiBMin}`;

/** The C library takes no more than 32 MiB for a hint. */
const keptBytesMax = 24 << 20;

/**
 * Has the memory of buffers used again rather than given back to the system: frees one large block that
 * is never touched, and so never takes any memory. On systems with another way of memory it does nothing.
 */
export function keepFreedMemory(): void {
  new ArrayBuffer(keptBytesMax).transfer(0);
}
