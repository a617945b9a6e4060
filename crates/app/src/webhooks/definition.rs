//! A webhook as it is stored.

use std::collections::BTreeMap;

use base::{Kind, Name, Timestamp, Value};
use query::select::SortKey;
use query::{Assign, Column, ColumnType, Op, Row, Select, Sort};
use serde::{Deserialize, Serialize};
use store::Store;

use super::TABLE;
use super::secret::Secret;
use crate::error::{Error, Result};
use crate::settings::Cipher;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Create,
    Update,
    Delete,
}

impl Action {
    pub const ALL: [Action; 3] = [Action::Create, Action::Update, Action::Delete];

    pub fn name(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }

    /// The type of its events.
    pub fn event(self) -> &'static str {
        match self {
            Action::Create => "record.created",
            Action::Update => "record.updated",
            Action::Delete => "record.deleted",
        }
    }
}

/// The names are what is stored. What a later version adds is read over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Webhook {
    #[serde(skip)]
    pub id: Name,
    pub name: String,
    pub url: String,
    /// Ids, so that renamed collections are still followed.
    pub collections: Vec<String>,
    pub events: Vec<Action>,
    /// In the language of rules, about the record; empty lets every record pass.
    pub filter: String,
    pub headers: BTreeMap<String, String>,
    pub enabled: bool,
    /// Why it was switched off, when nobody asked for that.
    pub disabled_reason: String,
    /// The newest first.
    pub secrets: Vec<Secret>,
    /// Since when nothing but failures came of it (ms); 0 when the last attempt was good.
    #[serde(skip)]
    pub failing: i64,
    #[serde(skip)]
    pub created: String,
    #[serde(skip)]
    pub updated: String,
}

fn columns() -> Vec<Column> {
    [
        ("id", ColumnType::Id),
        ("value", ColumnType::Text),
        ("failing", ColumnType::Number),
        ("created", ColumnType::Text),
        ("updated", ColumnType::Text),
    ]
    .into_iter()
    .map(|(name, ty)| Column::new(name, ty))
    .collect()
}

pub async fn all(store: &Store, cipher: &Cipher) -> Result<Vec<Webhook>> {
    let mut select = Select::table(TABLE, columns());
    select.sort = vec![Sort { by: SortKey::Insertion, descending: false }];
    store.select(&select).await?.iter().map(|row| decode(row, cipher)).collect()
}

/// Those of these ids that there are.
pub async fn some(store: &Store, cipher: &Cipher, ids: Vec<Name>) -> Result<Vec<Webhook>> {
    let select = Select::by_ids(TABLE, columns(), ids);
    store.select(&select).await?.iter().map(|row| decode(row, cipher)).collect()
}

pub async fn one(store: &Store, cipher: &Cipher, id: &str) -> Result<Option<Webhook>> {
    Ok(some(store, cipher, vec![id.into()]).await?.pop())
}

fn decode(row: &Row, cipher: &Cipher) -> Result<Webhook> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Error::new(Kind::Unsupported, "A stored webhook cannot be read.").details(error)
    };
    let text = cipher.open(row.get(1).text_or_empty()).map_err(|error| unreadable(&error))?;
    let webhook: Webhook = serde_json::from_str(&text).map_err(|error| unreadable(&error))?;
    Ok(Webhook {
        id: row.get(0).text_or_empty().into(),
        failing: row.get(2).as_number() as i64,
        created: row.get(3).text_or_empty().into(),
        updated: row.get(4).text_or_empty().into(),
        ..webhook
    })
}

impl Webhook {
    fn value(&self, cipher: &Cipher) -> Result<Value> {
        let text = serde_json::to_string(self).map_err(Error::internal)?;
        let sealed = cipher.seal(&text).map_err(Error::internal)?;
        Ok(Value::from(sealed.unwrap_or(text)))
    }

    pub fn insertion(&self, cipher: &Cipher) -> Result<Op> {
        let values = vec![
            ("id".into(), Value::from(&*self.id)),
            ("value".into(), self.value(cipher)?),
            ("created".into(), Value::from(self.created.as_str())),
            ("updated".into(), Value::from(self.updated.as_str())),
        ];
        Ok(Op::Insert { table: TABLE.into(), values })
    }

    /// Stores it again. Its failures are counted anew.
    pub fn update(&self, cipher: &Cipher) -> Result<Op> {
        let set = vec![
            ("value".into(), Assign::Set(self.value(cipher)?)),
            ("failing".into(), Assign::Set(Value::Number(self.failing as f64))),
            ("updated".into(), Assign::Set(Value::from(self.updated.as_str()))),
        ];
        Ok(Op::Update { table: TABLE.into(), id: self.id.clone(), set })
    }

    pub fn follows(&self, action: Action) -> bool {
        self.events.contains(&action)
    }

    /// The secrets that sign now.
    pub fn signing(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        self.secrets.iter().filter(move |secret| secret.is_valid(now))
    }
}
