/**
 * Checks every byte of the files of term and vote (`hard_state.ts`).
 *
 * @module
 */

import { type FileSystem, joinPath } from "./file_system.ts";
import type { Finding } from "./findings.ts";
import { decodeSlot, hardStateNames, type Slot, slotBytes, slotDistance } from "./hard_state.ts";

const fileBytes = slotDistance + slotBytes;

/** Where the slots are. */
const slotOffsets = [0, slotDistance];

/** A file and the slots in it, where they are good. */
interface SlotFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly slots: readonly (Slot | undefined)[];
}

/**
 * Looks for what is wrong with term and vote.
 *
 * @param files Where the files are.
 * @param directory Their directory.
 * @param shard The shard that they belong to.
 * @returns What is wrong.
 * @throws {UnsupportedFormatError} when a newer program wrote them.
 */
export function verifyHardState(files: FileSystem, directory: string, shard: number): Finding[] {
  const findings: Finding[] = [];
  const found: SlotFile[] = [];
  for (const name of hardStateNames) {
    const path = joinPath(directory, name);
    if (!files.exists(path)) {
      findings.push({ kind: "damage", path, reason: "it is missing" });
      continue;
    }
    const bytes = files.readFile(path);
    const slots = slotOffsets.map((at) => decodeSlot(bytes.subarray(at, at + slotBytes), path));
    found.push({ path, bytes, slots });
    findings.push(...verifyGaps(path, bytes));
  }
  const all = found.flatMap(({ slots }) => slots).filter((slot) => slot !== undefined);
  const newest = all.reduce((most, { generation }) => Math.max(most, generation), 0);
  for (const file of found) {
    for (const i of slotOffsets.keys()) findings.push(...verifySlot(file, i, newest, all, shard));
  }
  return findings;
}

/** All but the slots is zero, and nothing is behind them. */
function verifyGaps(path: string, bytes: Uint8Array): Finding[] {
  if (bytes.length !== fileBytes) {
    const reason = `it has ${bytes.length} bytes, and should have ${fileBytes}`;
    return [{ kind: "damage", path, reason }];
  }
  const used = bytes.subarray(slotBytes, slotDistance).findIndex((byte) => byte !== 0);
  if (used < 0) return [];
  return [{ kind: "damage", path, offset: slotBytes + used, reason: "a byte between the slots" }];
}

/** One slot of one file; `newest` is the highest generation of both files. */
function verifySlot(
  { path, bytes, slots }: SlotFile,
  i: number,
  newest: number,
  all: readonly Slot[],
  shard: number,
): Finding[] {
  const offset = slotOffsets[i]!;
  const slot = slots[i];
  const due = newest % 2 === i ? newest : newest - 1;
  const damage = (reason: string): Finding[] => [{ kind: "damage", path, offset, reason }];
  if (slot === undefined) {
    const isBlank = bytes.subarray(offset, offset + slotBytes).every((byte) => byte === 0);
    if (isBlank && due <= 0) return [];
    return damage(`the slot of generation ${due} is not what was written`);
  }
  if (slot.shard !== shard) return damage(`it is of shard ${slot.shard}`);
  if (slot.generation === due) {
    const twin = all.find((other) => other.generation === due)!;
    const isSame = twin.term === slot.term && twin.vote === slot.vote;
    return isSame ? [] : damage(`generation ${due} is another one in the other file`);
  }
  // The process ended between the writes of the two files; nothing was answered for.
  if (due === newest && slot.generation === due - 2) {
    const reason = `it ends with generation ${slot.generation}, the other file with ${newest}`;
    return [{ kind: "remark", path, offset, reason }];
  }
  return damage(`it holds generation ${slot.generation} where ${due} is due`);
}
