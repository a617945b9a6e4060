//! Every bound of the system, with its unit last in the name.

mod answers;
mod behind;
mod exchange;
mod freshness;
mod front;
mod insight;
mod keeping;
mod logins;
mod queues;
mod system;
mod tier;
mod webhooks;

pub use answers::*;
pub use behind::*;
pub use exchange::*;
pub use freshness::*;
pub use front::*;
pub use insight::*;
pub use keeping::*;
pub use logins::*;
pub use queues::*;
pub use system::*;
pub use tier::*;
pub use webhooks::*;

/// The largest JSON or form body without files.
pub const BODY_BYTES_MAX: usize = 32 << 20;
/// The same of a record whose JSON and editor fields may be large, whatever they allow: it is held in memory.
pub const BODY_TEXT_BYTES_MAX: usize = 128 << 20;
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
/// Records that refer to one which is gone, and are released in one commit.
pub const CASCADE_CHUNK_ROWS: u64 = 500;
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
/// How long a transaction may be open whatever the settings say. On SQLite all other writes wait meanwhile.
pub const TRANSACTION_MS_MAX: u64 = 60_000;
/// How often a transaction is tried when others are in its way.
pub const TRANSACTION_ATTEMPTS_MAX: u32 = 16;
/// A transaction that others were in the way of comes back after up to this long, which doubles with each try.
pub const TRANSACTION_PAUSE_MS: u64 = 4;
pub const TRANSACTION_PAUSE_MS_MAX: u64 = 250;
/// The longest address of a request in a batch, as the reference has it.
pub const BATCH_URL_CHARS_MAX: usize = 2_000;
/// The largest body of a batch unless the settings say otherwise.
pub const BATCH_BODY_BYTES_MAX: usize = 128 << 20;
/// Rows that the SQL console returns of a query, as the reference has it.
pub const SQL_ROWS_MAX: usize = 1_000;
/// Rows that a view shows of itself before it is saved.
pub const VIEW_PREVIEW_ROWS_MAX: usize = 20;
/// Bytes of an answer of the SQL console.
pub const SQL_BYTES_MAX: usize = 32 << 20;
/// How long what is asked of the SQL console may run.
pub const SQL_RUN_MS: u64 = 30_000;
/// Pages of a database that a backup copies before it looks whether it shall go on.
pub const BACKUP_STEP_PAGES: i32 = 4_096;
/// Files in a backup that is restored.
pub const BACKUP_ENTRIES_MAX: usize = 20_000_000;
/// Bytes of a backup that is restored, unpacked.
pub const BACKUP_UNPACKED_BYTES_MAX: u64 = 4 << 40;
/// The largest backup that may be uploaded.
pub const BACKUP_UPLOAD_BYTES_MAX: u64 = 1 << 40;
/// Backups that are listed.
pub const BACKUPS_LISTED_MAX: usize = 10_000;
/// Prepared statements kept per connection.
pub const STATEMENTS_MAX: usize = 256;
/// Reader connections of the SQLite engine.
pub const SQLITE_READERS_MAX: usize = 16;
/// Connections to PostgreSQL.
pub const POSTGRES_CONNECTIONS_MAX: usize = 32;
/// Statements that read one table's records by id at the same time; further reads wait and share the next.
pub const GATHERED_READ_TURNS_MAX: usize = 2;
/// Reads that share a statement.
pub const GATHERED_READS_MAX: usize = 64;
/// Reads of one table that wait for such a statement.
pub const GATHERED_READS_WAITING_MAX: usize = 4_096;
/// Commits of one insert into the same table at the same time; further inserts wait and share the next.
pub const GATHERED_INSERT_TURNS_MAX: usize = 4;
/// Inserts that share a commit.
pub const GATHERED_INSERTS_MAX: usize = 64;
/// Bytes of an insert that may share a commit.
pub const GATHERED_INSERT_BYTES_MAX: usize = 64 << 10;
/// Inserts into one table that wait for such a commit.
pub const GATHERED_INSERTS_WAITING_MAX: usize = 4_096;
/// How long a connection to PostgreSQL may take to open.
pub const POSTGRES_CONNECT_MS: u64 = 5_000;

