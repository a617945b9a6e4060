//! Deliveries: one row for each event and webhook, with what is sent and what came of it.

use std::sync::Arc;

use base::limits::WEBHOOK_AGAIN_ROWS;
use base::{Kind, Name, Timestamp, Value};
use model::field::{DateField, NumberField, TextField};
use model::{Collection, CollectionKind, Field, FieldKind, Violation};
use observe::request_id;
use query::select::SortKey;
use query::{Assign, Batch, Column, ColumnType, Expr, Guard, Op, Operand, Operator, Row, Select, Sort};

use super::DELIVERIES;
use crate::error::{Error, Result};
use crate::logs::read::selected;
use crate::parts::Parts;
use crate::records::{ListQuery, Page};
use crate::rules::Context;

/// The columns beside the id.
pub(crate) const COLUMNS: [(&str, ColumnType); 15] = [
    ("webhook", ColumnType::Text),
    ("event", ColumnType::Text),
    ("type", ColumnType::Text),
    ("state", ColumnType::Text),
    ("attempts", ColumnType::Number),
    ("next", ColumnType::Number),
    ("holder", ColumnType::Text),
    ("status", ColumnType::Number),
    ("error", ColumnType::Text),
    ("response", ColumnType::Text),
    ("duration", ColumnType::Number),
    ("request", ColumnType::Text),
    ("body", ColumnType::Text),
    ("tried", ColumnType::Date),
    ("created", ColumnType::Date),
];
/// The most recent ones first.
const NEWEST: &str = "-created,-id";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waits for its next attempt, or is being made.
    Pending,
    Delivered,
    /// Given up.
    Failed,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Delivered => "delivered",
            State::Failed => "failed",
        }
    }
}

/// One as people look at it.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub id: String,
    pub webhook: String,
    pub event: String,
    pub kind: String,
    pub state: String,
    pub attempts: f64,
    /// The status of the last answer; 0 when there was none.
    pub status: f64,
    pub error: String,
    pub duration_ms: f64,
    pub request: String,
    /// When it is tried next; `None` when it is done with.
    pub next: Option<Timestamp>,
    pub tried: String,
    pub created: String,
    /// What is sent and how the last answer began; only where one is looked at alone.
    pub content: Option<(String, String)>,
}

/// One that is not there yet.
pub(super) struct New {
    pub id: Name,
    pub webhook: Name,
    pub event: String,
    pub kind: &'static str,
    pub body: Arc<str>,
    /// Why it is not even tried.
    pub refused: Option<String>,
    pub at: Timestamp,
}

/// The same for the same event and webhook, however often it is made.
pub(super) fn id(event: &str, webhook: &str) -> Name {
    format!("{}{webhook}", event.trim_start_matches("msg_")).into()
}

impl New {
    /// Due at once.
    pub fn insertion(self, now: Timestamp) -> Op {
        let state = if self.refused.is_some() { State::Failed } else { State::Pending };
        let request = request_id::current().map(|id| id.as_str().to_owned()).unwrap_or_default();
        let values = vec![
            ("id".into(), Value::from(&*self.id)),
            ("webhook".into(), Value::from(&*self.webhook)),
            ("event".into(), Value::from(self.event)),
            ("type".into(), Value::from(self.kind)),
            ("state".into(), Value::from(state.name())),
            ("next".into(), number(now.0)),
            ("error".into(), Value::from(self.refused.unwrap_or_default())),
            ("request".into(), Value::from(request)),
            ("body".into(), Value::from(&*self.body)),
            ("created".into(), Value::from(self.at.to_string())),
        ];
        Op::Insert { table: DELIVERIES.into(), values }
    }
}

pub(super) fn number(number: i64) -> Value {
    Value::Number(number as f64)
}

pub(super) fn is(column: &str, value: &str) -> Expr {
    Expr::eq(Operand::base(column, ColumnType::Text), Value::from(value))
}

pub(super) fn in_state(state: State) -> Select {
    Select::table(DELIVERIES, vec![Column::new("id", ColumnType::Id)]).filter(is("state", state.name()))
}

/// What a list shows and may be filtered and sorted by.
fn shape() -> Collection {
    let text = |name: &str| Field::new(name, FieldKind::Text(TextField::default()));
    let date = |name: &str| Field::new(name, FieldKind::Date(DateField::default()));
    let figure = |name: &str| Field::new(name, FieldKind::Number(NumberField::default()));
    let mut shape = Collection::blank(CollectionKind::Base);
    shape.name = DELIVERIES.into();
    shape.fields = vec![
        text("id"),
        text("webhook"),
        text("event"),
        text("type"),
        text("state"),
        figure("attempts"),
        figure("status"),
        text("error"),
        figure("duration"),
        text("request"),
        figure("next"),
        date("tried"),
        date("created"),
    ];
    shape.seal();
    shape
}

