/**
 * The version of this program. `deno.json` has it as well; it is not read from there, as a module of
 * JSON among the others would have every start compile all of them anew (decision 0036).
 *
 * @module
 */

/** Such as `0.1.0`. */
export const version = "0.1.0";
