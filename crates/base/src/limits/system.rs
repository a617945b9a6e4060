//! What is kept of the system's own figures and events, and what alerts may take.

/// How often a process looks at its own figures.
pub const PULSE_MS: u64 = 10_000;
/// How far apart points are that are kept: for an hour, for a day, for two weeks.
pub const PULSE_STEPS_S: [i64; 3] = [10, 60, 600];
/// How many of each are kept.
pub const PULSE_POINTS_MAX: [usize; 3] = [360, 1_440, 2_016];
/// How many of each share a row of the store.
pub const PULSE_BLOCK_POINTS: [i64; 3] = [6, 10, 12];
/// The largest row of points; one of another process that is larger is not read.
pub const PULSE_BLOCK_BYTES_MAX: usize = 32 << 10;
/// Rows of points of all processes together; the oldest go first.
pub const PULSE_ROWS_MAX: u64 = 20_000;
/// How long a process that writes no figures is shown before it is forgotten.
pub const PULSE_FORGET_MS: i64 = 24 * 3_600_000;
/// How long a process may write no figures before it counts as lost.
pub const PULSE_SILENT_MS: u64 = 45_000;
/// How long writing figures may take.
pub const PULSE_WRITE_MS: u64 = 5_000;
/// Processes whose figures are looked at.
pub const PULSE_NODES_MAX: usize = 256;
/// How often rows past their time are deleted.
pub const PULSE_SWEEP_MS: u64 = 600_000;
/// How long one process looks after the whole system before another one may.
pub const SYSTEM_LEAD_MS: i64 = 40_000;
/// How long the picture of the system is shown again without looking.
pub const SYSTEM_PICTURE_MS: u64 = 1_000;
/// How long whatever is part of the system may take to tell how it is.
pub const SYSTEM_PROBE_MS: u64 = 800;
/// Events of the system that are kept, and for how long.
pub const SYSTEM_EVENTS_MAX: u64 = 5_000;
pub const SYSTEM_EVENTS_MS: i64 = 30 * 86_400_000;
/// What is noted of one deed at a front door.
pub const SYSTEM_DEED_BYTES_MAX: usize = 8 << 10;
/// Events in one answer.
pub const SYSTEM_EVENTS_PAGE_MAX: u64 = 500;
/// Points of all series in one answer.
pub const SYSTEM_SERIES_VALUES_MAX: usize = 400_000;
/// Rows that are read for one answer.
pub const SYSTEM_SERIES_ROWS_MAX: u64 = 20_000;
/// From which 99th percentile of its answers a process counts as slow.
pub const SYSTEM_SLOW_SECONDS: f64 = 1.0;
/// Alert rules.
pub const ALERT_RULES_MAX: usize = 100;
/// Addresses that are told of an alert.
pub const ALERT_RECIPIENTS_MAX: usize = 50;
/// How long what an alert is about must have been well before it is resolved, at least.
pub const ALERT_CLEAR_MS: u64 = 60_000;
/// How often it is told again of what still fires.
pub const ALERT_REMIND_MS: u64 = 4 * 3_600_000;
/// How long a condition may have to hold before an alert fires.
pub const ALERT_FOR_MS_MAX: u64 = 24 * 3_600_000;
