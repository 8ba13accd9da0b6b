/**
 * What decoding throws. A peer that sends such bytes is broken or hostile: it gets an `error` frame
 * with the code, then its connection closes.
 *
 * @module
 */

import { ErrorCode } from "./error_codes.ts";

/** Bytes that are not what they claim to be. Decoders throw this and nothing else. */
export class MalformedFrameError extends Error {
  /** `malformedFrame`, or `frameTooLarge` where a length is over its limit. */
  readonly code: number;

  /**
   * Makes the error.
   *
   * @param message What is wrong, with the value.
   * @param code `malformedFrame` unless told otherwise.
   * @param options May carry a `cause`.
   */
  constructor(message: string, code: number = ErrorCode.malformedFrame, options?: ErrorOptions) {
    super(message, options);
    this.name = "MalformedFrameError";
    this.code = code;
  }
}
