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

/// What a field's cost means; 0 is the default.
fn cost_of(cost: i64) -> u32 {
    match u32::try_from(cost) {
        Ok(cost @ 4..=31) => cost,
        _ => COST_DEFAULT,
    }
}

/// A hash that no known password has.
fn nobodys_hash(cost: i64) -> String {
    format!("$2a${:02}$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", cost_of(cost))
}

/// The cost of the collection's passwords.
pub fn cost(collection: &model::Collection) -> i64 {
    match collection.field("password").map(|field| &field.kind) {
        Some(model::FieldKind::Password(password)) => password.cost,
        _ => 0,
    }
}

impl Hasher {
    pub fn new(pool: CpuPool) -> Self {
        Hasher(pool)
    }

    /// `cost` of 0 means the default.
    pub async fn hash(&self, password: &str, cost: i64) -> Result<String> {
        let password = password.to_string();
        let cost = cost_of(cost);
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

    /// Takes as long as a real check of a hash of that cost does, for when there is nothing to check against.
    pub async fn waste(&self, password: &str, cost: i64) -> Result<()> {
        self.verify(password, &nobodys_hash(cost)).await.map(drop)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        self.0.run(work).await.map_err(|undone| match undone {
            Undone::Busy => Error::new(Kind::Unavailable, "Too many logins at the moment. Try again later."),
            Undone::Panicked => Error::new(Kind::Internal, "Password check failed."),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What time it takes must not tell that nobody was found.
    #[test]
    fn nobodys_hash_is_a_real_one_of_the_asked_cost() {
        for (asked, cost) in [(0, COST_DEFAULT), (4, 4), (8, 8), (13, 13), (99, COST_DEFAULT)] {
            let parts: bcrypt::HashParts = nobodys_hash(asked).parse().unwrap();
            assert_eq!(parts.get_cost(), cost, "{asked}");
        }
        assert!(!bcrypt::verify("password", &nobodys_hash(4)).unwrap());
    }
}