fn delivery(row: &Row) -> Delivery {
    let text = |index| row.get(index).text_or_empty().to_string();
    let figure = |index| row.get(index).as_number();
    let state = text(4);
    Delivery {
        id: text(0),
        webhook: text(1),
        event: text(2),
        kind: text(3),
        next: (state == State::Pending.name()).then(|| Timestamp(figure(10) as i64)),
        state,
        attempts: figure(5),
        status: figure(6),
        error: text(7),
        duration_ms: figure(8),
        request: text(9),
        tried: text(11),
        created: text(12),
        content: None,
    }
}

/// The deliveries of a webhook, without what was sent.
pub async fn list(cx: &Context<'_>, webhook: &str, query: &ListQuery) -> Result<Page<Delivery>> {
    super::view(cx.parts, webhook).await?;
    let shape = Arc::new(shape());
    let sort = if query.sort.is_empty() { NEWEST } else { &query.sort };
    let select = selected(cx, &shape, &query.filter, sort)?.filter(is("webhook", webhook));
    query.find(&cx.parts.store, select, delivery).await
}

pub async fn view(parts: &Parts, webhook: &str, id: &str) -> Result<Delivery> {
    let mut columns: Vec<Column> = shape().table.columns.clone();
    let content = columns.len();
    columns.extend(["body", "response"].map(|name| Column::new(name, ColumnType::Text)));
    let select = Select::by_ids(DELIVERIES, columns, vec![id.into()]).filter(is("webhook", webhook));
    let row = parts.store.first(&select).await?.ok_or_else(Error::not_found)?;
    let text = |index| row.get(index).text_or_empty().to_string();
    Ok(Delivery { content: Some((text(content), text(content + 1))), ..delivery(&row) })
}

/// Sends the same bytes under the same id again, now, and tries it as often as a new one.
pub async fn redeliver(parts: &Parts, webhook: &str, id: &str) -> Result<Delivery> {
    view(parts, webhook, id).await?;
    let free = Select::by_ids(DELIVERIES, Vec::new(), vec![id.into()]).filter(is("holder", ""));
    let ops = vec![again(id.into(), parts.clock.now())];
    match parts.store.commit(Batch { guards: vec![Guard::Exists(free)], ops, ..Batch::default() }).await {
        Ok(_) => {}
        Err(store::Error::Guard(_)) => {
            return Err(Error::new(Kind::Conflict, "The delivery is being made right now."));
        }
        Err(error) => return Err(error.into()),
    }
    parts.webhooks.0.wake.notify_one();
    view(parts, webhook, id).await
}

fn again(id: Name, now: Timestamp) -> Op {
    let set = vec![
        ("state".into(), Assign::Set(Value::from(State::Pending.name()))),
        ("attempts".into(), Assign::Set(number(0))),
        ("next".into(), Assign::Set(number(now.0))),
    ];
    Op::Update { table: DELIVERIES.into(), id, set }
}

/// Makes every delivery due again that was given up and is about an event since then. Returns how many they are.
pub async fn redeliver_failed(parts: &Parts, webhook: &str, since: &str) -> Result<u64> {
    super::view(parts, webhook).await?;
    let since = Timestamp::parse(since)
        .ok_or_else(|| Error::form("since", Violation::new("validation_invalid_date", "Must be a date.")))?;
    let created = Operand::base("created", ColumnType::Date);
    let mut failed = in_state(State::Failed).filter(is("webhook", webhook)).filter(Expr::Compare {
        left: created.clone(),
        op: Operator::Ge,
        right: Value::from(since.to_string()).into(),
    });
    failed.sort = vec![Sort { by: SortKey::Operand(created), descending: false }];
    failed.limit = Some(WEBHOOK_AGAIN_ROWS);
    // Those that fail meanwhile are not this call's.
    let (mut count, most) = (0, parts.store.count(&failed).await?);
    while count < most {
        let rows = parts.store.select(&failed).await?;
        if rows.is_empty() {
            break;
        }
        let now = parts.clock.now();
        let ops = rows.iter().map(|row| again(row.get(0).text_or_empty().into(), now)).collect();
        parts.store.commit(Batch { ops, ..Batch::default() }).await?;
        count += rows.len() as u64;
        parts.webhooks.0.wake.notify_one();
    }
    Ok(count)
}