/// How long a replica may be read after its position was proven, and thus how long a write may have to wait for replicas
/// that do not keep up. All processes on one database must have the same.
pub const REPLICA_LEASE_MS: u64 = 100;
/// What those who wait for the end of others' leases wait beyond it.
pub const REPLICA_LEASE_MARGIN_MS: u64 = 10;
/// A replica that is further behind is put out.
pub const REPLICA_LAG_MS_MAX: u64 = 1_000;
/// How long a replica must have kept up before it is let in; doubled each time that it was put out.
pub const REPLICA_JOIN_MS: u64 = 250;
/// The same at most.
pub const REPLICA_JOIN_MS_MAX: u64 = 60_000;
/// A replica that was in for this long starts anew when it is put out.
pub const REPLICA_FORGIVEN_MS: u64 = 300_000;
/// How old the last look at any database host may be when the primary is read.
pub const REPLICA_LOOK_MS: u64 = 2_500;
/// How often database hosts are asked for their positions while requests are going on.
pub const REPLICA_POLL_MS: u64 = 5;
/// The same while a commit waits for replicas.
pub const REPLICA_POLL_WRITING_MS: u64 = 2;
/// The same when nobody asks for data.
pub const REPLICA_POLL_IDLE_MS: u64 = 100;
/// Two questions to a host are at least this far apart.
pub const REPLICA_POLL_MS_MIN: u64 = 2;
/// How long after a request positions are still asked for often.
pub const REPLICA_ACTIVE_MS: u64 = 250;
/// A host that has not answered for this long is asked for no data.
pub const REPLICA_SILENT_MS: u64 = 500;
/// After this long without an answer a host is connected to anew.
pub const HOST_GIVE_UP_MS: u64 = 5_000;
/// A host that refuses to tell its position so many times in a row is connected to anew.
pub const HOST_REFUSALS_MAX: u32 = 20;
/// The first wait before a host that is gone is connected to again; it doubles.
pub const HOST_RETRY_MS: u64 = 20;
/// The same at most.
pub const HOST_RETRY_MS_MAX: u64 = 250;
/// How long a process that starts looks for a primary before a replica will do.
pub const HOSTS_OPEN_MS: u64 = 5_000;
/// How long a request waits for a primary, or for any host that can be read.
pub const PRIMARY_WAIT_MS: u64 = 10_000;
/// How often it is looked whether replicas are to be put in or out.
pub const REPLICA_CHORES_MS: u64 = 50;
/// How often the hosts' state is measured.
pub const REPLICA_METRICS_MS: u64 = 1_000;

