//! Limits of what caches in front of the server are told.

/// Seconds for which a collection may let its answers be kept.
pub const ANSWER_TTL_SECONDS_MAX: i64 = 31_536_000;
/// Seconds beyond that in which an old answer is better than none.
pub const ANSWER_STALE_SECONDS_MAX: i64 = 31_536_000;
/// The longest such time for answers that the clock may change.
pub const ANSWER_TIMED_TTL_SECONDS_MAX: i64 = 10;
/// Records that an answer is tagged with by name; beyond, it is tagged with their collections.
pub const ANSWER_TAG_RECORDS_MAX: usize = 64;
/// The longest line of tags; the answer is not kept if even the collections need more.
pub const ANSWER_TAG_BYTES_MAX: usize = 4096;
/// How long caches that can be purged may keep an uploaded file.
pub const FILE_TTL_SECONDS: u64 = 2_592_000;
/// How long they may keep a static file that is not named after its content.
pub const STATIC_TTL_SECONDS: u64 = 60;
/// Records of one commit that are purged by name; of more, all answers about their collections are.
pub const PURGE_RECORDS_MAX: usize = 256;
