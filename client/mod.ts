/**
 * The client of FlowMQ.
 *
 * @module
 */

export {
  Client,
  type CloseOptions,
  connect,
  type CreateQueueOptions,
  type EditQueueOptions,
} from "./client.ts";
export type { ReplicaHash, ShardComparison } from "./comparison.ts";
export type { Receipt } from "./completions.ts";
export type { ConsumeOptions } from "./consume_options.ts";
export { Consumer } from "./consumer.ts";
export { ConsumerBatch } from "./consumer_batch.ts";
export type { WaitOptions } from "./core.ts";
export type { DeadLetter, DeadLettersOptions, RedriveOptions } from "./dead_letters.ts";
export {
  type AckOptions,
  type AckResult,
  Delivery,
  type MessageToQueue,
  type NackOptions,
} from "./delivery.ts";
export {
  BatchSettleError,
  ClientClosedError,
  ConnectionLostError,
  FlowMQError,
  type FlowMQErrorOptions,
  LeaseExpiredError,
  MessageTooLargeError,
  NotLeaderError,
  QueueNotFoundError,
  RequestTimeoutError,
} from "./errors.ts";
export type { MessageProperties } from "./message_properties.ts";
export type { Explanation, ExplanationReason } from "./explanation.ts";
export type { MessageHistoryReport, ReplayOptions, ReplayReport } from "./history.ts";
export type { MessageReport, PartitionActivity } from "./look.ts";
export { formatMessageId, type MessagePlace, parseMessageId } from "./message_id.ts";
export type { ConnectOptions } from "./options.ts";
export { NamedProducer, type NumberedProperties, type ProducerOptions } from "./named_producer.ts";
export type { OutgoingMessage, PublishOptions } from "./publisher.ts";
export {
  type PartitionReport,
  type PartitionStorageReport,
  type PublishMessageOptions,
  Queue,
  type QueueReport,
} from "./queue.ts";
export { type AddedSchedule, type ScheduleOptions, Schedules } from "./schedules.ts";
export { PeekedMessage, type PeekOptions } from "./peek.ts";
export type { Removal } from "./remove_message.ts";
export type { ReceivedMessage } from "./received_message.ts";
export type { ByteStream, ClientRuntime, Clock, Dialer, TimerId } from "./runtime.ts";
export { ErrorCode, type ErrorName, errorName } from "../wire/error_codes.ts";
export type {
  ClusterMetadata,
  NodeInfo,
  NodeStatus,
  PartitionInfo,
  PartitionStats,
  PartitionStorage,
  QueueInfo,
  QueueSettings,
  ScheduleInfo,
  ScheduleTiming,
  ShardInfo,
  ShardStatus,
} from "../wire/client_messages.ts";
export type { MessageOptions } from "../wire/message_options.ts";
export type { MessageHeaders } from "../wire/message_record.ts";
export type {
  ConsumerReport,
  FlowRates,
  FoundMessage,
  HistoryReport,
  KeyBlockReport,
  LeaseReport,
  MessageHappening,
  PartitionInspection,
} from "../wire/look_messages.ts";
export type { KeyCounts, LiveState, SeenState } from "../queue/message_view.ts";
export type { DeathNote } from "../wire/dead_letter.ts";
export type { DeathReason } from "../queue/commands.ts";
