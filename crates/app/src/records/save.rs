//! What creating and updating share: generated values, validation and the commit.

use base::{Name, Value};
use model::field::ValidateContext;
use model::{FieldKind, Record, Violation, Violations};
use query::{Assign, Batch, Op};

use super::input::Relative;
use crate::auth::{owned, passkeys};
use crate::error::{Error, Result};
use crate::files;
use crate::rules::Context;

impl Context<'_> {
    /// Fills in what a new or changed record gets by itself.
    pub(crate) fn generate(&self, record: &mut Record, is_new: bool) {
        let collection = record.collection.clone();
        let now = self.parts.clock.now();
        for (position, field) in collection.fields.iter().enumerate() {
            if let Some(value) = field.autodate(is_new, now) {
                record.set_at(position, value);
            } else if is_new
                && record.row.get(position).text_or_empty().is_empty()
                && let Some(value) = field.autogenerate()
            {
                record.set_at(position, value);
            }
        }
    }

    /// Everything that is wrong with the record's values.
    pub(crate) async fn violations(&self, record: &Record, old: Option<&Record>) -> Result<Violations> {
        let collection = &record.collection;
        let mut violations = Violations::default();
        for (position, field) in collection.fields.iter().enumerate() {
            let value = record.row.get(position);
            let before = old.map(|old| old.row.get(position));
            // What was stored before and is not touched stays as it is.
            if before == Some(value) && matches!(field.kind, FieldKind::Autodate(_)) {
                continue;
            }
            let cx = ValidateContext { old: before, uploads: self.known_uploads() };
            if let Some(violation) = field.validate(value, &cx) {
                violations.add(&*field.name, violation);
                continue;
            }
            if before == Some(value) {
                continue;
            }
            if let Some((target, ids)) = field.relation_checks(value) {
                let known: Vec<String> = before.map(Value::to_list).unwrap_or_default();
                let new: Vec<String> = ids.into_iter().filter(|id| !known.contains(id)).collect();
                let found = match self.schema.find(target) {
                    Some(target) => self.fetch_many(target, new.clone()).await?.len(),
                    None => 0,
                };
                if found < new.len() {
                    violations.add(
                        &*field.name,
                        Violation::new(
                            "validation_missing_rel_records",
                            "Failed to find all relation records with the provided ids.",
                        ),
                    );
                }
            }
        }
        let is_new_account = old.is_none() && collection.is_auth() && violations.is_empty();
        if is_new_account && self.is_account_elsewhere(record).await? {
            let message = "Invalid or duplicated auth record id.";
            violations.add("id", Violation::new("validation_invalid_auth_id", message));
        }
        Ok(violations)
    }

    /// Whether another collection has an account of that id. Rules such as `owner = @request.auth.id` name ids alone:
    /// whoever signed up with somebody's id in another collection would pass for that person.
    async fn is_account_elsewhere(&self, record: &Record) -> Result<bool> {
        for other in &self.schema.collections {
            let is_other = other.is_auth() && other.id != record.collection.id;
            if is_other && self.fetch(other, record.id()).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Replaces a plain password by its hash, and renews the token key so that older tokens end.
    pub(crate) async fn seal_password(&self, record: &mut Record, old: Option<&Record>) -> Result<()> {
        let collection = record.collection.clone();
        for (position, field) in collection.fields.iter().enumerate() {
            let FieldKind::Password(password) = &field.kind else { continue };
            let value = record.row.get(position);
            if old.is_some_and(|old| old.row.get(position) == value) || value.text_or_empty().is_empty() {
                continue;
            }
            let hash = self.parts.hasher.hash(value.text_or_empty(), password.cost).await?;
            record.set_at(position, Value::from(hash));
            if old.is_some()
                && &*field.name == "password"
                && let Some(key) = collection.field("tokenKey").and_then(|field| field.autogenerate())
            {
                record.set("tokenKey", key);
            }
        }
        // A changed email ends older tokens as well.
        if let Some(old) = old
            && collection.is_auth()
            && old.text("email") != record.text("email")
            && old.text("tokenKey") == record.text("tokenKey")
            && let Some(key) = collection.field("tokenKey").and_then(|field| field.autogenerate())
        {
            record.set("tokenKey", key);
        }
        Ok(())
    }

    /// The operation that stores a new record.
    pub(crate) fn insertion(&self, record: &Record) -> Op {
        let table = &record.collection.table;
        let names = table.columns.iter().map(|column| column.name.clone());
        let values: Vec<(Name, Value)> = names.zip(record.row.0.iter().cloned()).collect();
        Op::Insert { table: table.name.clone(), values }
    }

    /// The operations that write the columns that changed, and end what ends with them.
    pub(crate) async fn changes(&self, record: &Record, old: &Record) -> Result<Vec<Op>> {
        self.relative_changes(record, old, &Relative::default()).await
    }

    async fn relative_changes(&self, record: &Record, old: &Record, relative: &Relative) -> Result<Vec<Op>> {
        let table = &record.collection.table;
        let mut set: Vec<(Name, Assign)> = Vec::new();
        for (position, column) in table.columns.iter().enumerate() {
            let new = record.row.get(position);
            if let Some(change) = relative.change(position) {
                set.push((column.name.clone(), Assign::Add(change)));
            } else if new != old.row.get(position) {
                set.push((column.name.clone(), Assign::Set(new.clone())));
            }
        }
        // An update that changes nothing is one all the same: those who follow the record hear of it.
        if set.is_empty() {
            set.push(("id".into(), Assign::Set(record.id().into())));
        }
        let mut ops = vec![Op::Update { table: table.name.clone(), id: record.id().into(), set }];
        if record.collection.is_auth() {
            ops.extend(self.ended_with(record, old).await?);
        }
        Ok(ops)
    }

    /// Writes the columns that changed.
    pub(crate) async fn write_changes(&self, record: &Record, old: &Record, failed: &str) -> Result<Written> {
        self.write_relative(record, old, &Relative::default(), failed).await
    }

    /// Writes the columns that changed. What is `relative` to the old values does not undo what others changed since.
    pub(crate) async fn write_relative(
        &self,
        record: &Record,
        old: &Record,
        relative: &Relative,
        failed: &str,
    ) -> Result<Written> {
        let batch = Batch {
            guards: files::unchanged(record, old, |position| relative.needs_old(position)),
            ops: self.relative_changes(record, old, relative).await?,
            jobs: files::removed(old, Some(record)).into_iter().collect(),
            ..Batch::default()
        };
        let guarded = !batch.guards.is_empty();
        match self.commit_record(record, batch, failed).await {
            Ok(committed) if committed.missing.is_empty() => Ok(Written::Done),
            Ok(_) => {
                self.undo_uploads().await;
                Ok(Written::Gone)
            }
            Err(Failure::Guard) if guarded => match self.fetch(&record.collection, record.id()).await? {
                Some(_) => Ok(Written::Overtaken),
                None => Ok(Written::Gone),
            },
            Err(failure) => Err(failure.into()),
        }
    }

    /// What ends with a record's tokens: codes and half-finished logins, and with a new password also the trust in
    /// the places that the old one was used from.
    async fn ended_with(&self, record: &Record, old: &Record) -> Result<Vec<Op>> {
        let ended: &[&str] = if old.text("password") != record.text("password") {
            &["_mfas", "_otps", "_authOrigins"]
        } else if old.text("tokenKey") != record.text("tokenKey") {
            &["_mfas", "_otps"]
        } else {
            &[]
        };
        let mut ops = owned::delete_all(self, ended, record).await?;
        if old.text("tokenKey") != record.text("tokenKey") && !old.get("verified").as_bool() {
            // Whoever made an account under an address that was not theirs must not come back with a key.
            ops.push(passkeys::forget(record));
        }
        Ok(ops)
    }

    /// Puts the files in their places, and then commits. What certainly was not committed leaves no file.
    pub(crate) async fn commit_record(
        &self,
        record: &Record,
        mut batch: Batch,
        failed: &str,
    ) -> std::result::Result<query::Committed, Failure> {
        batch.jobs.extend(files::wanted_thumbs(record, self.known_uploads()));
        self.write_uploads(record, failed).await.map_err(Failure::Other)?;
        let committed = match self.later(record, &batch) {
            None => self.store().commit(batch).await,
            Some(later) => self.store().commit_later(batch, later).await,
        };
        let error = match committed {
            Ok(committed) => return Ok(committed),
            Err(error) => error,
        };
        let failure = match error {
            store::Error::Taken { columns, .. } => {
                let mut violations = Violations::default();
                for column in columns {
                    violations.add(column, Violation::new("validation_not_unique", "Value must be unique."));
                }
                Failure::Other(Error::invalid(failed, violations))
            }
            store::Error::Refused(why) => {
                Failure::Other(Error::invalid(failed, Violations::default()).details(why))
            }
            store::Error::Guard(_) => Failure::Guard,
            // Nobody knows what became of it: the files may be a record's.
            other => return Err(Failure::Other(other.into())),
        };
        self.undo_uploads().await;
        Err(failure)
    }
}

/// What came of writing changes.
pub(crate) enum Written {
    Done,
    /// The record is not there any more.
    Gone,
    /// Somebody else changed first what was changed here.
    Overtaken,
}

impl Written {
    /// Whether it was written. Enough where no file is touched.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Written::Done)
    }
}

/// Why nothing was written.
pub(crate) enum Failure {
    /// Somebody else was faster.
    Guard,
    Other(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Guard => {
                Error::new(base::Kind::Conflict, "The record was changed meanwhile. Try again.")
            }
            Failure::Other(error) => error,
        }
    }
}
