//! Of updates that are acknowledged before they are written.

/// How long an update may wait to be written, unless the configuration says otherwise, and at most.
pub const WRITE_BEHIND_MS: u64 = 1_000;
pub const WRITE_BEHIND_MS_MAX: u64 = 60_000;
/// Records whose updates may wait; with more, an update is written before it is acknowledged.
pub const WRITE_BEHIND_RECORDS_MAX: usize = 10_000;
/// The same in bytes.
pub const WRITE_BEHIND_BYTES_MAX: usize = 16 << 20;
/// What a record with waiting updates costs besides its values.
pub const WRITE_BEHIND_OVERHEAD_BYTES: usize = 256;
/// Records that are written at once, so that other writes get their turn.
pub const WRITE_BEHIND_CHUNK: usize = 500;
/// How often a read of a record is tried that meets writes of others, before it keeps them off.
pub const WRITE_BEHIND_LOOKS_MAX: usize = 3;
/// How long after a failure what waits is written again.
pub const WRITE_BEHIND_RETRY_MS: u64 = 1_000;
/// How long an update waits for another write of the same record, before it is written as any other.
pub const WRITE_BEHIND_TURN_MS: u64 = 2_000;