/// Bytes that the record cache may hold.
pub const RECORD_CACHE_BYTES_MAX: u64 = 64 << 20;
/// Bytes that the query cache may hold.
pub const QUERY_CACHE_BYTES_MAX: u64 = 64 << 20;
/// Bytes that may be spent on remembering which records are not there.
pub const ABSENT_CACHE_BYTES_MAX: u64 = 4 << 20;
/// The same as a part of what records may take: one of so many.
pub const ABSENT_CACHE_SHARES: u64 = 8;
/// What a cached record costs besides its values, with what the policies remember of records that had to go and the
/// room that their tables have left over after growing.
pub const CACHE_RECORD_OVERHEAD_BYTES: u64 = 640;
/// What a cached answer costs besides its bytes and its key.
pub const CACHE_ANSWER_OVERHEAD_BYTES: u64 = 256;
/// Records that were read once and are kept when they are read again.
pub const CACHE_SEEN_MAX: usize = 1 << 16;
/// How long an entry is used at most where other processes write to the same database, unless the configuration says.
pub const CACHE_TTL_MS: u64 = 300_000;
/// The same of what was not there.
pub const CACHE_ABSENT_TTL_MS: u64 = 30_000;
/// By how much less entries may get, unless the configuration says.
pub const CACHE_TTL_JITTER_PERCENT: u64 = 10;
/// The longest time of an entry that may be configured: a year.
pub const CACHE_TTL_MS_MAX: u64 = 365 * 24 * 3_600_000;
/// Statements that may be under way on each database host for what is not cached.
pub const CACHE_LOADS_MAX: usize = 24;
/// How long a load waits for its turn before the caller is told to come back.
pub const CACHE_LOAD_WAIT_MS: u64 = 5_000;
/// Records of one collection that may be loaded at the start.
pub const CACHE_WARM_MAX: u64 = 1_000_000;
/// Records that are loaded at once at the start.
pub const CACHE_WARM_CHUNK: usize = 100;
/// What is paused between two such chunks at least.
pub const CACHE_WARM_PAUSE_MS: u64 = 5;
/// The pause is so many times as long as the chunk before it took.
pub const CACHE_WARM_PAUSE_TIMES: u32 = 4;
/// How often it is looked whether caches are in use, before they are warmed up.
pub const CACHE_WARM_LOOK_MS: u64 = 100;
/// Changes that a bus subscriber may lag behind before it is told to resync.
pub const BUS_LAG_MAX: usize = 4096;
/// Request log entries that wait to be written; more are dropped and counted.
pub const LOG_QUEUE_MAX: usize = 65_536;
/// And how much they may take.
pub const LOG_QUEUE_BYTES_MAX: usize = 64 << 20;
/// Password hashes that may wait.
pub const PASSWORD_QUEUE_MAX: usize = 256;
/// The longest password that bcrypt reads, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 72;
/// The longest password unless its field allows less.
pub const PASSWORD_CHARS_MAX: usize = 71;
/// Verified tokens kept to spare the signature check.
pub const TOKEN_CACHE_MAX: usize = 10_000;

/// Connections that one process serves at a time; more wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 32_768;
/// How long nobody new is let in after that failed.
pub const ACCEPT_RETRY_MS: u64 = 20;
/// How long a client may take to send a request's head.
pub const HEADER_READ_MS: u64 = 30_000;
/// How long a client may take to send a request's body.
pub const BODY_READ_MS: u64 = 120_000;
/// How long open requests may finish after the stop signal.
pub const DRAIN_MS: u64 = 10_000;
/// How often another process's changes to the same database are looked for.
pub const FOREIGN_CHANGES_MS: u64 = 250;
/// The same where several nodes work on one database.
pub const NODE_LOOK_MS: u64 = 100;
/// How long a node goes by collections and settings that it has not made sure of anew.
pub const NODE_LEASE_MS: u64 = 1_000;
/// How often a node tells the others that it is there.
pub const NODE_BEAT_MS: u64 = 1_000;
/// A node that was silent for this long is not counted as there.
pub const NODE_SILENT_MS: u64 = 5_000;
/// How long a node goes by what it has seen of who the other nodes are.
pub const NODE_VIEW_MS: u64 = 1_000;
/// How often it looks.
pub const NODE_MEMBERS_MS: u64 = 250;
/// How old a node's last beat may be when it answers a writer or uses a cache, well below [`NODE_SILENT_MS`].
pub const NODE_BEAT_AGE_MS_MAX: u64 = 4_000;
/// A node that is no member is forgotten when nothing was heard of it for this long.
pub const NODE_GONE_MS: u64 = 1_000;
/// How often a node says on the bus that it is there.
pub const BUS_BEACON_MS: u64 = 30;
/// The least time between two beacons of a node that has something to acknowledge.
pub const BUS_ACKNOWLEDGE_MS: u64 = 2;
/// How long caches are used after a beacon was sent that all other nodes have answered; no writer waits longer for a node.
pub const BUS_PROOF_MS: u64 = 100;
/// How much longer than that a writer waits, as clocks do not run equally fast.
pub const BUS_MARGIN_MS: u64 = 10;
/// Messages that wait to be sent; what does not fit is not sent, and others begin anew.
pub const BUS_QUEUE_MAX: usize = 16_384;
/// How often the connection to the bus is tried, after a failure.
pub const BUS_RETRY_MS_MAX: u64 = 2_000;
/// How long opening a connection to the bus may take.
pub const BUS_CONNECT_MS: u64 = 3_000;
/// How often the connection to the bus is probed; it is given up after three probes without an answer.
pub const BUS_PING_MS: u64 = 2_000;
/// How long the bus may be away at the start before that is worth a word.
pub const BUS_QUIET_MS: u64 = 3_000;
/// How long a question to all nodes may take.
pub const BUS_ASK_MS: u64 = 1_000;
/// Names of tables that a node says it follows; with more it follows all.
pub const BUS_FOLLOWED_MAX: usize = 64;
/// Bytes of what a node asks of another one about records that are about to be deleted.
pub const BUS_QUESTION_BYTES_MAX: usize = 512 << 10;
/// How long a delete waits for what other nodes find out about it.
pub const BUS_FORESIGHT_MS: u64 = 250;
/// How long what was found out for another node's delete is kept.
pub const BUS_FORESEEN_MS: i64 = 10_000;
/// How often a change of collections or settings is begun anew because another node was faster.
pub const CHANGE_TRIES_MAX: u32 = 10;
/// The part of what is left of a count that a node takes at once is one of so many.
pub const COUNTER_SHARES: u64 = 8;
/// Counts that nodes share at a time.
pub const COUNTERS_MAX: u64 = 1_000_000;
/// How often counts that are over are dropped.
pub const COUNTER_SWEEP_MS: u64 = 30_000;
/// How long a request waits for a shared count before its node counts alone.
pub const COUNTER_WAIT_MS: u64 = 3_000;
/// How long it counts alone before it asks again.
pub const COUNTER_RETRY_MS: u64 = 5_000;

