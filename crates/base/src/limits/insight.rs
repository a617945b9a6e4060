//! Of the log, the audit log, of business figures, and of what is sent to collectors.

/// Entries that one commit leaves in the audit log; what is more is counted in a last one.
pub const AUDIT_ENTRIES_MAX: usize = 200;
/// A value before or after a change, as it is kept.
pub const AUDIT_VALUE_BYTES_MAX: usize = 2 << 10;
/// All values of one entry; of what is more only the names are kept.
pub const AUDIT_CHANGES_BYTES_MAX: usize = 16 << 10;
/// What an entry says beside its changes, such as a statement.
pub const AUDIT_DETAIL_CHARS_MAX: usize = 4_000;
/// How deep changes are told apart within a value.
pub const AUDIT_DEPTH_MAX: usize = 3;
/// Records that one request is known to have read before it changes them.
pub const AUDIT_KNOWN_MAX: usize = 1_000;
/// Failed logins of superusers that one process writes down in a minute; what is more is counted.
pub const AUDIT_FAILURES_MAX: u32 = 30;
pub const AUDIT_FAILURES_MS: i64 = 60_000;
/// How long entries are kept unless the settings say otherwise.
pub const AUDIT_DAYS_DEFAULT: i64 = 365;

/// Accounts of one day that a process remembers as written down. Of those beyond, rows are looked for again.
pub const ACTIVE_SEEN_MAX: usize = 1 << 20;
/// Accounts that wait to be written down; what is more is seen at their next request.
pub const ACTIVE_WAITING_MAX: usize = 65_536;
/// Rows that are looked for, and written, in one go.
pub const ACTIVE_BATCH_ROWS: usize = 500;
/// How often they are written.
pub const ACTIVE_FLUSH_MS: u64 = 5_000;
/// For how many days rows are kept.
pub const ACTIVE_DAYS: i64 = 400;
/// Days and weeks that one question may ask for.
pub const INSIGHT_DAYS_MAX: i64 = 366;
pub const INSIGHT_DAYS_DEFAULT: i64 = 30;
/// How old an answer may be.
pub const INSIGHT_FRESH_MS: i64 = 60_000;

/// Entries of one request that are shown together.
pub const TRACE_ROWS_MAX: u64 = 500;
/// How long front doors are waited for.
pub const TRACE_DOORS_MS: u64 = 1_500;
/// Front doors that are asked.
pub const TRACE_DOORS_MAX: usize = 64;
/// How often the size of the log is estimated, and by how many of its newest entries.
pub const LOG_SIZE_LOOK_MS: i64 = 60_000;
pub const LOG_SIZE_SAMPLE_ROWS: u64 = 500;
/// What an entry takes beside its texts, indexes included.
pub const LOG_ROW_BYTES: u64 = 400;
/// Of a message that becomes an entry.
pub const LOG_MESSAGE_BYTES_MAX: usize = 8 << 10;
/// Lines that a front door keeps to be asked for by their request.
pub const FRONT_LOG_KEPT_BYTES_MAX: usize = 8 << 20;
/// Lines of one request that a front door tells.
pub const FRONT_LOG_FOUND_MAX: usize = 100;

/// Entries that wait for a collector; what is more is dropped and counted.
pub const OTLP_QUEUE_MAX: usize = 16_384;
/// Entries of one call.
pub const OTLP_BATCH_MAX: usize = 512;
/// How long a collector is given again after it failed: twice as long each time, up to the most.
pub const OTLP_PAUSE_MS: u64 = 1_000;
pub const OTLP_PAUSE_MS_MAX: u64 = 60_000;
/// How often what waits is looked for.
pub const OTLP_FLUSH_MS: u64 = 1_000;
/// Attributes of one entry.
pub const OTLP_ATTRIBUTES_MAX: usize = 64;
/// How long the last entries are tried to be sent when the process ends.
pub const OTLP_LAST_MS: u64 = 2_000;

/// How long request log entries wait to be written together.
pub const LOG_FLUSH_MS: u64 = 1_000;
/// Request log entries in one batch.
pub const LOG_BATCH_MAX: usize = 8_192;
/// A batch of more entries than this is spooled rather than indexed at once.
pub const LOG_DIRECT_MAX: usize = 500;
/// Batches that the spool holds before the oldest are given up.
pub const LOG_SPOOL_MAX: usize = 512;
/// How long the end of a process may be held up by indexing spooled entries.
pub const LOG_DRAIN_MS: u64 = 2_000;
/// How often log entries past their time are deleted.
pub const LOG_SWEEP_MS: i64 = 3_600_000;
