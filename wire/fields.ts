/**
 * Typed reading of the fields of a decoded map: each is there and is what it should be, or
 * {@linkcode MalformedFrameError} names it. Fields that nobody asks for are ignored, so that a later
 * version may add some.
 *
 * @module
 */

import type { CborMap } from "./cbor.ts";
import { MalformedFrameError } from "./errors.ts";

/** A whole number from 0 to `max`. */
export function uintField(map: CborMap, name: string, max = Number.MAX_SAFE_INTEGER): number {
  const value = map[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0 || value > max) {
    throw wrongField(name, `a whole number from 0 to ${max}`, value);
  }
  return value;
}

/** A finite number of 0 or more. */
export function amountField(map: CborMap, name: string): number {
  const value = map[name];
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) {
    throw wrongField(name, "a number of 0 or more", value);
  }
  return value;
}

/** Text. */
export function textField(map: CborMap, name: string): string {
  const value = map[name];
  if (typeof value !== "string") throw wrongField(name, "text", value);
  return value;
}

/** `true` or `false`. */
export function booleanField(map: CborMap, name: string): boolean {
  const value = map[name];
  if (typeof value !== "boolean") throw wrongField(name, "true or false", value);
  return value;
}

/** A whole number of 0 or more, where there is one. */
export function optionalUintField(map: CborMap, name: string): number | undefined {
  return map[name] === undefined ? undefined : uintField(map, name);
}

/** `true` or `false`, where there is one. */
export function optionalBooleanField(map: CborMap, name: string): boolean | undefined {
  return map[name] === undefined ? undefined : booleanField(map, name);
}

/** Bytes: a view of the payload. */
export function bytesField(map: CborMap, name: string): Uint8Array {
  const value = map[name];
  if (!(value instanceof Uint8Array)) throw wrongField(name, "bytes", value);
  return value;
}

/** A field that may be absent: an object with the field as `read` reads it, or without it. */
export function optional<K extends string, T>(
  map: CborMap,
  name: K,
  read: (map: CborMap, name: K) => T,
): { readonly [key in K]?: T } {
  return map[name] === undefined ? {} : { [name]: read(map, name) } as { [key in K]: T };
}

/** A map. */
export function mapField(map: CborMap, name: string): CborMap {
  return asMap(map[name], name);
}

/** An array whose items `read` checks and converts. */
export function arrayField<T>(map: CborMap, name: string, read: (item: unknown) => T): T[] {
  const value = map[name];
  if (!Array.isArray(value)) throw wrongField(name, "an array", value);
  return value.map((item) => read(item));
}

/** An array of maps that `read` converts. */
export function mapsField<T>(map: CborMap, name: string, read: (item: CborMap) => T): T[] {
  return arrayField(map, name, (item) => read(asMap(item, name)));
}

/** An array of whole numbers of 0 or more. */
export function uintsField(map: CborMap, name: string): number[] {
  return arrayField(map, name, (item) => asUint(item, name));
}

/** Checks that an item of the array `name` is a whole number of 0 or more. */
export function asUint(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw wrongField(name, "a whole number of 0 or more", value);
  }
  return value;
}

function asMap(value: unknown, name: string): CborMap {
  const isMap = typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof Uint8Array);
  if (!isMap) throw wrongField(name, "a map", value);
  return value as CborMap;
}

function wrongField(name: string, expected: string, value: unknown): MalformedFrameError {
  const found = typeof value === "number" || typeof value === "boolean"
    ? String(value)
    : typeof value;
  return new MalformedFrameError(
    `Cannot read field ${name} as it is not ${expected}: found ${found}`,
  );
}
