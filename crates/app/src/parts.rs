//! What the use cases work with, put together once by the binary.

use std::sync::Arc;

use backing::{Bus, Fetch, Mailer, QueryCache, RecordCache, Stamps};
use base::Clock;
use model::{Collection, Record};
use query::Select;
use store::Store;

use crate::auth::attempts::Attempts;
use crate::auth::passkeys;
use crate::auth::password::Hasher;
use crate::auth::token::TokenCache;
use crate::backups::Backups;
use crate::catalog::Catalog;
use crate::crons::OwnCron;
use crate::error::Result;
use crate::files::Files;
use crate::logs::Logs;
use crate::nodes::Nodes;
use crate::realtime::Realtime;
use crate::rules::FilterCache;
use crate::settings::{self, Cipher};

pub struct Parts {
    pub store: Store,
    pub catalog: Catalog,
    pub stamps: Arc<Stamps>,
    pub records: RecordCache,
    pub answers: QueryCache,
    pub filters: FilterCache,
    pub tokens: TokenCache,
    pub hasher: Hasher,
    pub attempts: Attempts,
    pub mailer: Mailer,
    pub bus: Bus,
    pub fetch: Fetch,
    pub passkeys: passkeys::Options,
    pub realtime: Realtime,
    pub clock: Arc<dyn Clock>,
    /// Those in force: what is stored, under what the configuration fixes.
    pub settings: settings::Held,
    /// The processes that work on the same database.
    pub nodes: Nodes,
    pub files: Files,
    pub backups: Backups,
    /// Schedules of the configuration.
    pub crons: Vec<OwnCron>,
    /// Where the request log is kept.
    pub logs: Logs,
    /// How the settings are stored.
    pub cipher: Cipher,
    /// Off when other processes write to the same database and nothing tells us of it.
    pub caching: bool,
}

impl Parts {
    /// Whether records and answers are kept. Not of a database that was moved to under way: others may write to it.
    pub fn caches(&self) -> bool {
        self.caching && !self.store.has_switched()
    }

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
        let table = &collection.table;
        let cached = self.cached(store, collection);
        let since = self.stamps.now();
        if cached && let Some(row) = self.records.get(&table.name, id) {
            return Ok(Some(Record { collection: collection.clone(), row }));
        }
        let select = Select::by_ids(table.name.clone(), table.columns.clone(), vec![id.into()]);
        let Some(row) = store.first(&select).await? else {
            return Ok(None);
        };
        let row = Arc::new(row);
        // A row whose schema is already another's must not be kept: only if the catalog still holds the
        // same collection was the schema current when the row was read.
        if cached && self.catalog.holds(collection) {
            self.records.put(&table.name, id, since, row.clone());
        }
        Ok(Some(Record { collection: collection.clone(), row }))
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
        let mut missing: Vec<base::Name> = Vec::new();
        let since = self.stamps.now();
        for id in ids {
            match if cached { self.records.get(&table.name, &id) } else { None } {
                Some(row) => found.push(Record { collection: collection.clone(), row }),
                None => missing.push(id.into()),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let rows = store.select(&Select::by_ids(table.name.clone(), table.columns.clone(), missing)).await?;
        let keep = cached && self.catalog.holds(collection);
        for row in rows {
            let record = Record { collection: collection.clone(), row: Arc::new(row) };
            if keep {
                self.records.put(&table.name, record.id(), since, record.row.clone());
            }
            found.push(record);
        }
        Ok(found)
    }

    /// A transaction sees what others must not, and what others see may be older than what it wrote itself.
    fn cached(&self, store: &Store, collection: &Collection) -> bool {
        self.caches() && !collection.is_view() && !store.is_transaction()
    }
}
