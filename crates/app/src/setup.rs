//! Bringing a database into the state that the use cases expect, and following other processes' changes to it.

use model::Collection;
use query::{Batch, Guard, Select};

use crate::catalog;
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::settings;

/// Reads what is there; makes the system's collections and settings in an empty database.
pub async fn prepare(parts: &Parts) -> Result<()> {
    parts.catalog.reload(&parts.store).await?;
    if parts.catalog.schema().collections.is_empty() {
        match install(parts).await {
            // Another process was faster.
            Err(error) if error.kind == base::Kind::Conflict => {}
            other => other?,
        }
    }
    refresh(parts).await
}

/// Reads collections, streams, settings and webhooks anew.
pub async fn refresh(parts: &Parts) -> Result<()> {
    parts.catalog.reload(&parts.store).await?;
    parts.queues.reload(&parts.store).await?;
    parts.settings.reload(&parts.store, &parts.cipher).await?;
    settings::insight::reload(parts).await?;
    parts.webhooks.reload(&parts.store, &parts.cipher).await
}

async fn install(parts: &Parts) -> Result<()> {
    let now = parts.clock.now();
    // Of several that start at once on an empty database, one makes it: this is judged when nobody else changes it.
    let any = Select::table(catalog::TABLE, vec![Collection::id_column()]).limit(1);
    let mut batch = Batch { guards: vec![Guard::Absent(any)], ..Batch::default() };
    for collection in model::collection::system::all(&now.to_string()) {
        batch.ddl.extend(model::collection::plan(None, &collection));
        batch.ops.push(catalog::insert(&collection));
    }
    if settings::load(&parts.store, &parts.cipher).await?.is_none() {
        batch.ops.push(settings::insert_initial(&parts.cipher, now)?);
    }
    parts.store.commit(batch).await.map(drop).map_err(Error::from)
}

/// Lets other processes read collections and settings again.
pub async fn announce(parts: &Parts) -> Result<()> {
    let batch = Batch { ddl: vec![query::Ddl::Announce], ..Batch::default() };
    parts.store.commit(batch).await.map(drop).map_err(Error::from)
}
