//! Limits of how long an edge uses what it keeps.

/// The longest time that a header can name, as RFC 9111 has it.
pub const EDGE_DELTA_S_MAX: u64 = 1 << 31;
/// The part of the time since its last change for which an answer that names no time is taken to be fresh.
pub const EDGE_HEURISTIC_PERCENT: u64 = 10;
/// The longest time that is guessed so.
pub const EDGE_HEURISTIC_S_MAX: u64 = 24 * 3600;
/// How long beyond its time an answer may serve while no node can be reached, unless it forbids that.
pub const EDGE_STALE_DOWN_MS: u64 = 24 * 3_600_000;
/// Answers that are asked for again in the background at the same time.
pub const EDGE_REVALIDATIONS_MAX: usize = 128;
/// Languages that are looked at in one request.
pub const EDGE_LANGUAGES_MAX: usize = 32;
/// Entity tags that are looked at in one request.
pub const EDGE_ETAGS_MAX: usize = 64;
/// The longest token in which a claim is looked for.
pub const EDGE_TOKEN_BYTES_MAX: usize = 8 << 10;
