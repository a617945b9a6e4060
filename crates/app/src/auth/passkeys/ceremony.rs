//! Challenges that wait for their answer. They lie in the database, so that any process may judge the answer, and
//! each is good once.

use base::Kind;
use base::Value;
use base::limits::{CEREMONIES_DROPPED, CEREMONIES_MAX, CEREMONY_MS};
use model::Collection;
use query::{Batch, Column, ColumnType, Expr, Guard, Op, Operand, Operator, Select, Sort, SortKey};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::auth::owned::is;
use crate::error::{Error, Result};
use crate::rules::Context;

const TABLE: &str = "_pando_ceremonies";
const ID_LEN: usize = 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Register,
    Login,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Purpose::Register => "register",
            Purpose::Login => "login",
        }
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::new("id", ColumnType::Id),
        Column::new("purpose", ColumnType::Text),
        Column::new("collectionRef", ColumnType::Text),
        Column::new("recordRef", ColumnType::Text),
        Column::new("state", ColumnType::Text),
        Column::new("expires", ColumnType::Number),
    ]
}

/// Keeps the state of a new challenge and returns its id. `record` is empty when nobody is known yet.
pub(super) async fn begin(
    cx: &Context<'_>,
    purpose: Purpose,
    collection: &Collection,
    record: &str,
    state: &impl Serialize,
) -> Result<String> {
    let internal = |error: serde_json::Error| Error::new(Kind::Internal, "Passkeys failed.").details(error);
    let state = serde_json::to_string(state).map_err(internal)?;
    let now = cx.parts.clock.now().0;
    make_room(cx, purpose, now).await?;
    let id = base::id::random(ID_LEN, base::id::ALPHANUMERIC);
    let mut ops = vec![sweep(now)];
    if purpose == Purpose::Register {
        // One at a time for each record.
        let earlier =
            [is("purpose", purpose.name()), is("collectionRef", &collection.id), is("recordRef", record)];
        ops.push(Op::DeleteWhere { table: TABLE.into(), filter: Expr::and(earlier) });
    }
    ops.push(Op::Insert {
        table: TABLE.into(),
        values: vec![
            ("id".into(), Value::from(id.as_str())),
            ("purpose".into(), Value::from(purpose.name())),
            ("collectionRef".into(), Value::from(&*collection.id)),
            ("recordRef".into(), Value::from(record)),
            ("state".into(), Value::from(state)),
            ("expires".into(), Value::Number((now + CEREMONY_MS) as f64)),
        ],
    });
    cx.store().commit(Batch { ops, ..Batch::default() }).await?;
    Ok(id)
}

/// Anybody may ask for a challenge, as often as they like. When there are too many of a kind, the oldest go: they are
/// the least likely to be answered yet, and nobody is locked out by those that are never answered. Registrations,
/// which only users begin, do not give way to sign-ins.
async fn make_room(cx: &Context<'_>, purpose: Purpose, now: i64) -> Result<()> {
    let expires = || Column::new("expires", ColumnType::Number);
    let of_kind = is("purpose", purpose.name());
    let open = Select::table(TABLE, vec![expires()]).filter(of_kind.clone());
    if cx.store().count(&open).await? < CEREMONIES_MAX {
        return Ok(());
    }
    cx.store().commit(Batch::op(sweep(now))).await?;
    if cx.store().count(&open).await? < CEREMONIES_MAX {
        return Ok(());
    }
    let mut oldest = open.limit(1);
    oldest.sort =
        vec![Sort { by: SortKey::Operand(Operand::base("expires", ColumnType::Number)), descending: false }];
    oldest.offset = CEREMONIES_DROPPED - 1;
    let Some(row) = cx.store().first(&oldest).await? else { return Ok(()) };
    let oldest = Expr::and([of_kind, expires_by(Operator::Le, row.get(0).as_number())]);
    cx.store().commit(Batch::op(Op::DeleteWhere { table: TABLE.into(), filter: oldest })).await?;
    tracing::warn!("too many passkey challenges wait for an answer: the oldest were dropped");
    Ok(())
}

fn sweep(now: i64) -> Op {
    Op::DeleteWhere { table: TABLE.into(), filter: expires_by(Operator::Lt, now as f64) }
}

fn expires_by(op: Operator, time: f64) -> Expr {
    let expires = Operand::base("expires", ColumnType::Number);
    Expr::Compare { left: expires, op, right: Value::Number(time).into() }
}

/// Takes a challenge: whoever asks second, or too late, gets `None`. With the record that it was made for.
pub(super) async fn take<T: DeserializeOwned>(
    cx: &Context<'_>,
    purpose: Purpose,
    collection: &Collection,
    id: &str,
) -> Result<Option<(String, T)>> {
    let there = Select::table(TABLE, columns()).filter(Expr::and([
        Expr::eq(Operand::base("id", ColumnType::Id), Value::from(id)),
        is("purpose", purpose.name()),
        is("collectionRef", &collection.id),
    ]));
    let Some(row) = cx.store().first(&there.clone().limit(1)).await? else { return Ok(None) };
    let guards = vec![Guard::Exists(there.limit(1))];
    let delete = Op::DeleteWhere {
        table: TABLE.into(),
        filter: Expr::eq(Operand::base("id", ColumnType::Id), Value::from(id)),
    };
    match cx.store().commit(Batch { guards, ops: vec![delete], ..Batch::default() }).await {
        Ok(_) => {}
        Err(store::Error::Guard(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    if row.get(5).as_number() <= cx.parts.clock.now().0 as f64 {
        return Ok(None);
    }
    let state = serde_json::from_str(row.get(4).text_or_empty()).ok();
    Ok(state.map(|state| (row.get(3).text_or_empty().to_owned(), state)))
}