/// Jobs that run at a time in one process, those of queues aside that have none running yet.
pub const JOBS_RUNNING_MAX: usize = 16;
/// Jobs of one queue that run at a time in one process, unless it is configured.
pub const JOBS_CONCURRENCY: usize = 8;
/// The most that can be configured.
pub const JOBS_CONCURRENCY_MAX: usize = 1_000;
/// How many jobs that turn out to be short are taken for each that can run.
pub const JOBS_CHAIN_MAX: usize = 16;
/// Jobs are taken ahead for so long as they take together.
pub const JOBS_CHAIN_MS: u64 = 20;
/// How long a job that was handed to the broker is the broker's; the worker renews it while it runs.
pub const JOB_RELAYED_MS: i64 = 10 * 60_000;
/// Jobs that are handed over together.
pub const JOBS_RELAYED_MAX: usize = 256;
/// Jobs of one queue that are on their way through the broker.
pub const JOBS_OUTSTANDING_MAX: usize = 1_000;
/// How long a job that is handed over twice under one name counts once.
pub const JOBS_DUPLICATES_MS: u64 = 120_000;
/// How long a worker asks for the next job before it asks anew.
pub const JOBS_PULL_MS: u64 = 1_000;
/// How often the queue's broker is looked at.
pub const JOBS_LINK_MS: u64 = 2_000;
/// How long connecting to NATS may take.
pub const NATS_CONNECT_MS: u64 = 3_000;
/// How long NATS may take to answer.
pub const NATS_REQUEST_MS: u64 = 5_000;
/// Jobs that were given up which one statement brings back.
pub const JOBS_RETRIED_MAX: u64 = 1_000;
/// Jobs that are settled together.
pub const JOBS_SETTLED_MAX: usize = 256;
/// How often it is tried to say what became of jobs.
pub const JOBS_SETTLE_ATTEMPTS_MAX: u32 = 5;
/// The least time between two looks.
pub const JOBS_LOOK_MS: u64 = 2;
/// How often jobs are looked for that a clock which was set back left held.
pub const JOBS_ASTRAY_MS: u64 = 30_000;
/// Characters of what is kept of an error.
pub const JOB_ERROR_CHARS_MAX: usize = 2_000;
/// How often due jobs are looked for when nobody tells of any.
pub const JOBS_POLL_MS: u64 = 1_000;
/// The same in a process that does the jobs of others.
pub const JOBS_WORKER_POLL_MS: u64 = 100;
/// How long a job is its holder's; the holder renews the lease while the job runs, and a dead holder's jobs are
/// taken over after it.
pub const JOB_LEASE_MS: u64 = 30_000;
/// How long of two jobs that wait the one of the next higher priority goes first, whenever the other came.
pub const JOB_HEAD_START_MS: i64 = 5 * 60_000;
/// How long one job may run before it counts as failed.
pub const JOB_RUN_MS: u64 = 15 * 60_000;
/// How long jobs may finish after the stop signal.
pub const JOBS_DRAIN_MS: u64 = 5_000;
/// Runs of a job before it is given up.
pub const JOB_ATTEMPTS_MAX: u32 = 12;
/// The wait after a first failure; it doubles with each one more.
pub const JOB_RETRY_MS: u64 = 1_000;
/// The longest wait between two runs of a job.
pub const JOB_RETRY_MS_MAX: u64 = 60 * 60_000;
/// How long jobs that were given up are kept for people to look at.
pub const JOB_DEAD_MS: i64 = 14 * 86_400_000;

