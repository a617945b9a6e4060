//! Exports and imports of a collection's records, for superusers: a row says what is to be done and how far it is, a
//! job does it, and what is exported or was uploaded lies in the files' place.

pub mod export;
pub mod import;

mod format;
mod reader;
mod stored;

pub use format::Format;
pub use import::Mode;
pub(crate) use stored::{COLUMNS, TABLE};
pub use stored::{Direction, Exchange, RowError, State};

use std::sync::Arc;

use backing::blob::Blob;
use base::limits::{EXCHANGE_KEPT_MS, EXCHANGE_TRIES_MAX, EXCHANGES_MAX};
use base::{Kind, Timestamp, Value};
use model::{Collection, Request, Violation};
use query::{Batch, ColumnType, Expr, Op, Operand, Operator, Select};

use crate::auth::token::{self, Purpose};
use crate::error::{Error, Result};
use crate::jobs::Work;
use crate::parts::Parts;
use crate::rules::Context;

/// In the files' place. No collection's folder begins with a dot.
const FOLDER: &str = ".pando_exchange";

fn key(id: &str) -> String {
    format!("{FOLDER}/{id}")
}

/// Those of a direction, the newest first.
pub async fn all(parts: &Parts, direction: Direction) -> Result<Vec<Exchange>> {
    stored::all(&parts.store, direction).await
}

pub async fn view(parts: &Parts, direction: Direction, id: &str) -> Result<Exchange> {
    let found = stored::one(&parts.store, id).await?.filter(|found| found.direction == direction);
    found.ok_or_else(Error::not_found)
}

/// What is under way ends with its next step.
pub async fn delete(parts: &Parts, direction: Direction, id: &str) -> Result<()> {
    view(parts, direction, id).await?;
    parts.store.commit(Batch::op(Op::Delete { table: TABLE.into(), id: id.into(), row: None })).await?;
    if let Some(blobs) = parts.blobs_if_any()? {
        blobs.delete(&key(id)).await?;
    }
    Ok(())
}

/// An export's file, for superusers and the owners of their file tokens.
pub async fn file(cx: &Context<'_>, id: &str, token: &str) -> Result<(Exchange, Blob)> {
    let owner = match token.is_empty() {
        true => None,
        false => token::verify(cx, token, Purpose::File).await?,
    };
    if !cx.is_superuser() && !owner.is_some_and(|owner| owner.collection.is_superusers()) {
        return Err(Error::superusers_only());
    }
    let exchange = view(cx.parts, Direction::Export, id).await?;
    if exchange.state != State::Done {
        return Err(Error::not_found().details("the export is not done"));
    }
    let blob = cx.parts.blobs()?.get(&key(id)).await?;
    Ok((exchange, blob))
}

/// The collection that is asked for.
fn named(cx: &Context<'_>, name: &str) -> Result<Arc<Collection>> {
    if name.is_empty() {
        return Err(Error::form("collection", Violation::required()));
    }
    cx.collection(name).ok_or_else(|| {
        Error::form(
            "collection",
            Violation::new("validation_missing_collection", "There is no such collection."),
        )
    })
}

fn not_one_of(field: &str) -> Error {
    Error::form(field, Violation::new("validation_in_invalid", "Must be a valid value."))
}

/// Stores what is to be done, with the job that does it.
async fn begin(cx: &Context<'_>, exchange: Exchange) -> Result<Exchange> {
    let batch = Batch {
        ops: vec![exchange.insertion()?],
        jobs: vec![Work::Exchange { id: exchange.id.to_string() }.job()],
        ..Batch::default()
    };
    cx.store().commit(batch).await?;
    Ok(exchange)
}

/// Fails when too many are kept.
async fn room(cx: &Context<'_>) -> Result<()> {
    if cx.store().count(&Select::table(TABLE, Vec::new())).await? >= EXCHANGES_MAX {
        let message = format!("No more than {EXCHANGES_MAX} exports and imports are kept: delete some.");
        return Err(Error::new(Kind::Invalid, message));
    }
    Ok(())
}

/// The request that everything is done with: whoever asked for it must still be a superuser.
async fn request(parts: &Parts, exchange: &Exchange) -> Result<Request> {
    let none = Request::default();
    let cx = Context::new(parts, &none);
    let auth = match cx.schema.superusers() {
        Some(superusers) => cx.fetch(superusers, &exchange.by).await?,
        None => None,
    };
    let auth = auth.ok_or_else(|| Error::new(Kind::Forbidden, "The superuser who asked for it is gone."))?;
    Ok(Request { auth: Some(Arc::new(auth)), ..Request::default() })
}

/// Does the job. What cannot succeed is noted and done with, the rest is tried again.
pub async fn run(parts: &Parts, id: &str) -> Result<()> {
    let Some(mut exchange) = stored::one(&parts.store, id).await? else { return Ok(()) };
    if matches!(exchange.state, State::Done | State::Failed) {
        return Ok(());
    }
    if exchange.tries >= EXCHANGE_TRIES_MAX {
        let message = match &exchange.error {
            error if error.is_empty() => "It never came to an end.".into(),
            error => error.clone(),
        };
        return fail(parts, exchange, message).await;
    }
    exchange.tries += 1;
    exchange.state = State::Running;
    exchange.save(parts, Vec::new()).await?;
    let ran = match exchange.direction {
        Direction::Export => export::run(parts, &mut exchange).await,
        Direction::Import => import::run(parts, &mut exchange).await,
    };
    let Err(error) = ran else { return Ok(()) };
    if stored::is_overtaken(&error) {
        return Err(error);
    }
    if !matches!(error.kind, Kind::Unavailable | Kind::Internal | Kind::Conflict) {
        return fail(parts, exchange, stored::told(&error)).await;
    }
    // Shown until it goes on.
    exchange.error = stored::told(&error);
    if let Err(second) = exchange.save(parts, Vec::new()).await {
        tracing::debug!(details = second.details, "an error could not be noted: {second}");
    }
    Err(error)
}

async fn fail(parts: &Parts, mut exchange: Exchange, message: String) -> Result<()> {
    exchange.state = State::Failed;
    exchange.error = message;
    exchange.save(parts, Vec::new()).await?;
    // What was uploaded is of no use any more.
    drop_upload(parts, &exchange).await
}

async fn drop_upload(parts: &Parts, exchange: &Exchange) -> Result<()> {
    if exchange.direction == Direction::Import
        && let Some(blobs) = parts.blobs_if_any()?
    {
        blobs.delete(&key(&exchange.id)).await?;
    }
    Ok(())
}

/// Deletes those that are old, and files that nobody knows of any more.
pub(crate) async fn sweep(parts: &Parts) -> Result<()> {
    let before = Timestamp(parts.clock.now().0 - EXCHANGE_KEPT_MS);
    let left = Operand::base("created", ColumnType::Date);
    let old = Expr::Compare { left, op: Operator::Lt, right: Value::from(before.to_string()).into() };
    parts.store.commit(Batch::op(Op::DeleteWhere { table: TABLE.into(), filter: old })).await?;
    if let Some(blobs) = parts.blobs_if_any()? {
        blobs.delete_prefix(FOLDER, before).await?;
    }
    Ok(())
}
