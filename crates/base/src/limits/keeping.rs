//! Limits of what an edge keeps.

/// Memory for kept answers, unless configured.
pub const EDGE_MEMORY_BYTES: u64 = 128 << 20;
/// A body that is larger passes through and is not kept.
pub const EDGE_OBJECT_BYTES_MAX: usize = 16 << 20;
/// Answers kept under one key, told apart by `Vary`.
pub const EDGE_VARIANTS_MAX: usize = 16;
/// Tags of one answer that are looked at. What has more is not kept.
pub const EDGE_TAGS_MAX: usize = 1_024;
/// What an entry of the cache is expected to weigh.
pub const EDGE_ENTRY_BYTES: u64 = 4 << 10;
/// Slots that purged tags and addresses share. Two that meet in one cost a needless question to the origin, never a stale
/// answer.
pub const EDGE_PURGE_SLOTS: usize = 1 << 15;
/// Purged prefixes that are remembered one by one. Older ones count as a purge of everything before them.
pub const EDGE_PURGE_PREFIXES_MAX: usize = 64;
/// How long a request waits for the head of an answer that another one has asked for; then it asks by itself.
pub const EDGE_COALESCE_WAIT_MS: u64 = 10_000;
/// How long it is remembered of a key that its answer was not to be shared: requests for it do not wait for each other.
pub const EDGE_PASS_MS: u64 = 5_000;
/// Slots for what is remembered so.
pub const EDGE_PASS_SLOTS: usize = 4_096;
/// Memory for answers that are on their way in. Beyond it they pass through, a window at a time, and are not kept.
pub const EDGE_FLIGHT_BYTES_MAX: u64 = 256 << 20;
/// What is held of an answer that passes through.
pub const EDGE_FLIGHT_WINDOW_BYTES: usize = 1 << 20;
/// How long a reader may hold up others when an answer passes through to several at once.
pub const EDGE_FLIGHT_SLOW_MS: u64 = 5_000;
/// Bodies that an edge compresses by itself: smaller ones gain nothing that is worth another form, larger ones are mostly packed
/// already.
pub const EDGE_COMPRESS_BYTES_MIN: usize = 1 << 10;
pub const EDGE_COMPRESS_BYTES_MAX: usize = 8 << 20;
/// The share of a body that a coding of it may take to be kept.
pub const EDGE_COMPRESS_SHARE_PERCENT_MAX: usize = 90;
/// What never changes is compressed as well as can be up to this size, and well beyond.
pub const EDGE_COMPRESS_BEST_BYTES_MAX: usize = 512 << 10;
/// Threads that compress; one for every four processors, up to this.
pub const EDGE_COMPRESS_THREADS_MAX: usize = 4;
/// How much they stand back behind those that answer.
pub const EDGE_COMPRESS_THREAD_NICE: i32 = 10;
/// What waits to be compressed; beyond it a later hit asks again.
pub const EDGE_COMPRESS_QUEUE_MAX: usize = 1_024;
pub const EDGE_COMPRESS_QUEUE_BYTES_MAX: usize = 64 << 20;
/// Disk for kept answers, where a directory is named and no number.
pub const EDGE_DISK_BYTES: u64 = 4 << 30;
/// The least that is of use.
pub const EDGE_DISK_BYTES_MIN: u64 = 8 << 20;
/// The store on disk is a row of files; the oldest goes as a whole.
pub const EDGE_DISK_SEGMENTS: u64 = 32;
pub const EDGE_DISK_SEGMENT_BYTES_MIN: u64 = 1 << 20;
/// Answers on disk, each of which takes some memory.
pub const EDGE_DISK_ENTRIES_MAX: usize = 1 << 20;
/// What waits to be written; beyond it answers stay in memory only.
pub const EDGE_DISK_QUEUE_MAX: usize = 4_096;
pub const EDGE_DISK_QUEUE_BYTES_MAX: usize = 64 << 20;
/// Reads that are under way at once, and how long a request waits for one.
pub const EDGE_DISK_READS_MAX: usize = 64;
pub const EDGE_DISK_READ_MS: u64 = 500;
/// How long a disk is left alone that could not be written.
pub const EDGE_DISK_RETRY_MS: u64 = 10_000;
/// How often it is tried whether another process has left the directory.
pub const EDGE_DISK_LOCK_MS: u64 = 250;
/// How long the start of the process waits for what lies on the disk.
pub const EDGE_DISK_OPEN_MS: u64 = 1_000;
/// How long the end of the process waits for the disk.
pub const EDGE_DISK_CLOSE_MS: u64 = 5_000;
/// Head and fields of one answer on disk.
pub const EDGE_RECORD_HEAD_BYTES_MAX: usize = 1 << 20;
/// Lives whose positions one question to a shield tells. With more of them the nodes are asked.
pub const EDGE_HEARD_LIVES_MAX: usize = 256;
/// Bytes of a life's name that a question tells.
pub const EDGE_HEARD_LIFE_BYTES_MAX: usize = 64;
/// Lives whose positions are remembered.
pub const EDGE_HEARD_KEPT_MAX: usize = 4_096;
/// How long a shield waits for purges that an edge has heard already.
pub const EDGE_HEARD_WAIT_MS: u64 = 100;
/// Shields of one edge.
pub const EDGE_SHIELDS_MAX: usize = 16;
/// Shields that one question goes to before the nodes are asked.
pub const EDGE_SHIELD_ATTEMPTS_MAX: usize = 2;
/// How often an edge looks whether a shield answers, and how seldom at last while it does not.
pub const EDGE_SHIELD_LOOK_MS: u64 = 1_000;
pub const EDGE_SHIELD_LOOK_MS_MAX: u64 = 10_000;
/// How long a shield may take to say that it is there.
pub const EDGE_SHIELD_LOOK_WAIT_MS: u64 = 1_000;
/// Looks in a row without an answer after which a shield is not asked.
pub const EDGE_SHIELD_FALL: u32 = 2;
