//! Of the application's own queues.

/// Streams of messages that superusers may define.
pub const QUEUE_STREAMS_MAX: usize = 200;
/// Patterns of one stream.
pub const QUEUE_PATTERNS_MAX: usize = 32;
/// Consumer groups of one stream.
pub const QUEUE_GROUPS_MAX: usize = 32;
/// Characters of a stream's, a group's or a subscriber's name.
pub const QUEUE_NAME_CHARS_MAX: usize = 64;
/// Bytes of a subject or a pattern, and the tokens that its dots part it into.
pub const QUEUE_SUBJECT_BYTES_MAX: usize = 255;
pub const QUEUE_SUBJECT_TOKENS_MAX: usize = 16;
/// Characters of an id that a publisher gives its message.
pub const QUEUE_ID_CHARS_MAX: usize = 64;
/// Bytes of one message's data as JSON, and of its headers.
pub const QUEUE_DATA_BYTES_MAX: usize = 256 << 10;
pub const QUEUE_HEADERS_BYTES_MAX: usize = 8 << 10;
/// Messages that one request publishes, pulls, settles or reads.
pub const QUEUE_MESSAGES_MAX: usize = 500;
/// Bytes of data that one pull or read answers with, beyond which it ends with the next message.
pub const QUEUE_ANSWER_BYTES_MAX: usize = 8 << 20;
/// How far in the future a message may be due.
pub const QUEUE_DELAY_MS_MAX: i64 = 30 * 86_400_000;
/// How long a stream keeps messages: by default, and at most.
pub const QUEUE_AGE_MS_DEFAULT: i64 = 7 * 86_400_000;
pub const QUEUE_AGE_MS_MAX: i64 = 366 * 86_400_000;
/// How many messages a stream keeps: by default, and at most.
pub const QUEUE_KEPT_MESSAGES_DEFAULT: u64 = 1_000_000;
pub const QUEUE_KEPT_MESSAGES_MAX: u64 = 100_000_000;
/// How many bytes of messages a stream keeps: by default, and at most.
pub const QUEUE_KEPT_BYTES_DEFAULT: u64 = 1 << 30;
pub const QUEUE_KEPT_BYTES_MAX: u64 = 1 << 40;
/// Messages that may wait in one group before nothing more is published to it.
pub const QUEUE_WAITING_MAX: u64 = 1_000_000;
/// How often it is looked whether that many wait.
pub const QUEUE_FULL_LOOK_MS: u64 = 5_000;
/// How long a group's member has a message for itself: by default, at least and at most.
pub const QUEUE_LEASE_MS_DEFAULT: u64 = 30_000;
pub const QUEUE_LEASE_MS_MIN: u64 = 100;
pub const QUEUE_LEASE_MS_MAX: u64 = 12 * 3_600_000;
/// How often a message is delivered before it is a dead letter: by default, and at most.
pub const QUEUE_DELIVERIES_DEFAULT: u32 = 10;
pub const QUEUE_DELIVERIES_MAX: u32 = 1_000;
/// How long dead letters are kept, or as long as the stream keeps messages if that is longer.
pub const QUEUE_DEAD_MS: i64 = 30 * 86_400_000;
/// How long a pull or a read may wait for messages.
pub const QUEUE_WAIT_MS_MAX: u64 = 60_000;
/// Pulls and reads of one process that wait.
pub const QUEUE_WAITS_MAX: usize = 10_000;
/// How often somebody who waits looks for what other processes published, what is due and what was given back.
pub const QUEUE_POLL_MS: u64 = 250;
/// Messages that are numbered in one commit, looked through in one query, or removed in one commit.
pub const QUEUE_STEP_ROWS: usize = 500;
/// Messages that one read looks through for those of its pattern.
pub const QUEUE_SCAN_ROWS_MAX: usize = 10_000;
/// How often it is tried to number messages, or to publish one with an id, when others do the same.
pub const QUEUE_TRIES_MAX: u32 = 16;
/// Named subscribers of one stream.
pub const QUEUE_SUBSCRIBERS_MAX: u64 = 10_000;
/// A named subscriber that did not read for so long is forgotten.
pub const QUEUE_SUBSCRIBER_MS: i64 = 30 * 86_400_000;
/// How long what a deleted stream or group left is looked for, as publishers may not have known yet.
pub const QUEUE_REMAINS_MS: i64 = 3_600_000;
/// Groups whose depth metrics tell.
pub const QUEUE_SAMPLED_MAX: usize = 50;