/// How long an SMTP server may take for one step of the conversation.
pub const SMTP_STEP_MS: u64 = 20_000;
/// How long handing one mail to an SMTP server may take.
pub const SMTP_SEND_MS: u64 = 60_000;
/// Mails that the outbox directory keeps; the oldest go first.
pub const OUTBOX_MAILS_MAX: usize = 1_000;
/// Characters of a mail's subject; the rest is cut off.
pub const MAIL_SUBJECT_CHARS_MAX: usize = 500;
/// Bytes of a mail's HTML.
pub const MAIL_HTML_BYTES_MAX: usize = 1 << 20;
/// Mails that one process lets be asked for in a minute.
pub const MAILS_MINUTE_MAX: u32 = 6_000;
/// How long the same mail is not sent again to the same address.
pub const MAIL_RESEND_MS: i64 = 120_000;
/// Addresses that are remembered for it.
pub const MAIL_RESENDS_KEPT_MAX: usize = 20_000;

/// Characters of a user agent in a mail.
pub const ALERT_AGENT_CHARS_MAX: usize = 200;

/// Calls to the outside that run at a time.
pub const FETCHES_MAX: usize = 64;
/// How long a call to the outside waits for its turn.
pub const FETCH_WAIT_MS: u64 = 10_000;
/// How long a connection to the outside may take to open.
pub const FETCH_CONNECT_MS: u64 = 5_000;
/// How long one call to the outside may take in all, its redirects included.
pub const FETCH_TOTAL_MS: u64 = 20_000;
/// Redirects that one call to the outside follows.
pub const FETCH_REDIRECTS_MAX: usize = 5;
/// Bytes of an answer from the outside, unless the call says otherwise.
pub const FETCH_BYTES_MAX: usize = 1 << 20;
/// Bytes of an avatar that a login brings along.
pub const AVATAR_BYTES_MAX: usize = 5 << 20;

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
/// Descriptions of the API that are kept, one for each standing of those who ask.
pub const DOCUMENTS_MAX: usize = 8;
/// Bytes of all the descriptions that are kept.
pub const DOCUMENTS_BYTES_MAX: usize = 32 << 20;
/// Clients whose requests are counted for rate limits at a time, each once for every thing that is limited.
pub const RATE_CLIENTS_MAX: usize = 262_144;
/// Parts that the counts are split in.
pub const RATE_SHARDS: usize = 64;
/// How often a full part looks for counts that are over.
pub const RATE_SWEEP_MS: u64 = 1_000;

/// Bytes of one request log entry's data unless the settings say otherwise.
pub const LOG_DATA_BYTES_DEFAULT: usize = 16 << 10;
/// Length of an address in the request log.
pub const LOG_URL_CHARS_MAX: usize = 3_000;
/// Length of a header's value in the request log.
pub const LOG_HEADER_CHARS_MAX: usize = 2_000;
/// How long a file store may take for an answer that is small.
pub const BLOB_CALL_MS: u64 = 15_000;
/// How long a connection to a file store may take to open.
pub const BLOB_CONNECT_MS: u64 = 5_000;
/// How long one request to a file store may take, its body included.
pub const BLOB_REQUEST_MS: u64 = 120_000;
/// How often a request to a file store is sent again.
pub const BLOB_RETRIES_MAX: usize = 2;
/// Bytes of a file that are read from disk at once.
pub const BLOB_CHUNK_BYTES: usize = 64 << 10;
/// Longer files are written in parts of this many bytes.
pub const BLOB_PART_BYTES: usize = 8 << 20;
/// Parts of one file that are on their way at once.
pub const BLOB_PARTS_MAX: usize = 2;
/// What is set aside at once for a file that is read whole.
pub const BLOB_MEMORY_BYTES_MAX: u64 = 1 << 20;

