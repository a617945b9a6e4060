//! Of logins, and of making the first who may log in.

/// Codes that may be tried for one address before it must wait.
pub const OTP_ATTEMPTS_MAX: u32 = 5;
/// How long it waits, counted from the first of them.
pub const OTP_ATTEMPTS_MS: i64 = 180_000;
/// Addresses whose one-time passwords are counted.
pub const OTP_ATTEMPTS_KEPT_MAX: usize = 20_000;
/// One-time passwords that are open for one address at a time; more requests get the newest one's id and no mail.
pub const OTPS_OPEN_MAX: usize = 10;
/// Places that a record is remembered to have signed in from.
pub const AUTH_ORIGINS_MAX: usize = 5;
/// Half-finished logins that are open for one record at a time; the oldest go first.
pub const MFAS_OPEN_MAX: usize = 20;
/// How long the link that is printed at the first start lets somebody make the first superuser.
pub const INSTALLER_TOKEN_SECONDS: i64 = 1_800;
