//! Caches in front of the server, and what they must forget.
//!
//! Why nobody is given what an acknowledged write replaced, for longer than a purge travels: a purge is handed on when every
//! node already answers with what is new (their caches are coherent, and the writer waits for them), and before the writer
//! is answered. An answer made earlier was asked for before the purge arrives, and whoever keeps answers notes when it asked
//! and drops what was purged since. An answer asked for later is made of what is new. So purges may come late or twice, and
//! only one that is lost would matter: they are numbered, and a gap makes a front door doubt all it has.
//!
//! Rules are part of every answer, and each process works by its own copy of them. So a change of collections purges
//! everything once more from each process, after it has taken the new ones over and before whoever made the change is
//! answered. That also covers writes that were judged by a copy which did not know yet that a collection is cacheable.

use std::sync::Arc;

use arc_swap::ArcSwap;
use base::limits::PURGE_RECORDS_MAX;
use model::Schema;
use query::Change;

use crate::catalog::Catalog;
use crate::files::has_files;
use crate::tags;

/// What is no longer so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stale {
    Tags(Vec<String>),
    /// Nobody can say what. `forbidden` if somebody may have been shown what is not theirs any more: then it must not be
    /// used even when nobody can be asked.
    Anything {
        forbidden: bool,
    },
}

/// Hands on what caches must forget. Never waits.
pub type Tell = Arc<dyn Fn(Stale) + Send + Sync>;

/// Those caches, if there are any. Cheap to clone.
#[derive(Clone)]
pub struct Outside(Option<Inner>);

#[derive(Clone)]
struct Inner {
    tell: Tell,
    schema: Arc<ArcSwap<Schema>>,
}

impl Outside {
    /// `tell` is none where there is nobody to tell, and then all of this costs nothing.
    pub fn new(catalog: &Catalog, tell: Option<Tell>) -> Self {
        Outside(tell.map(|tell| Inner { tell, schema: catalog.watched() }))
    }

    /// What a commit makes stale, told when the result is dropped: when nobody is answered any more with what was before.
    pub fn owed(&self, change: &Change) -> Option<Owed> {
        let inner = self.0.as_ref()?;
        let stale = stale(&inner.schema.load(), change)?;
        Some(Owed { tell: inner.tell.clone(), stale: Some(stale) })
    }

    /// Whether there is anybody to tell.
    pub fn is_told(&self) -> bool {
        self.0.is_some()
    }

    /// Anything may have changed. See [`Stale::Anything`].
    pub fn anything(&self, forbidden: bool) {
        if let Some(inner) = &self.0 {
            (inner.tell)(Stale::Anything { forbidden });
        }
    }
}

/// Told at the end, also when nobody waits for it any more.
pub struct Owed {
    tell: Tell,
    stale: Option<Stale>,
}

impl Drop for Owed {
    fn drop(&mut self) {
        if let Some(stale) = self.stale.take() {
            (self.tell)(stale);
        }
    }
}

/// What answers with a change's records in them are tagged with. Of tables that no answer which is kept was made of,
/// nothing is said.
fn stale(schema: &Schema, change: &Change) -> Option<Stale> {
    if change.schema {
        return Some(Stale::Anything { forbidden: true });
    }
    let named = change.items.len() <= PURGE_RECORDS_MAX;
    let (mut tables, mut records) = (Vec::new(), Vec::new());
    for item in &change.items {
        let Some(collection) = schema.find(&item.table).filter(|known| known.name == item.table) else {
            continue;
        };
        // Files are kept of every collection.
        if !schema.has_cacheable && !has_files(collection) {
            continue;
        }
        let any = tags::any_of(&item.table);
        if !tables.contains(&any) {
            tables.push(any);
        }
        match &item.id {
            Some(id) if named => records.push(tags::record(&item.table, id)),
            _ => {
                let all = tags::all_of(&item.table);
                if !tables.contains(&all) {
                    tables.push(all);
                }
            }
        }
    }
    tables.append(&mut records);
    (!tables.is_empty()).then_some(Stale::Tags(tables))
}

#[cfg(test)]
mod tests {
    use base::topology::Node;
    use base::{Name, Timestamp};
    use model::Collection;
    use query::{ChangeItem, ChangeKind};
    use serde_json::json;

    use super::*;

    fn schema(cacheable: bool) -> Schema {
        let collection = |json| Arc::new(Collection::from_json(&json).unwrap());
        let cache = if cacheable { json!({"ttl": 5, "scope": "public"}) } else { json!(null) };
        Schema::new(
            vec![
                collection(json!({"id": "a", "name": "posts", "cache": cache})),
                collection(json!({"id": "b", "name": "tags"})),
                collection(
                    json!({"id": "c", "name": "pictures", "fields": [{"name": "file", "type": "file"}]}),
                ),
            ],
            1,
        )
    }

    fn change(items: &[(&str, Option<&str>)]) -> Change {
        let item = |(table, id): &(&str, Option<&str>)| ChangeItem {
            table: (*table).into(),
            kind: ChangeKind::Update,
            id: id.map(Name::from),
            row: None,
        };
        Change {
            sequence: 1,
            origin: Node::local(),
            at: Timestamp(0),
            items: items.iter().map(item).collect(),
            schema: false,
            jobs: false,
        }
    }

    #[test]
    fn what_a_change_makes_stale() {
        for (cacheable, items, expected) in [
            (true, &[("posts", Some("1"))][..], "c:posts r:posts/1"),
            (true, &[("tags", Some("a b"))], "c:tags r:tags/a%20b"),
            (true, &[("tags", None)], "c:tags t:tags"),
            (true, &[("_pando_jobs", Some("1"))], ""),
            (true, &[("posts", Some("1")), ("posts", Some("2"))], "c:posts r:posts/1 r:posts/2"),
            (false, &[("posts", Some("1"))], ""),
            (false, &[("posts", Some("1")), ("pictures", Some("2"))], "c:pictures r:pictures/2"),
        ] {
            let found = match stale(&schema(cacheable), &change(items)) {
                Some(Stale::Tags(tags)) => tags.join(" "),
                other => format!("{other:?}").replace("None", ""),
            };
            assert_eq!(found, expected, "{items:?}");
        }
        let many = change(&vec![("posts", Some("1")); PURGE_RECORDS_MAX + 1]);
        let expected = Stale::Tags(vec!["c:posts".into(), "t:posts".into()]);
        assert_eq!(stale(&schema(true), &many), Some(expected));
    }
}
