/**
 * The version of this program, from `deno.json`, its one home.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };

/** Such as `0.1.0`. */
export const version: string = config.version;
