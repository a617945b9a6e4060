//! Multi-factor login: a first method that is right yields the id of a half-finished login, which a second, different
//! one completes. A half-finished login is good once and for a while.

use base::limits::MFAS_OPEN_MAX;
use base::{Kind, Value};
use model::Record;
use query::{Batch, ColumnType, Expr, Guard, Op, Operand, Operator, Select};
use serde_json::Value as Json;

use super::login::Method;
use super::owned;
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::rules::Context;

const TABLE: &str = "_mfas";
/// Where the client says which login it completes, in the query or the body.
const PARAMETER: &str = "mfaId";

pub(super) enum Step {
    NotNeeded,
    /// A login of this id waits for another method.
    Begun(String),
    /// This half-finished login is complete; see [`spend`].
    Completed(Record),
}

fn refused(message: &str) -> Error {
    Error::new(Kind::Invalid, message)
}

pub(super) fn gone() -> Error {
    refused("Invalid or expired MFA session.")
}

pub(super) async fn step(cx: &Context<'_>, record: &Record, method: Method) -> Result<Step> {
    let Some(options) = record.collection.auth().map(|options| &options.mfa) else {
        return Ok(Step::NotNeeded);
    };
    if !options.enabled {
        return Ok(Step::NotNeeded);
    }
    if !options.rule.is_empty() {
        let condition = cx.rule(&record.collection, &options.rule)?;
        if !cx.passes(record, &condition).await? {
            return Ok(Step::NotNeeded);
        }
    }
    let id = asked(cx)?;
    if id.is_empty() {
        return begin(cx, record, method).await.map(Step::Begun);
    }
    let rows = owned::collection(cx, TABLE)?;
    let first = cx.fetch(&rows, id).await?.ok_or_else(gone)?;
    if is_over(&first, cx.parts.clock.now().0, options.duration) {
        cx.store().commit(Batch::op(owned::delete(&first))).await?;
        return Err(gone());
    }
    if !owned::is_of(&first, record) {
        return Err(refused("Invalid MFA session."));
    }
    if first.text("method") == method.name() {
        return Err(refused("A different authentication method is required."));
    }
    Ok(Step::Completed(first))
}

/// Adds the end of a half-finished login to the batch, whose guard fails when somebody else was faster.
pub(super) fn spend(first: &Record, batch: &mut Batch) {
    let there = Select::by_ids(first.collection.name.clone(), Vec::new(), vec![first.id().into()]);
    batch.guards.push(Guard::Exists(there));
    batch.ops.push(owned::delete(first));
}

/// The query comes before the body.
fn asked<'a>(cx: &'a Context<'_>) -> Result<&'a str> {
    match cx.request.query.get(PARAMETER).filter(|id| !id.is_empty()) {
        Some(id) => Ok(id),
        None => match cx.request.body.get(PARAMETER) {
            None | Some(Json::Null) => Ok(""),
            Some(Json::String(id)) => Ok(id),
            Some(_) => Err(refused("Failed to read MFA Id.")),
        },
    }
}

async fn begin(cx: &Context<'_>, record: &Record, method: Method) -> Result<String> {
    let mut row = owned::blank(cx, TABLE, record)?;
    row.set("method", Value::from(method.name()));
    let id = row.id().to_string();
    let open = owned::all(cx, TABLE, record, MFAS_OPEN_MAX * 2).await?;
    let mut ops: Vec<Op> =
        open.iter().take((open.len() + 1).saturating_sub(MFAS_OPEN_MAX)).map(owned::delete).collect();
    ops.push(cx.insertion(&row));
    cx.store().commit(Batch { ops, ..Batch::default() }).await?;
    Ok(id)
}

/// Whether a row of `_mfas` or `_otps` has outlived its seconds.
pub(super) fn is_over(row: &Record, now_ms: i64, seconds: i64) -> bool {
    let created = base::Timestamp::parse(row.text("created")).map_or(i64::MIN, |created| created.0);
    created.saturating_add(seconds.saturating_mul(1000)) <= now_ms
}

/// Deletes half-finished logins that cannot be completed any more.
pub async fn clean_mfas(parts: &Parts) -> Result<()> {
    clean(parts, TABLE, |options| options.mfa.duration).await
}

/// Deletes the rows of every auth collection that have outlived the collection's seconds, and those of none.
pub(super) async fn clean(
    parts: &Parts,
    table: &str,
    seconds: impl Fn(&model::AuthOptions) -> i64,
) -> Result<()> {
    let schema = parts.catalog.schema();
    let now = parts.clock.now().0;
    let owner = || Operand::base("collectionRef", ColumnType::Text);
    let mut known = Vec::new();
    let mut ops = Vec::new();
    for collection in &schema.collections {
        let Some(options) = collection.auth() else { continue };
        let id = Value::from(&*collection.id);
        let before = base::Timestamp(now.saturating_sub(seconds(options).saturating_mul(1000))).to_string();
        let created = Operand::base("created", ColumnType::Date);
        let old = Expr::Compare { left: created, op: Operator::Lt, right: Value::from(before).into() };
        let filter = Expr::and([Expr::eq(owner(), id.clone()), old]);
        ops.push(Op::DeleteWhere { table: table.into(), filter });
        known.push(id);
    }
    let filter = Expr::Not(Box::new(Expr::In { left: owner(), values: known }));
    ops.push(Op::DeleteWhere { table: table.into(), filter });
    parts.store.commit(Batch { ops, ..Batch::default() }).await?;
    Ok(())
}