/// Parts of a form with files, as the reference has it.
pub const FORM_PARTS_MAX: usize = 1000;
/// Bytes of a form that are looked at before a part begins.
pub const FORM_BUFFER_BYTES_MAX: usize = 1 << 20;
/// Bytes of a form's field name.
pub const FORM_NAME_BYTES_MAX: usize = 1024;
/// Bytes of an uploaded file's own name.
pub const FILE_NAME_BYTES_MAX: usize = 4096;
/// Uploaded files beyond this many bytes wait on disk.
pub const UPLOAD_MEMORY_BYTES_MAX: usize = 256 << 10;
/// Bytes of a request with files, whatever its collection's fields allow.
pub const UPLOAD_BYTES_MAX: u64 = 8 << 30;
/// How long a client with files may be silent.
pub const UPLOAD_IDLE_MS: u64 = 30_000;
/// How long a client may take to send its files.
pub const UPLOAD_READ_MS: u64 = 3_600_000;
/// How long the rest of a refused form is taken in.
pub const UPLOAD_REST_MS: u64 = 1_000;
/// Bytes that tell what kind of file it is.
pub const SNIFF_BYTES_MAX: usize = 3072;
/// How often a change of a record's files or lists starts over because another one was faster.
pub const UPDATE_TRIES_MAX: usize = 16;

/// Ranges of one request; with more, the whole file is sent.
pub const RANGES_MAX: usize = 32;
/// The largest file that a thumbnail is made of.
pub const THUMB_SOURCE_BYTES_MAX: u64 = 64 << 20;
/// The largest side of a picture that a thumbnail is made of.
pub const THUMB_SOURCE_SIDE_MAX: u32 = 30_000;
/// Pixels of a picture that a thumbnail is made of.
pub const THUMB_SOURCE_PIXELS_MAX: u64 = 100_000_000;
/// Bytes that decoding a picture may take.
pub const THUMB_DECODE_BYTES_MAX: u64 = 512 << 20;
/// Pixels of a thumbnail.
pub const THUMB_PIXELS_MAX: u64 = 25_000_000;
/// How long a request waits for its thumbnail.
pub const THUMB_WAIT_MS: u64 = 20_000;
/// Thumbnails that wait to be made.
pub const THUMB_QUEUE_MAX: usize = 64;

/// Files that belong to nothing are left alone for this long: their record may be about to be written.
pub const ORPHAN_AGE_MS: i64 = 86_400_000;
/// Files that are looked at together when orphans are swept.
pub const ORPHAN_STEP_MAX: usize = 500;

/// What a provider's state, code and error may take together.
pub const OAUTH2_RETURN_BYTES_MAX: usize = 16 << 10;

/// Bytes of a static file that are read at a time.
pub const STATIC_CHUNK_BYTES: usize = 64 << 10;
/// Bytes that tell a text from anything else.
pub const TEXT_SNIFF_BYTES: usize = 512;
/// Shorter answers are not compressed: it would gain nothing.
pub const COMPRESS_BYTES_MIN: u64 = 1_024;

/// Passkeys of one record.
pub const PASSKEYS_MAX: usize = 20;
/// Characters of a passkey's name.
pub const PASSKEY_NAME_CHARS_MAX: usize = 100;
/// How long a device may take to answer a challenge.
pub const CEREMONY_MS: i64 = 300_000;
/// Challenges of a kind that wait for an answer.
pub const CEREMONIES_MAX: u64 = 20_000;
/// The oldest challenges that go at once when there are too many.
pub const CEREMONIES_DROPPED: u64 = 2_000;

