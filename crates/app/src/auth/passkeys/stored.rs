//! The keys that were registered.

use base::{Timestamp, Value};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::Record;
use query::{Assign, Column, ColumnType, Expr, Guard, Op, Operand, Row, Select};
use sha2::{Digest, Sha256};
use webauthn_rs::prelude::{Passkey as Credential, Uuid};

use crate::auth::owned::{is, of};
use crate::error::Result;
use crate::rules::Context;

pub(super) const TABLE: &str = "_pando_passkeys";

/// One key of a record, without what proves it.
#[derive(Clone, Debug)]
pub struct Passkey {
    pub id: String,
    pub name: String,
    pub created: String,
    /// Empty until the key is used.
    pub used: String,
    pub(super) record: String,
    /// base64url.
    pub(super) credential_id: String,
    /// The library's own JSON; empty never.
    pub(super) credential: String,
}

impl Passkey {
    fn read(row: &Row) -> Self {
        let text = |index: usize| row.get(index).text_or_empty().to_owned();
        Passkey {
            id: text(0),
            record: text(1),
            credential_id: text(2),
            credential: text(3),
            name: text(4),
            created: text(5),
            used: text(6),
        }
    }

    pub(super) fn credential(&self) -> Option<Credential> {
        serde_json::from_str(&self.credential).ok()
    }
}

fn select() -> Select {
    let text = |name: &str| Column::new(name, ColumnType::Text);
    let mut columns = vec![Column::new("id", ColumnType::Id)];
    columns.extend(["recordRef", "credentialId", "credential", "name", "created", "used"].map(text));
    Select::table(TABLE, columns)
}

/// All keys of a record, the oldest first.
pub(super) async fn all(cx: &Context<'_>, record: &Record) -> Result<Vec<Passkey>> {
    Ok(cx.store().select(&select().filter(of(record))).await?.iter().map(Passkey::read).collect())
}

/// The record's key of that id.
pub(super) async fn one(cx: &Context<'_>, record: &Record, id: &str) -> Result<Option<Passkey>> {
    let by_id = Expr::eq(Operand::base("id", ColumnType::Id), Value::from(id));
    let found = cx.store().first(&select().filter(of(record)).filter(by_id).limit(1)).await?;
    Ok(found.as_ref().map(Passkey::read))
}

/// The collection's key that a device calls by that id.
pub(super) async fn by_credential(
    cx: &Context<'_>,
    collection: &model::Collection,
    credential_id: &[u8],
) -> Result<Option<Passkey>> {
    let wanted = [is("collectionRef", &collection.id), is("credentialId", &spelled(credential_id))];
    let found = cx.store().first(&select().filter(Expr::and(wanted)).limit(1)).await?;
    Ok(found.as_ref().map(Passkey::read))
}

pub(super) fn spelled(credential_id: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(credential_id)
}

pub(super) fn insertion(record: &Record, key: &Passkey) -> Op {
    let values = [
        ("id", key.id.as_str()),
        ("collectionRef", &*record.collection.id),
        ("recordRef", record.id()),
        ("credentialId", &key.credential_id),
        ("credential", &key.credential),
        ("name", &key.name),
        ("created", &key.created),
        ("used", &key.used),
    ];
    let values = values.map(|(name, value)| (name.into(), Value::from(value))).to_vec();
    Op::Insert { table: TABLE.into(), values }
}

pub(super) fn update(id: &str, set: &[(&str, &str)]) -> Op {
    let set = set.iter().map(|(name, value)| ((*name).into(), Assign::Set(Value::from(*value)))).collect();
    Op::Update { table: TABLE.into(), id: id.into(), set }
}

pub(super) fn deletion(id: &str) -> Op {
    let filter = Expr::eq(Operand::base("id", ColumnType::Id), Value::from(id));
    Op::DeleteWhere { table: TABLE.into(), filter }
}

/// Takes all keys from a record.
pub(crate) fn forget(record: &Record) -> Op {
    Op::DeleteWhere { table: TABLE.into(), filter: of(record) }
}

/// Takes the keys of all records of a collection: another one may come to bear its id.
pub(crate) fn forget_collection(collection: &model::Collection) -> Op {
    Op::DeleteWhere { table: TABLE.into(), filter: is("collectionRef", &collection.id) }
}

/// Holds while the key is as it was read.
pub(super) fn unchanged(key: &Passkey) -> Guard {
    let by_id = Expr::eq(Operand::base("id", ColumnType::Id), Value::from(key.id.as_str()));
    Guard::Exists(select().filter(by_id).filter(is("credential", &key.credential)).limit(1))
}

pub(super) fn time(now: Timestamp) -> String {
    now.to_string()
}

/// What devices know a record by: nothing that tells who it is.
pub(super) fn handle(record: &Record) -> Uuid {
    let digest = Sha256::digest(format!("{}/{}", record.collection.id, record.id()));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::from_bytes(bytes)
}
