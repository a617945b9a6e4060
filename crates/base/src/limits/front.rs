//! Limits of the front door: balancer and edge.

/// How long a connection to a node may take to come about.
pub const FRONT_CONNECT_MS: u64 = 2_000;
/// Idle connections that a thread keeps to one node.
pub const FRONT_IDLE_MAX: usize = 256;
/// Nodes that are asked for one request, one after another.
pub const FRONT_ATTEMPTS_MAX: u32 = 3;
/// How often a process tells front doors that it is there.
pub const ANNOUNCE_BEAT_MS: u64 = 500;
/// What is written within that time goes into one announcement.
pub const ANNOUNCE_GATHER_MS: u64 = 2;
/// How long a front door may take to confirm an announcement.
pub const ANNOUNCE_SEND_MS: u64 = 2_000;
/// How soon a front door that has not heard is told again, at first and at last.
pub const ANNOUNCE_RETRY_MS_MIN: u64 = 50;
pub const ANNOUNCE_RETRY_MS_MAX: u64 = 1_000;
/// Tags, URLs and prefixes that wait for one front door. What is more becomes "anything".
pub const ANNOUNCE_NAMES_MAX: usize = 4_096;
/// Their bytes.
pub const ANNOUNCE_BYTES_MAX: usize = 256 << 10;
/// Processes of one database that an announcement names. Where there are more it names none.
pub const ANNOUNCE_MEMBERS_MAX: usize = 256;
/// When no front door was heard of on the bus for that long, there is none.
pub const ANNOUNCE_DOORS_SILENT_MS: u64 = 5_000;
/// How long a process that leaves waits for front doors to know.
pub const ANNOUNCE_LEAVE_MS: u64 = 1_500;
/// How long it then waits for requests that were on their way.
pub const ANNOUNCE_GRACE_MS: u64 = 200;
/// How long a process that has finished waits for front doors to hear its goodbye.
pub const ANNOUNCE_GOODBYE_MS: u64 = 500;
/// How often names of front doors, and of nodes, are looked up.
pub const FRONT_RESOLVE_MS: u64 = 3_000;
/// How long such a look may take.
pub const FRONT_RESOLVE_WAIT_MS: u64 = 5_000;
/// Addresses that one list of names may lead to.
pub const FRONT_ADDRESSES_MAX: usize = 256;
/// A process that was not heard of for that long is silent.
pub const FRONT_NODE_SILENT_MS: u64 = 2_500;
/// How long a silent node stays that answers its health checks, while others are heard.
pub const FRONT_NODE_UNHEARD_MS: u64 = 30_000;
/// How often all that is kept is doubted while a node works that cannot be heard.
pub const FRONT_DOUBT_MS: u64 = 1_000;
/// How long it is remembered that a process has gone.
pub const FRONT_LIFE_KEPT_MS: u64 = 10_000;
/// Processes that may announce themselves to one front door.
pub const FRONT_LIVES_MAX: usize = 4_096;
/// Bytes of one text that is announced: a name, an address.
pub const FRONT_ANNOUNCED_BYTES_MAX: usize = 255;
/// How often silence is looked for.
pub const FRONT_TICK_MS: u64 = 250;
/// A request's head: its line and all its fields.
pub const FRONT_HEAD_BYTES_MAX: usize = 64 << 10;
/// What a connection to a client may hold unread or unsent.
pub const FRONT_BUFFER_BYTES_MAX: usize = 128 << 10;
/// A request's target. Filters are long; what is longer is none.
pub const FRONT_TARGET_BYTES_MAX: usize = 32 << 10;
/// A request's body, unless the configuration says otherwise. Nodes have narrower limits of their own.
pub const FRONT_BODY_BYTES_MAX: u64 = 4 << 30;
/// How many front doors a request may pass before it is taken to go in a circle.
pub const FRONT_HOPS_MAX: usize = 8;
/// Addresses of a proxies' list that are looked at, from the nearest on.
pub const FRONT_FORWARDED_MAX: usize = 32;
/// Connections of clients in all; further ones wait to be accepted.
pub const FRONT_CONNECTIONS_MAX: usize = 32_768;
/// Connections that the kernel holds until they are accepted. The system may allow fewer (`net.core.somaxconn`).
pub const FRONT_BACKLOG_MAX: u32 = 4_096;
/// Once the time to drain is over: how long what is still under way has before it is cut off.
pub const FRONT_LAST_MS: u64 = 1_000;
/// How long a new connection may say nothing at all.
pub const FRONT_FIRST_BYTE_MS: u64 = 30_000;
/// Requests at the same time on one HTTP/2 connection.
pub const FRONT_STREAMS_MAX: u32 = 256;
/// The headers of one HTTP/2 request, as its standard counts them.
pub const FRONT_HEADER_LIST_BYTES_MAX: u32 = 64 << 10;
/// Streams that a client reset before they were looked at, until its connection is ended.
pub const FRONT_RESETS_MAX: usize = 64;
/// Answers of one HTTP/2 stream that wait to be sent.
pub const FRONT_SEND_BYTES_MAX: usize = 256 << 10;
/// What an HTTP/2 stream is handed at once; of the rest it is known whether the client takes it.
pub const FRONT_PIECE_BYTES_MAX: usize = 64 << 10;
/// How long an HTTP/2 connection is silent until it is asked whether it is there.
pub const FRONT_PING_MS: u64 = 30_000;
/// How long it has to say so.
pub const FRONT_PONG_MS: u64 = 20_000;
/// Listening sockets that one process hands to its successor: what fits into one message of Linux.
pub const FRONT_LISTENERS_MAX: usize = 64;
/// How long the running process may take to hand over its sockets, or its successor to say that it serves.
pub const FRONT_HANDOVER_MS: u64 = 30_000;
/// TLS handshakes at the same time; further ones wait.
pub const FRONT_HANDSHAKES_MAX: usize = 8_192;
/// How long a TLS handshake may take, with waiting.
pub const FRONT_HANDSHAKE_MS: u64 = 10_000;
/// Certificates of one front door.
pub const FRONT_CERTIFICATES_MAX: usize = 1_024;
/// A file with a certificate or a key.
pub const FRONT_CERTIFICATE_BYTES_MAX: u64 = 256 << 10;
/// How often the files of certificates are looked at.
pub const FRONT_CERTIFICATES_POLL_MS: u64 = 2_000;
/// Domains in one certificate from ACME.
pub const FRONT_ACME_DOMAINS_MAX: usize = 100;
/// How long one order of a certificate may take.
pub const FRONT_ACME_ORDER_MS: u64 = 300_000;
/// How long after a failed order the next one follows; doubled with each that fails. Authorities count failures.
pub const FRONT_ACME_RETRY_MS: u64 = 60_000;
/// The longest wait between failed orders.
pub const FRONT_ACME_RETRY_MAX_MS: u64 = 6 * 3_600_000;
/// How often it is looked whether a certificate is to be renewed.
pub const FRONT_ACME_LOOK_MS: u64 = 60_000;
/// How often a process looks whether it is the one that orders, while another one is.
pub const FRONT_ACME_TURN_MS: u64 = 5_000;
/// A token of an ACME challenge.
pub const FRONT_ACME_TOKEN_BYTES_MAX: usize = 256;
/// Requests in a row without a good answer that eject a node.
pub const FRONT_EJECT_FAILURES: u32 = 5;
/// Failures within the window that eject a node, if they are so large a part of its requests.
pub const FRONT_EJECT_RATE_FAILURES: u32 = 10;
pub const FRONT_EJECT_RATE_PERCENT: u64 = 50;
pub const FRONT_EJECT_WINDOW_MS: u64 = 10_000;
/// The first ejection's time; each further one is twice as long, up to the longest.
pub const FRONT_EJECT_MS: u64 = 5_000;
pub const FRONT_EJECT_MS_MAX: u64 = 120_000;
/// How long a request's head may take from its first byte on.
pub const FRONT_HEAD_MS: u64 = 15_000;
/// How long a connection may stay open between requests.
pub const FRONT_CLIENT_IDLE_MS: u64 = 75_000;
/// How long nothing may come in the middle of a request's body; also what a body has before its rate is asked for.
pub const FRONT_BODY_GRACE_MS: u64 = 10_000;
/// What must come of a body in each second that is waited for it.
pub const FRONT_BODY_RATE_BYTES: u64 = 240;
/// How long a client may take nothing of what it asked for.
pub const FRONT_CLIENT_STALL_MS: u64 = 30_000;
/// Connections of one client.
pub const FRONT_CLIENT_CONNECTIONS_MAX: u32 = 8_192;
/// Clients that limits remember.
pub const FRONT_CLIENTS_MAX: usize = 65_536;
/// Parts of that memory that are locked by themselves.
pub const FRONT_CLIENT_SHARDS: usize = 64;
/// Clients that are looked at to find one that can be forgotten.
pub const FRONT_CLIENT_SAMPLE: usize = 16;
/// Requests whose line in the access log is not written yet.
pub const FRONT_LOG_QUEUE_MAX: usize = 16_384;
/// Lines that are written at once.
pub const FRONT_LOG_WRITE_BYTES: usize = 256 << 10;
/// How often it is looked whether the file of the access log is still there.
pub const FRONT_LOG_LOOK_MS: u64 = 1_000;
/// How long the end of a process waits for its access log.
pub const FRONT_LOG_LAST_MS: u64 = 2_000;
/// What of a client's own words goes into a line of the access log.
pub const FRONT_LOG_FIELD_BYTES_MAX: usize = 4 << 10;
/// The head of a node's answer, and its fields.
pub const FRONT_ANSWER_HEAD_BYTES_MAX: usize = 64 << 10;
pub const FRONT_HEADERS_MAX: usize = 100;
/// Interim answers (1xx) before the answer.
pub const FRONT_INTERIM_MAX: usize = 16;
/// A chunk's size with its extensions.
pub const FRONT_CHUNK_LINE_BYTES_MAX: usize = 4 << 10;
pub const FRONT_TRAILERS_BYTES_MAX: usize = 16 << 10;
/// An answer's body up to this is passed on in one piece with its head.
pub const FRONT_SMALL_BYTES_MAX: usize = 16 << 10;
/// A request's body up to this is read before a node is asked, so that it can be sent again.
pub const FRONT_KEPT_BYTES_MAX: u64 = 64 << 10;
/// What is read from a node at once: at first, and of a body that is longer.
pub const FRONT_READ_BYTES: usize = 4 << 10;
pub const FRONT_READ_BYTES_MAX: usize = 64 << 10;
/// Connections to nodes that nobody has used for so long are closed: sooner than nodes close them.
pub const FRONT_IDLE_MS: u64 = 20_000;
pub const FRONT_IDLE_SWEEP_MS: u64 = 1_000;
/// An answer's body of known length that makes no progress for so long is given up.
pub const FRONT_NODE_STALL_MS: u64 = 60_000;
/// How often a request that waits looks at the clock and at its node's health.
pub const FRONT_WATCH_MS: u64 = 250;
/// Retries that each thread may make in a second whatever the requests are, and those that are saved at most.
pub const FRONT_RETRY_FLOOR_PER_S: u64 = 5;
pub const FRONT_RETRY_SAVED_MAX: i64 = 1_000;
/// Retries as a part of all requests.
pub const FRONT_RETRY_PERCENT: u32 = 20;
/// Between a request and the first byte of its answer.
pub const FRONT_ANSWER_MS: u64 = 60_000;
/// All attempts together.
pub const FRONT_DEADLINE_MS: u64 = 120_000;
/// Requests that one node is given at the same time.
pub const FRONT_NODE_REQUESTS_MAX: usize = 4_096;
/// Requests that wait for a node with room, and for how long.
pub const FRONT_WAITING_MAX: usize = 1_024;
pub const FRONT_WAITING_MS: u64 = 2_000;
/// What a client is told to wait when no node can be asked.
pub const FRONT_RETRY_AFTER_S: u64 = 1;
/// Active checks of nodes.
pub const FRONT_CHECK_INTERVAL_MS: u64 = 1_000;
pub const FRONT_CHECK_TIMEOUT_MS: u64 = 1_000;
pub const FRONT_CHECK_RISE: u32 = 2;
pub const FRONT_CHECK_FALL: u32 = 2;
/// How long a node that came, or came back, takes to its whole share.
pub const FRONT_SLOW_START_MS: u64 = 10_000;
/// With a smaller part of the nodes in health, doubtful ones are asked as well.
pub const FRONT_PANIC_PERCENT: u32 = 50;
/// What consistent hashing lets a node have above its share.
pub const FRONT_HASH_LOAD_PERCENT: u64 = 125;
/// How often it is looked whose check is due.
pub const FRONT_CHECK_TICK_MS: u64 = 100;
/// How long a client may take nothing of what it asked for.
pub const FRONT_STALL_MS: u64 = 30_000;
/// Connections to a front door's control address.
pub const FRONT_CONTROL_CONNECTIONS_MAX: usize = 4_096;
/// What operators did that a front door tells of.
pub const FRONT_DEEDS_MAX: usize = 32;
/// Names of what was purged that are told, and characters of each.
pub const FRONT_DEED_NAMES_MAX: usize = 5;
pub const FRONT_DEED_NAME_CHARS_MAX: usize = 100;
/// What one request may say there, and how long it may take to say it.
pub const FRONT_CONTROL_BODY_BYTES_MAX: usize = 2 << 20;
pub const FRONT_CONTROL_READ_MS: u64 = 10_000;
/// The longest answer of a control address that is read.
pub const FRONT_CONTROL_ANSWER_BYTES_MAX: usize = 16 << 20;
/// How long another front door may take to confirm a purge.
pub const FRONT_PASS_MS: u64 = 3_000;
/// How long a command waits for a front door.
pub const FRONT_COMMAND_MS: u64 = 10_000;
/// How long requests, and a successor that is to serve, wait for the first node right after the start, and how often they
/// look.
pub const FRONT_FIRST_NODE_MS: u64 = 3_000;
pub const FRONT_FIRST_NODE_LOOK_MS: u64 = 10;
/// What a front door tells its successor of its nodes.
pub const FRONT_HANDOVER_BYTES_MAX: usize = 64 << 10;
/// How long a successor asks the nodes of the process before it that have not announced themselves to it.
pub const FRONT_INHERITED_MS: u64 = 10_000;
