//! Of the cache that processes share.

use super::TRANSACTION_MS_MAX;

/// How long a connection to a shared cache may take to open.
pub const TIER_CONNECT_MS: u64 = 1_000;
/// A connection to a shared cache that leaves a command unanswered for so long is given up.
pub const TIER_SILENT_MS: u64 = 1_000;
/// How long one command of a shared cache may take, unless the configuration says otherwise.
pub const TIER_CALL_MS: u64 = 100;
pub const TIER_CALL_MS_MAX: u64 = 10_000;
/// How many times longer a writer waits for a shared cache before it makes all nodes do without it.
pub const TIER_LIFT_CALLS: u32 = 3;
/// Commands that wait for a connection to a shared cache.
pub const TIER_QUEUE_MAX: usize = 4_096;
/// Of those, how many one caller sends at a time.
pub const TIER_TOGETHER_MAX: usize = 256;
/// Failures in a row after which a shared cache is not asked before it has answered again.
pub const TIER_FAILURES_MAX: u32 = 3;
/// How long who was to load a record for all processes may take.
pub const TIER_LEASE_MS: u64 = 2_000;
/// How long the others wait for it, and how long at first between two looks, which doubles.
pub const TIER_BUSY_MS: u64 = 250;
pub const TIER_BUSY_STEP_MS: u64 = 4;
/// How long a record stays hidden whose writer is not heard of again: longer than any transaction takes, and than its
/// database goes on with what a dead process has sent.
pub const TIER_HIDDEN_MS: u64 = TRANSACTION_MS_MAX + 30_000;
/// How often it is looked whether others have begun a new generation of a shared cache.
pub const TIER_LOOK_MS: u64 = 200;
/// How many of these looks make one whether the servers are still the same.
pub const TIER_LOOKS_PER_CHECK: u32 = 5;
/// How often a shared cache that was left is tried.
pub const TIER_RETRY_MS: u64 = 300;
/// Generations that a process remembers to have left.
pub const TIER_LEFT_MAX: usize = 10_000;
/// How long a row is kept in a shared cache, unless the configuration says otherwise.
pub const TIER_LIFE_MS: u64 = 600_000;
