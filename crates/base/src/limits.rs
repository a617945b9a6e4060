//! Every bound of the system, with its unit last in the name.

/// The largest JSON or form body without files.
pub const BODY_BYTES_MAX: usize = 32 << 20;
/// The longest filter or rule.
pub const FILTER_BYTES_MAX: usize = 16 << 10;
/// The longest filter that a request may carry, as the reference has it.
pub const FILTER_REQUEST_BYTES_MAX: usize = 3500;
/// Nested parentheses in a filter.
pub const FILTER_DEPTH_MAX: usize = 100;
/// Comparisons in one filter.
pub const FILTER_TERMS_MAX: usize = 200;
/// Arguments of one function call in a filter.
pub const FILTER_CALL_ARGUMENTS_MAX: usize = 16;
/// Sort keys in one request.
pub const SORT_KEYS_MAX: usize = 8;
/// Length of one sort key.
pub const SORT_KEY_BYTES_MAX: usize = 255;
/// Relations followed by one filter path, as the reference has it.
pub const PATH_DEPTH_MAX: usize = 6;
/// Joins in one query.
pub const JOINS_MAX: usize = 60;
/// Records on a page unless asked otherwise.
pub const PAGE_ROWS_DEFAULT: usize = 30;
/// Records on a page at most.
pub const PAGE_ROWS_MAX: usize = 1000;
/// Levels of one expand path.
pub const EXPAND_DEPTH_MAX: usize = 6;
/// Records that one back-relation expand returns at most.
pub const EXPAND_BACK_ROWS_MAX: usize = 1000;
/// Levels of a delete cascade.
pub const CASCADE_DEPTH_MAX: usize = 64;
/// Records that a cascade handles in one batch step.
pub const CASCADE_ROWS_MAX: usize = 10_000;

/// Writes that share one group commit.
pub const COMMIT_GROUP_MAX: usize = 256;
/// Writes that wait for the writer before a caller waits too.
pub const WRITE_QUEUE_MAX: usize = 1024;
/// How long a write waits for the writer, or a query for a connection, before the caller is told to come back.
pub const STORE_WAIT_MS: u64 = 10_000;
/// Prepared statements kept per connection.
pub const STATEMENTS_MAX: usize = 256;
/// Reader connections of the SQLite engine.
pub const SQLITE_READERS_MAX: usize = 16;
/// Connections to PostgreSQL.
pub const POSTGRES_CONNECTIONS_MAX: usize = 32;
/// How long a connection to PostgreSQL may take to open.
pub const POSTGRES_CONNECT_MS: u64 = 5_000;

/// Bytes that the record cache may hold.
pub const RECORD_CACHE_BYTES_MAX: u64 = 64 << 20;
/// Bytes that the query cache may hold.
pub const QUERY_CACHE_BYTES_MAX: u64 = 64 << 20;
/// Changes that a bus subscriber may lag behind before it is told to resync.
pub const BUS_LAG_MAX: usize = 4096;
/// Request log entries that wait to be written; more are dropped and counted.
pub const LOG_QUEUE_MAX: usize = 65_536;
/// Password hashes that may wait.
pub const PASSWORD_QUEUE_MAX: usize = 256;
/// The longest password that bcrypt reads, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 71;
/// Verified tokens kept to spare the signature check.
pub const TOKEN_CACHE_MAX: usize = 10_000;

/// Connections that one process serves at a time; more wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 32_768;
/// How long a client may take to send a request's head.
pub const HEADER_READ_MS: u64 = 30_000;
/// How long a client may take to send a request's body.
pub const BODY_READ_MS: u64 = 120_000;
/// How long open requests may finish after the stop signal.
pub const DRAIN_MS: u64 = 10_000;
/// How often another process's changes to the same database are looked for.
pub const FOREIGN_CHANGES_MS: u64 = 250;
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

/// Event streams that one process holds; fewer than connections, so that requests still get in.
pub const REALTIME_CLIENTS_MAX: usize = 30_000;
/// The longest id of a client that is looked up, as the reference has it.
pub const REALTIME_CLIENT_ID_BYTES_MAX: usize = 255;
/// Subscriptions of one client, as the reference has it.
pub const REALTIME_SUBSCRIPTIONS_MAX: usize = 1000;
/// The longest topic with its options, as the reference has it.
pub const REALTIME_TOPIC_BYTES_MAX: usize = 2500;
/// What all clients' topics of one process may take together.
pub const REALTIME_TOPICS_BYTES_MAX: usize = 256 << 20;
/// Events that wait for one client. One that falls further behind is disconnected, so that it starts anew.
pub const REALTIME_QUEUE_BYTES_MAX: usize = 256 << 10;
/// Events written to a client at once.
pub const REALTIME_WRITE_BYTES_MAX: usize = 16 << 10;
/// How long a stream without events is kept, as the reference has it.
pub const REALTIME_IDLE_MS: i64 = 300_000;
/// How long any stream is kept.
pub const REALTIME_LIFETIME_MS: i64 = 86_400_000;
/// How long a stream that was ended may take to drain before its connection is cut.
pub const REALTIME_END_MS: i64 = 2_000;
/// The same when the server stops.
pub const REALTIME_STOP_MS: u64 = 500;
/// How often streams past their time are looked for.
pub const REALTIME_SWEEP_MS: u64 = 1_000;
/// How often callers are looked up anew where other processes may have changed them.
pub const REALTIME_RECHECK_MS: i64 = 5_000;
/// Callers looked up in one query.
pub const REALTIME_RECHECK_ROWS_MAX: usize = 500;
/// Deletes whose events were found out before they were committed.
pub const REALTIME_FORESEEN_MAX: usize = 20_000;
/// Questions to the database that one event has open at a time.
pub const REALTIME_JUDGES_MAX: usize = 8;
