//! The cache that processes share, between the one of this process and the database.

use std::sync::Arc;
use std::time::Duration;

use backing::cache::codec;
use backing::cache::tier::{self, Key, Lease, Look, Tier};
use backing::cache::{Keep, Ttl};
use base::Name;
use model::Collection;
use query::Row;
use store::Store;

use crate::parts::Parts;

/// How the shared cache is used.
#[derive(Clone)]
pub struct Shared {
    pub tier: Arc<dyn Tier>,
    /// How long anything is kept there at most.
    pub lifetime: Duration,
}

/// The duty to fill what is about to be read. Where nothing comes of it, the next to ask is free to.
pub(super) struct Duty {
    shared: Shared,
    table: Name,
    form: u64,
    pub id: Name,
    lease: Option<Lease>,
}

impl Duty {
    /// Nobody waits for it.
    pub fn done(mut self, keep: &Keep, row: Option<Arc<Row>>) {
        let bound = |ttl: Ttl| match ttl.ms {
            0 => self.shared.lifetime,
            ms => self.shared.lifetime.min(Duration::from_millis(ms)),
        };
        let lifetime = match (&row, keep.absent) {
            (Some(_), _) => bound(keep.ttl),
            (None, Some(ttl)) => bound(ttl),
            (None, None) => return,
        };
        self.fill(row, lifetime);
    }

    fn fill(&mut self, row: Option<Arc<Row>>, lifetime: Duration) {
        let (Some(lease), Ok(runtime)) = (self.lease.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let (tier, table, id, form) =
            (self.shared.tier.clone(), self.table.clone(), self.id.clone(), self.form);
        runtime.spawn(async move {
            tier.fill(Key { table: &table, id: &id, form }, lease, row.as_deref(), lifetime).await;
        });
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        self.fill(None, Duration::ZERO);
    }
}

impl Parts {
    fn shared(&self, collection: &Collection) -> Option<&Shared> {
        let shared = self.keeping.shared.as_ref()?;
        (tier::is_shared(&collection.table.name) && shared.tier.is_open()).then_some(shared)
    }

    /// What this process does not have, and whether it may keep it.
    pub(super) async fn read_by_shared(
        &self,
        store: &Store,
        collection: &Arc<Collection>,
        id: &str,
        keep: &Keep,
    ) -> store::Result<(Option<Arc<Row>>, bool)> {
        let (mut known, mut duties) = self.look_shared(collection, &[id.into()]).await;
        if let Some((_, row)) = known.pop() {
            return Ok((row, self.catalog.holds(collection)));
        }
        let row = self.read(store, collection, id).await?;
        // A row whose schema is already another's must not be kept: only if the catalog still holds the same
        // collection was the schema current when the row was read.
        let may_keep = self.catalog.holds(collection);
        if let Some(duty) = duties.pop()
            && may_keep
        {
            duty.done(keep, row.clone());
        }
        Ok((row, may_keep))
    }

    /// What is known of these, and what is to be filled once it is read. Of the others neither.
    pub(super) async fn look_shared(
        &self,
        collection: &Arc<Collection>,
        ids: &[Name],
    ) -> (Vec<(Name, Option<Arc<Row>>)>, Vec<Duty>) {
        let (mut known, mut duties) = (Vec::new(), Vec::new());
        let Some(shared) = self.shared(collection) else { return (known, duties) };
        let (table, form) = (&collection.table.name, codec::form(&collection.table.columns));
        let keys: Vec<Key<'_>> = ids.iter().map(|id| Key { table, id, form }).collect();
        for (id, look) in ids.iter().zip(shared.tier.look(&keys).await) {
            match look {
                Look::Found(row) => known.push((id.clone(), Some(row))),
                Look::Absent => known.push((id.clone(), None)),
                Look::Load(lease) => duties.push(Duty {
                    shared: shared.clone(),
                    table: table.clone(),
                    form,
                    id: id.clone(),
                    lease: Some(lease),
                }),
                Look::Busy | Look::Hidden | Look::Away => {}
            }
        }
        (known, duties)
    }
}