/// Rows and bytes that a move between databases reads at a time.
pub const TRANSFER_CHUNK_ROWS: usize = 4096;
pub const TRANSFER_CHUNK_BYTES: usize = 4 << 20;
/// A move has caught up when a round carries no more records than this, in no more time.
pub const TRANSFER_ROUND_ROWS: usize = 500;
pub const TRANSFER_ROUND_MS: u64 = 200;
/// Rounds after which a move goes on even if it never catches up: the switch then tells.
pub const TRANSFER_ROUNDS_MAX: usize = 50;
/// How long the switch may keep writers waiting, well below [`STORE_WAIT_MS`].
pub const TRANSFER_HOLD_MS: u64 = 5_000;
/// How often the switch is tried when others hold on to what they write.
pub const TRANSFER_HOLDS_MAX: usize = 5;
/// How long servers have to answer a mover's roll call.
pub const TRANSFER_ROLL_MS: u64 = 2_000;
/// How often a server looks whether the database that it serves was left, while a move goes on.
pub const TRANSFER_LOOK_MS: u64 = 5;
/// How long a mover waits for the server to say that it follows.
pub const TRANSFER_ANSWER_MS: u64 = 30_000;
/// How often a move begins anew because collections changed meanwhile.
pub const TRANSFER_ATTEMPTS_MAX: usize = 3;
/// Files that a move copies at a time.
pub const TRANSFER_FILES_AT_ONCE: usize = 8;
/// How often files that still came to the old place are fetched.
pub const TRANSFER_FILES_PASSES_MAX: usize = 20;
/// Values that cannot be moved, of which each is named.
pub const TRANSFER_PROBLEMS_MAX: usize = 50;

/// Nodes of one topology that one machine runs.
pub const CLUSTER_NODES_MAX: u64 = 64;
/// Characters of a topology's name.
pub const TOPOLOGY_NAME_CHARS_MAX: usize = 40;
/// How long a node of a topology may take to be ready.
pub const NODE_START_MS: u64 = 60_000;
/// How long a node of a topology may take to end when it is asked to.
pub const NODE_STOP_MS: u64 = 15_000;
/// How long a question to a node of a topology may take.
pub const NODE_ASK_MS: u64 = 5_000;
/// How long a copy of a database may take.
pub const NODE_COPY_MS: u64 = 3_600_000;
/// The first pause before a dead node is started again; it doubles.
pub const NODE_RESTART_MS_MIN: u64 = 250;
/// The longest pause before a dead node is started again.
pub const NODE_RESTART_MS_MAX: u64 = 30_000;
/// Log that a primary keeps for a standby that is away.
pub const STANDBY_LOG_MIB_MAX: u64 = 1_024;

/// How long what was found out about this process's health is told again without looking.
pub const HEALTH_CACHE_MS: u64 = 100;
/// How long what serving needs may take to answer before this process counts as not ready.
pub const HEALTH_CHECK_MS: u64 = 2_000;
/// How often what is sampled for metrics is looked at anew, and how long that may take.
pub const METRICS_SAMPLE_MS: u64 = 1_000;
/// How often what histograms were told is summed up.
pub const METRICS_UPKEEP_MS: u64 = 1_000;
/// How often the event loop's lag is measured.
pub const LOOP_LAG_MS: u64 = 250;
/// The unit of processor time in what Linux tells of a process.
pub const CLOCK_TICKS_PER_SECOND: f64 = 100.0;
/// Connections to the listener for health and metrics.
pub const WATCH_CONNECTIONS_MAX: usize = 64;
/// How long who connects there may take to ask.
pub const WATCH_READ_MS: u64 = 5_000;
/// Characters of a request's name that its client gave it.
pub const REQUEST_ID_CHARS_MAX: usize = 128;
/// Due jobs that are counted for metrics; more are not told apart.
pub const JOBS_COUNTED_MAX: u64 = 1_000;
/// Messages about failed requests in a second; more are counted.
pub const FAILURES_TOLD_MAX: u32 = 50;
