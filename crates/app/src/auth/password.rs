//! Password hashing on a bounded pool, so that logins cannot take the processor from everyone else.

use backing::CpuPool;
use backing::cpu_pool::Undone;
use base::Kind;
use base::limits::PASSWORD_BYTES_MAX;

use crate::error::{Error, Result};

/// The cost that the reference uses unless a field says otherwise.
pub const COST_DEFAULT: u32 = 10;

#[derive(Clone)]
pub struct Hasher(CpuPool);

/// Characters of a password that nobody knows.
const NOBODYS_LEN: usize = 30;

/// A new password that nobody knows, for accounts that are entered in another way.
pub fn nobodys() -> base::Value {
    base::Value::from(base::id::random(NOBODYS_LEN, base::id::ALPHANUMERIC))
}

impl Hasher {
    pub fn new(pool: CpuPool) -> Self {
        Hasher(pool)
    }

    /// `cost` of 0 means the default.
    pub async fn hash(&self, password: &str, cost: i64) -> Result<String> {
        let password = password.to_string();
        let cost = match u32::try_from(cost) {
            Ok(cost @ 4..=31) => cost,
            _ => COST_DEFAULT,
        };
        self.run(move || {
            bcrypt::hash_with_result(password, cost)
                .map(|parts| parts.format_for_version(bcrypt::Version::TwoA))
                .map_err(|error| Error::bad_request().details(error))
        })
        .await?
    }

    /// Whether the password is the hash's. A hash that is none is nobody's.
    pub async fn verify(&self, password: &str, hash: &str) -> Result<bool> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        let (password, hash) = (password.to_string(), hash.to_string());
        self.run(move || bcrypt::verify(password, &hash).unwrap_or(false)).await
    }

    /// Takes as long as a real check does, for when there is nothing to check against.
    pub async fn waste(&self, password: &str) -> Result<()> {
        // A hash of a random password at the default cost.
        const NOBODY: &str = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
        self.verify(password, NOBODY).await.map(drop)
    }

    /// The same for a code, whose hash is cheaper.
    pub async fn waste_code(&self, code: &str) -> Result<()> {
        const NOBODY: &str = "$2a$08$N9qo8uLOickgx2ZMRZoMyeXJMxoa2htosxwMH92teQhgjYisaVipO";
        self.verify(code, NOBODY).await.map(drop)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        self.0.run(work).await.map_err(|undone| match undone {
            Undone::Busy => Error::new(Kind::Unavailable, "Too many logins at the moment. Try again later."),
            Undone::Panicked => Error::new(Kind::Internal, "Password check failed."),
        })
    }
}
