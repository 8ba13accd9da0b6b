/**
 * The bytes on the wire and in the log: frames, requests, replies, pushes, commands, peer messages.
 *
 * Everything here is pure but `frame_stream.ts`, which moves frames over a byte stream that it is
 * given. What comes from outside is checked before anything is allocated or believed; what is wrong
 * throws `MalformedFrameError`.
 *
 * @module
 */

export * from "./bytes.ts";
export * from "./cbor.ts";
export * from "./client_messages.ts";
export * from "./client_replies.ts";
export * from "./client_requests.ts";
export * from "./command_codec.ts";
export * from "./command_header.ts";
export * from "./dead_letter.ts";
export * from "./deliver_frame.ts";
export * from "./error_codes.ts";
export * from "./errors.ts";
export * from "./frame.ts";
export * from "./frame_stream.ts";
export * from "./limits.ts";
export type * from "./look_messages.ts";
export * from "./message_options.ts";
export * from "./replay_note.ts";
export * from "./message_record.ts";
export * from "./peer_messages.ts";
export * from "./publish_batch.ts";
export * from "./schedule_codec.ts";
export * from "./snapshot_messages.ts";
export * from "./transfer_codec.ts";
