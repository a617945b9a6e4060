//! Of webhooks and their deliveries.

/// Webhooks of one installation.
pub const WEBHOOKS_MAX: usize = 100;
/// Characters of a webhook's name.
pub const WEBHOOK_NAME_CHARS_MAX: usize = 100;
/// Length of a webhook's address.
pub const WEBHOOK_URL_BYTES_MAX: usize = 2_048;
/// Collections that one webhook follows.
pub const WEBHOOK_COLLECTIONS_MAX: usize = 100;
/// Headers of its own that a webhook sends along.
pub const WEBHOOK_HEADERS_MAX: usize = 20;
/// Length of such a header's name and value.
pub const WEBHOOK_HEADER_BYTES_MAX: usize = 4_096;
/// Bytes of a webhook's secret, as the Standard Webhooks specification has them.
pub const WEBHOOK_SECRET_BYTES_MIN: usize = 24;
pub const WEBHOOK_SECRET_BYTES_MAX: usize = 64;
/// Secrets that sign a delivery at a time: the newest, and those that were replaced lately.
pub const WEBHOOK_SECRETS_MAX: usize = 4;
/// How long a replaced secret goes on signing unless the caller says otherwise, and at most.
pub const WEBHOOK_OVERLAP_MS: i64 = 86_400_000;
pub const WEBHOOK_OVERLAP_MS_MAX: i64 = 30 * 86_400_000;
/// Events that one job carries, and the bytes after which it carries no further one.
pub const WEBHOOK_JOB_EVENTS_MAX: usize = 100;
pub const WEBHOOK_JOB_BYTES_MAX: usize = 128 << 10;
/// A larger record is not carried by the job: it is read when the job runs.
pub const WEBHOOK_EVENT_BYTES_MAX: usize = 128 << 10;
/// A body that would be larger names its record and shows nothing else of it.
pub const WEBHOOK_BODY_BYTES_MAX: usize = 1 << 20;
/// Bodies that are made before they are stored.
pub const WEBHOOK_BODIES_BYTES_MAX: usize = 4 << 20;
/// Deliveries that one process makes at a time.
pub const WEBHOOK_RUNNING_MAX: usize = 32;
/// The same to one webhook; one that fails gets one at a time.
pub const WEBHOOK_RUNNING_EACH_MAX: usize = 4;
/// How often due deliveries are looked for when nobody tells of any.
pub const WEBHOOK_POLL_MS: u64 = 1_000;
/// How long a receiver may take for its answer.
pub const WEBHOOK_ANSWER_MS: u64 = 15_000;
/// How long a delivery is its process's; longer than any attempt takes.
pub const WEBHOOK_LEASE_MS: i64 = 45_000;
/// Bytes of an answer that are read, and characters of it that are kept.
pub const WEBHOOK_RESPONSE_BYTES_MAX: usize = 16 << 10;
pub const WEBHOOK_RESPONSE_CHARS_MAX: usize = 1_000;
/// The waits between the attempts of one delivery; up to a quarter is added to each.
pub const WEBHOOK_RETRY_MS: [i64; 9] =
    [5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000, 72_000_000, 86_400_000];
/// A webhook that did nothing but fail for this long is switched off.
pub const WEBHOOK_FAILING_MS: i64 = 5 * 86_400_000;
/// How long deliveries are kept.
pub const WEBHOOK_LOG_MS: i64 = 30 * 86_400_000;
/// Deliveries of one webhook that are kept when they are done with; the oldest go first.
pub const WEBHOOK_LOG_ROWS_MAX: u64 = 10_000;
/// A webhook for which more deliveries wait is switched off.
pub const WEBHOOK_WAITING_MAX: u64 = 100_000;
/// Failed deliveries that are made due again in one step.
pub const WEBHOOK_AGAIN_ROWS: u64 = 500;
