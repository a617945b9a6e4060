//! Reading: from the cache, and what that does not have from the database.

use std::sync::Arc;

use base::Name;
use model::{Collection, Record};
use query::{Row, Select};
use rustc_hash::FxHashMap;
use store::Store;

use super::asked;
use super::shared::Duty;
use crate::error::Result;
use crate::parts::Parts;

impl Parts {
    /// One record by id, from the cache when it is current.
    pub async fn fetch(&self, collection: &Arc<Collection>, id: &str) -> Result<Option<Record>> {
        self.fetch_from(&self.store, collection, id).await
    }

    pub(crate) async fn fetch_from(
        &self,
        store: &Store,
        collection: &Arc<Collection>,
        id: &str,
    ) -> Result<Option<Record>> {
        let record = |row| Record { collection: collection.clone(), row };
        if self.cached(store, collection) {
            let since = self.stamps.now();
            if let Some(known) = self.records.get(asked(collection, id)) {
                return Ok(known.map(record));
            }
            // Apart, so that those who find what they ask for do not carry about what it takes to load it.
            return Ok(Box::pin(self.load(store, collection, id, since)).await?.map(record));
        }
        Ok(Box::pin(self.read(store, collection, id)).await?.map(record))
    }

    /// What the cache does not have.
    async fn load(
        &self,
        store: &Store,
        collection: &Arc<Collection>,
        id: &str,
        since: u64,
    ) -> store::Result<Option<Arc<Row>>> {
        let keep = self.keeping.keeps.of(&collection.name);
        let load = || self.read_by_shared(store, collection, id, &keep);
        self.records.load(asked(collection, id), &keep, since, load).await
    }

    /// From the database.
    pub(super) async fn read(
        &self,
        store: &Store,
        collection: &Arc<Collection>,
        id: &str,
    ) -> store::Result<Option<Arc<Row>>> {
        // A transaction has its connection already, and others may wait for what it holds.
        let _load = if store.is_transaction() { None } else { self.keeping.loads.record().await? };
        let table = &collection.table;
        let select = Select::by_ids(table.name.clone(), table.columns.clone(), vec![id.into()]);
        Ok(store.first(&select).await?.map(Arc::new))
    }

    pub(crate) async fn fetch_many_from(
        &self,
        store: &Store,
        collection: &Arc<Collection>,
        ids: Vec<String>,
    ) -> Result<Vec<Record>> {
        let table = &collection.table;
        let cached = self.cached(store, collection);
        let mut found = Vec::with_capacity(ids.len());
        let mut missing: Vec<Name> = Vec::new();
        let since = self.stamps.now();
        for id in ids {
            match if cached { self.records.get(asked(collection, &id)) } else { None } {
                Some(Some(row)) => found.push(Record { collection: collection.clone(), row }),
                Some(None) => {}
                None => missing.push(id.into()),
            }
        }
        let keep = self.keeping.keeps.of(&collection.name);
        let mut duties = Vec::new();
        if cached && !missing.is_empty() {
            let (known, to_fill) = self.look_shared(collection, &missing).await;
            duties = to_fill;
            let may_keep = self.catalog.holds(collection);
            for (id, row) in known {
                if may_keep {
                    self.records.put(asked(collection, &id), &keep, since, row.clone());
                }
                missing.retain(|missing| *missing != id);
                found.extend(row.map(|row| Record { collection: collection.clone(), row }));
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let select = Select::by_ids(table.name.clone(), table.columns.clone(), missing.clone());
        let rows = {
            let _load = if store.is_transaction() { None } else { self.keeping.loads.record().await? };
            store.select(&select).await?
        };
        let may_keep = cached && self.catalog.holds(collection);
        let mut loaded = Vec::with_capacity(missing.len());
        for row in rows {
            let record = Record { collection: collection.clone(), row: Arc::new(row) };
            missing.retain(|id| &**id != record.id());
            loaded.push((record.id().into(), Some(record.row.clone())));
            found.push(record);
        }
        if may_keep {
            loaded.extend(missing.into_iter().map(|id: Name| (id, None)));
            let mut duties: FxHashMap<Name, Duty> =
                duties.into_iter().map(|duty| (duty.id.clone(), duty)).collect();
            for (id, row) in loaded {
                if let Some(duty) = duties.remove(&id) {
                    duty.done(&keep, row.clone());
                }
                self.records.put(asked(collection, &id), &keep, since, row);
            }
        }
        Ok(found)
    }

    /// A transaction sees what others must not, and what others see may be older than what it wrote itself.
    fn cached(&self, store: &Store, collection: &Collection) -> bool {
        self.caches() && !collection.is_view() && !store.is_transaction()
    }
}
