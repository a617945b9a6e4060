//! A superuser's writes become entries of the batch that makes them, so that they are there if and only if it was committed.

use base::limits::AUDIT_ENTRIES_MAX;
use base::{Name, Value};
use model::Collection;
use query::{Assign, Batch, Op};
use serde_json::Value as Json;

use super::changes::{Changes, shown};
use super::doing::{self, Doing};
use super::{Audit, Entry};
use crate::catalog;

/// Pando's own tables whose writes are a superuser's doing, and what their rows are called. Of all others nothing is noted:
/// they are what the program keeps for itself.
const OWN: [(&str, &str); 6] = [
    ("_collections", "collection"),
    ("_params", "settings"),
    ("_pando_webhooks", "webhook"),
    ("_pando_queues", "stream"),
    ("_pando_exchanges", "exchange"),
    ("_pando_alerts", "alert"),
];

#[derive(Clone, Copy)]
enum Verb {
    Create,
    Update,
    Delete,
}

impl Audit {
    /// Adds what is to be remembered of the batch. Nothing is made unless a superuser is worked for.
    pub fn enlist(&self, batch: &mut Batch) {
        let Some(doing) = doing::current() else { return };
        let mut entries: Vec<Entry> = Vec::new();
        let mut more = 0_usize;
        for op in &batch.ops {
            let Some(entry) = self.entry(&doing, op) else { continue };
            match entries.len() < AUDIT_ENTRIES_MAX {
                true => entries.push(entry),
                false => more += 1,
            }
        }
        if more > 0 {
            let detail = format!("{more} more records in the same commit");
            entries.push(Entry { action: "records.more".into(), detail, ..self.begin(&doing.actor) });
        }
        doing.note(entries.len());
        batch.ops.extend(entries.into_iter().map(Entry::insertion));
    }

    fn entry(&self, doing: &Doing, op: &Op) -> Option<Entry> {
        let (table, id, verb) = match op {
            Op::Insert { table, values } => (table, text_of(values, "id"), Verb::Create),
            Op::Update { table, id, .. } => (table, id.to_string(), Verb::Update),
            Op::Delete { table, id, .. } => (table, id.to_string(), Verb::Delete),
            Op::DeleteWhere { table, .. } => (table, String::new(), Verb::Delete),
        };
        let schema = self.schema();
        let collection = schema.find(table).filter(|found| found.name == *table);
        let own = OWN.iter().find(|(name, _)| **table == **name).map(|(_, kind)| *kind);
        let kind = match (own, collection) {
            (Some(kind), _) => kind,
            (None, Some(_)) => "record",
            (None, None) => return None,
        };
        let verb_name = match (verb, op) {
            (Verb::Create, _) => "create",
            (Verb::Update, _) => "update",
            (Verb::Delete, Op::DeleteWhere { .. }) => "truncate",
            (Verb::Delete, _) => "delete",
        };
        let mut before = doing.before(table, &id);
        if kind == "collection"
            && let Some(known) = schema.by_id(&id)
            && let Op::Insert { values, .. } = catalog::insert(known)
        {
            before = values;
        }
        let mut entry = Entry {
            action: format!("{kind}.{verb_name}"),
            collection: collection.map_or_else(String::new, |found| found.name.to_string()),
            target: id,
            ..self.begin(&doing.actor)
        };
        if kind == "collection" {
            let id = entry.target.as_str();
            let name =
                |values: &[(Name, Value)]| Some(text_of(values, "name")).filter(|name| !name.is_empty());
            let known = schema.by_id(id).map(|found| found.name.to_string());
            entry.collection = match op {
                Op::Insert { values, .. } => name(values),
                _ => known.or_else(|| name(&before)),
            }
            .unwrap_or_default();
        }
        entry.changes = match kind {
            "settings" => settings(&before),
            _ => changes(collection.map(|found| &**found), op, before),
        };
        Some(entry)
    }
}

fn text_of(values: &[(Name, Value)], name: &str) -> String {
    let found = values.iter().find(|(other, _)| **other == *name);
    found.map(|(_, value)| value.text_or_empty().to_owned()).unwrap_or_default()
}

/// What is stored of settings may be sealed: who changes them says what they were and are. Then only the names of what has
/// changed are told, or the log would show what the settings' key is there to hide.
fn settings(known: &[(Name, Value)]) -> String {
    let is_sealed = known.iter().any(|(name, value)| **name == *"sealed" && *value == Value::Bool(true));
    let side = |name: &str| known.iter().find(|(other, _)| **other == *name).map(|(_, value)| shown(value));
    let (Some(Json::Object(mut before)), Some(Json::Object(after))) = (side("before"), side("after")) else {
        return String::new();
    };
    let mut changes = Changes::default();
    for (name, value) in after {
        changes.add(&name, is_sealed, before.remove(&name), Some(value));
    }
    changes.text()
}

fn changes(collection: Option<&Collection>, op: &Op, before: Vec<(Name, Value)>) -> String {
    // What a hidden field holds is hidden from people as well: whoever reads the log need not be who may read the record.
    // What is kept of webhooks and alerts holds secrets in a form of its own.
    let is_hidden = |name: &str| {
        collection.is_none() && name == "value"
            || collection.is_some_and(|collection| {
                collection.field(name).is_some_and(|field| field.hidden || field.is_secret())
            })
    };
    let was = |name: &str| before.iter().find(|(other, _)| **other == *name).map(|(_, value)| shown(value));
    let mut changes = Changes::default();
    match op {
        Op::Insert { values, .. } => {
            for (name, value) in values.iter().filter(|(_, value)| !is_unset(value)) {
                changes.add(name, is_hidden(name), None, Some(shown(value)));
            }
        }
        Op::Update { set, .. } => {
            for (name, assign) in set {
                match assign {
                    Assign::Set(value) => changes.add(name, is_hidden(name), was(name), Some(shown(value))),
                    Assign::Add(number) => {
                        changes.add(
                            name,
                            is_hidden(name),
                            was(name),
                            Some(serde_json::json!({"added": number})),
                        );
                    }
                }
            }
        }
        Op::Delete { .. } => {
            for (name, value) in before.iter().filter(|(_, value)| !is_unset(value)) {
                changes.add(name, is_hidden(name), Some(shown(value)), None);
            }
        }
        Op::DeleteWhere { .. } => {}
    }
    changes.text()
}

fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Text(text) => text.is_empty(),
        _ => false,
    }
}
