//! Everything that is known of one request, in all processes.

use base::Timestamp;
use base::Value;
use base::limits::TRACE_ROWS_MAX;
use query::select::SortKey;
use query::{ColumnType, Expr, Operand, Select, Sort};
use serde_json::Value as Json;

use super::TABLE;
use super::doors::{Answer, Door};
use super::read::{Entry, entry, indexed, shape};
use crate::error::Result;
use crate::rules::Context;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An entry of the log.
    Node,
    Door,
}

pub struct Trace {
    /// In order of time.
    pub items: Vec<(Source, Entry)>,
    /// Who was asked besides.
    pub doors: Vec<Door>,
}

pub async fn trace(cx: &Context<'_>, request: &str) -> Result<Trace> {
    let asked = async {
        match &cx.parts.doors {
            Some(ask) => ask(request.to_owned()).await,
            None => Vec::new(),
        }
    };
    let (doors, rows) = tokio::join!(asked, of_nodes(cx, request));
    let mut items: Vec<(Source, Entry)> = rows?.into_iter().map(|entry| (Source::Node, entry)).collect();
    for door in &doors {
        if let Answer::Lines(lines) = &door.answer {
            items.extend(lines.iter().map(|line| (Source::Door, of_door(&door.name, line))));
        }
    }
    items.sort_by(|(_, one), (_, other)| one.created.cmp(&other.created));
    Ok(Trace { items, doors })
}

async fn of_nodes(cx: &Context<'_>, request: &str) -> Result<Vec<Entry>> {
    let logs = indexed(cx).await?;
    let mut select = Select::table(TABLE, shape().table.columns.clone())
        .filter(Expr::eq(Operand::base("request", ColumnType::Text), Value::from(request)))
        .limit(TRACE_ROWS_MAX);
    let created = Operand::base("created", ColumnType::Date);
    select.sort = vec![Sort { by: SortKey::Operand(created), descending: false }];
    Ok(logs.store.select(&select).await?.iter().map(entry).collect())
}

/// A line of an access log as an entry. Its time is when the answer had been sent.
fn of_door(name: &str, line: &str) -> Entry {
    let said: Json = serde_json::from_str(line).unwrap_or_default();
    let text = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
    let created = Timestamp::parse(&text("time").replacen('T', " ", 1));
    let is_error = said["status"].as_u64().is_none_or(|status| status >= 400);
    let mut data = said.clone();
    if let Json::Object(data) = &mut data {
        data.insert("door".into(), name.into());
    }
    Entry {
        id: String::new(),
        created: created.map_or_else(|| text("time"), |created| created.to_string()),
        message: format!("{} {}", text("method"), text("target")),
        data: data.to_string(),
        level: if is_error { 8.0 } else { 0.0 },
    }
}
