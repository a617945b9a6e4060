//! Of exports and imports of records.

/// Exports and imports that are kept at a time.
pub const EXCHANGES_MAX: u64 = 1_000;
/// How long they and their files are kept.
pub const EXCHANGE_KEPT_MS: i64 = 7 * 86_400_000;
/// Bytes of a file that is imported.
pub const EXCHANGE_FILE_BYTES_MAX: u64 = 16 << 30;
/// Bytes of one row of such a file.
pub const EXCHANGE_ROW_BYTES_MAX: usize = 8 << 20;
/// Records that an export reads at a time.
pub const EXCHANGE_PAGE_ROWS: u64 = 200;
/// How often an export says how far it is.
pub const EXCHANGE_PROGRESS_MS: u64 = 1_000;
/// Rows, and bytes of them, that are imported in one commit, and how long it takes no further ones.
pub const EXCHANGE_CHUNK_ROWS: usize = 200;
pub const EXCHANGE_CHUNK_BYTES: usize = 8 << 20;
pub const EXCHANGE_CHUNK_MS: u64 = 250;
/// How long one such commit may take in all.
pub const EXCHANGE_CHUNK_MS_MAX: u64 = 30_000;
/// How long an import is one job before it goes on as another.
pub const EXCHANGE_TURN_MS: u64 = 60_000;
/// How often it is gone on with where nothing came of it.
pub const EXCHANGE_TRIES_MAX: u32 = 8;
/// Errors of rows that a report shows, and characters of each.
pub const EXCHANGE_ERRORS_MAX: usize = 100;
pub const EXCHANGE_ERROR_CHARS_MAX: usize = 500;
