//! One-time passwords: short codes that come by mail and are good once, for a while, for few attempts. `_otps` keeps
//! their bcrypt hashes, as the reference does.

mod login;
mod request;

pub use login::with_otp;
pub use request::request_otp;

use base::limits::PASSWORD_CHARS_MAX;
use base::{Kind, Timestamp, Value};
use model::collection::OtpOptions;
use model::{Collection, Record, Request};
use query::{Assign, Batch, Op};

use super::{mfa, owned, password};
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::rules::Context;

const TABLE: &str = "_otps";
const DIGITS: &str = "0123456789";

fn enabled(collection: &Collection) -> Result<&OtpOptions> {
    let refused =
        || Error::new(Kind::Forbidden, "The collection is not configured to allow OTP authentication.");
    collection.auth().map(|options| &options.otp).filter(|otp| otp.enabled).ok_or_else(refused)
}

/// A new code for the one-time password that was asked for under that id, at the moment when its mail is written: no
/// code lies anywhere before. `None` when it comes too late.
pub(crate) async fn renew(parts: &Parts, record: &Record, id: &str, at: Timestamp) -> Result<Option<String>> {
    let Ok(options) = enabled(&record.collection) else { return Ok(None) };
    let now = parts.clock.now();
    if now.0 >= at.0.saturating_add(options.duration.saturating_mul(1000)) {
        return Ok(None);
    }
    let request = Request::default();
    let cx = Context::new(parts, &request);
    let rows = owned::collection(&cx, TABLE)?;
    let cost = password::cost(&rows);
    let length = usize::try_from(options.length).unwrap_or_default().min(PASSWORD_CHARS_MAX);
    let code = base::id::random(length, DIGITS);
    let hash = Value::from(parts.hasher.hash(&code, cost).await?);
    let sent_to = Value::from(record.text("email"));
    let op = match cx.fetch(&rows, id).await? {
        // An earlier mail with another code may not have gone out.
        Some(row) if owned::is_of(&row, record) => {
            let time = || Assign::Set(Value::from(now.to_string()));
            let set = vec![
                ("password".into(), Assign::Set(hash)),
                ("sentTo".into(), Assign::Set(sent_to)),
                ("created".into(), time()),
                ("updated".into(), time()),
            ];
            Op::Update { table: TABLE.into(), id: id.into(), set }
        }
        Some(_) => return Ok(None),
        None => {
            let mut row = owned::blank(&cx, TABLE, record)?;
            row.set("id", Value::from(id));
            row.set("password", hash);
            row.set("sentTo", sent_to);
            cx.insertion(&row)
        }
    };
    parts.store.commit(Batch::op(op)).await?;
    Ok(Some(code))
}

/// Deletes one-time passwords that are past their time.
pub async fn clean_otps(parts: &Parts) -> Result<()> {
    parts.attempts.clean(parts.clock.now()).await?;
    mfa::clean(parts, TABLE, |options| options.otp.duration).await
}
