/**
 * Network addresses as people write them: `127.0.0.1:7400`, `example.org:7400`, `[::1]:7400`.
 *
 * @module
 */

import { type Address, formatAddress } from "../broker/runtime.ts";

export { type Address, formatAddress };

const shape = /^(?:\[(?<v6>[0-9a-fA-F:.]+)\]|(?<name>[^\s:[\]/@]+)):(?<port>\d{1,5})$/;

/**
 * Reads `HOST:PORT`, where an IPv6 host stands in brackets.
 *
 * @param text What a person wrote.
 * @returns The parts.
 * @throws {SyntaxError} If it is not of that form, or the port is above 65535.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseAddress("[::1]:7400"), { hostname: "::1", port: 7400 });
 * ```
 */
export function parseAddress(text: string): Address {
  const groups = shape.exec(text)?.groups;
  if (groups === undefined) {
    const why = /^[^:\s]+$/.test(text)
      ? "the port is missing"
      : /^[0-9a-fA-F:.]*::?[0-9a-fA-F:.]*:\d+$/.test(text)
      ? "an IPv6 host stands in brackets, as in [::1]:7400"
      : "it is not of the form HOST:PORT";
    throw new SyntaxError(`${JSON.stringify(text)} is not an address: ${why}`);
  }
  const port = Number(groups.port);
  if (port > 65_535) {
    throw new SyntaxError(`${JSON.stringify(text)} is not an address: ports end at 65535`);
  }
  return { hostname: (groups.v6 ?? groups.name)!, port };
}
