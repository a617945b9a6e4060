//! Events become jobs of the batch that makes them happen, so that they are there if and only if it was committed.

use base::limits::{WEBHOOK_EVENT_BYTES_MAX, WEBHOOK_JOB_BYTES_MAX, WEBHOOK_JOB_EVENTS_MAX};
use query::Batch;

use super::event::{self, Event};
use super::{Known, Webhooks};
use crate::jobs::Work;

impl Webhooks {
    /// Adds what is to be told of the batch. Nothing is made where nobody follows what it writes.
    pub fn enlist(&self, batch: &mut Batch) {
        let known = self.0.known.load();
        if known.by_collection.is_empty() {
            return;
        }
        let (mut events, mut bytes) = (Vec::new(), 0);
        for index in 0..batch.ops.len() {
            let Some((event, size)) = self.event(&known, &batch.ops[index]) else { continue };
            bytes += size;
            events.push(event);
            if events.len() >= WEBHOOK_JOB_EVENTS_MAX || bytes >= WEBHOOK_JOB_BYTES_MAX {
                bytes = 0;
                batch.jobs.push(self.work(std::mem::take(&mut events)).job());
            }
        }
        if !events.is_empty() {
            batch.jobs.push(self.work(events).job());
        }
    }

    fn work(&self, events: Vec<Event>) -> Work {
        metrics::counter!("pando_webhook_events_total").increment(events.len() as u64);
        Work::WebhookEvents { at: self.0.clock.now().0, events }
    }

    fn event(&self, known: &Known, op: &query::Op) -> Option<(Event, usize)> {
        let (table, action) = event::action(op)?;
        let schema = self.0.schema.load();
        let collection = schema.find(table).filter(|found| found.name == *table)?;
        let followers = known.by_collection.get(&collection.id)?;
        let to: Vec<_> = followers.iter().filter(|webhook| webhook.follows(action)).collect();
        if to.is_empty() {
            return None;
        }
        let written = event::written(collection, op, WEBHOOK_EVENT_BYTES_MAX)?;
        let size = written.values.iter().map(|(name, value)| name.len() + event::size(value)).sum();
        let event = Event {
            id: format!("msg_{}", base::id::ordered(self.0.clock.now())),
            collection: collection.id.to_string(),
            record: written.record.to_string(),
            action: written.action,
            to: to.into_iter().map(|webhook| webhook.id.to_string()).collect(),
            values: written.values,
            whole: written.whole,
        };
        Some((event, size))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base::{SystemClock, Value};
    use model::field::TextField;
    use model::{Collection, CollectionKind, Field, FieldKind, Schema};
    use query::{Assign, Expr, Job, Op};

    use super::super::{Action, Known, Webhook, Wire};
    use super::*;
    use crate::catalog::Catalog;

    fn webhooks(collections: &[&str], events: &[Action]) -> Webhooks {
        let field = |name: &str, hidden| {
            let field = Field::new(name, FieldKind::Text(TextField::default()));
            Field { hidden, ..field }
        };
        let mut posts = Collection::blank(CollectionKind::Base);
        (posts.id, posts.name) = ("posts_id".into(), "posts".into());
        posts.fields = vec![field("id", false), field("title", false), field("key", true)];
        posts.seal();
        let catalog = Catalog::empty();
        catalog.watched().store(Arc::new(Schema::new(vec![Arc::new(posts)], 1)));
        let wire = Wire { body: |_| String::new(), test: |_, _| String::new() };
        let made = Webhooks::new(&catalog, Arc::new(SystemClock), wire);
        let webhook = Webhook {
            id: "hook".into(),
            collections: collections.iter().map(|id| id.to_string()).collect(),
            events: events.to_vec(),
            enabled: true,
            ..Webhook::default()
        };
        made.0.known.store(Arc::new(Known::of(vec![webhook])));
        made
    }

    fn insert(title: &str) -> Op {
        let values = [("id", "a"), ("title", title), ("key", "hush")];
        let values = values.map(|(name, value)| (name.into(), Value::from(value))).into();
        Op::Insert { table: "posts".into(), values }
    }

    fn events(job: &Job) -> Vec<Event> {
        let payload: serde_json::Value = serde_json::from_str(&job.payload).unwrap();
        serde_json::from_value(payload["events"].clone()).unwrap()
    }

    fn enlisted(webhooks: &Webhooks, ops: Vec<Op>) -> Vec<Vec<Event>> {
        let mut batch = Batch { ops, ..Batch::default() };
        webhooks.enlist(&mut batch);
        batch.jobs.iter().map(events).collect()
    }

    #[test]
    fn nothing_is_added_where_nobody_follows() {
        let set = vec![("title".into(), Assign::Set(Value::from("b")))];
        let update = Op::Update { table: "posts".into(), id: "a".into(), set };
        assert!(enlisted(&webhooks(&["others_id"], &Action::ALL), vec![insert("b")]).is_empty());
        assert!(enlisted(&webhooks(&["posts_id"], &[Action::Delete]), vec![insert("b"), update]).is_empty());
        let all = Op::DeleteWhere { table: "posts".into(), filter: Expr::Const(true) };
        assert!(enlisted(&webhooks(&["posts_id"], &Action::ALL), vec![all]).is_empty());
    }

    #[test]
    fn an_event_carries_what_may_be_shown() {
        let jobs = enlisted(&webhooks(&["posts_id"], &Action::ALL), vec![insert("b")]);
        let event = &jobs[0][0];
        assert_eq!((event.record.as_str(), event.action, event.whole), ("a", Action::Create, true));
        assert!(event.values.iter().all(|(name, _)| name != "key"), "{event:?}");
        assert_eq!((event.to[0].as_str(), event.collection.as_str()), ("hook", "posts_id"));
        // What is too large is read later.
        let large = "x".repeat(WEBHOOK_EVENT_BYTES_MAX + 1);
        let event = &enlisted(&webhooks(&["posts_id"], &Action::ALL), vec![insert(&large)])[0][0];
        assert_eq!((event.values.len(), event.whole), (0, false));
    }

    #[test]
    fn many_events_are_several_jobs() {
        let ops = (0..2 * WEBHOOK_JOB_EVENTS_MAX + 1).map(|_| insert("b")).collect();
        let jobs = enlisted(&webhooks(&["posts_id"], &Action::ALL), ops);
        assert_eq!(
            jobs.iter().map(Vec::len).collect::<Vec<_>>(),
            [WEBHOOK_JOB_EVENTS_MAX, WEBHOOK_JOB_EVENTS_MAX, 1]
        );
        let large = "x".repeat(WEBHOOK_JOB_BYTES_MAX / 2);
        let jobs = enlisted(
            &webhooks(&["posts_id"], &Action::ALL),
            vec![insert(&large), insert(&large), insert("b")],
        );
        assert_eq!(jobs.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    }
}
