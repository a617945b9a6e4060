//! What superusers ask of the database in its own language.

use base::Kind;
use model::violation::sentence;
use model::{Violation, Violations};
pub use store::Console;

use crate::audit;
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::{nodes, setup};

/// Runs the statements, and forgets everything that was known of the data if they may have written.
pub async fn run(parts: &Parts, sql: &str) -> Result<Console> {
    if sql.is_empty() {
        return Err(Error::form_with(Violations::one("query", Violation::required())));
    }
    let refused = |why: &str| {
        Error::new(Kind::Invalid, format!("Failed to execute query. Raw error:\n{}", sentence(why)))
    };
    if sql.trim().is_empty() {
        return Err(refused("empty query"));
    }
    audit::begun(parts, "sql.run", "", sql).await?;
    let result = parts.store.console(sql).await;
    // A failed script may have committed a part of itself.
    if !matches!(&result, Ok(console) if !console.wrote) {
        parts.stamps.expire_all();
        setup::announce(parts).await?;
        setup::refresh(parts).await?;
        parts.stamps.expire_all();
        parts.outside.anything(true);
        nodes::caught_up(parts).await;
    }
    result.map_err(|error| match error {
        store::Error::Refused(why) => refused(&why),
        other => other.into(),
    })
}
