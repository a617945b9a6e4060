//! Loading what was changed last, after the start, so that the first requests find it. Requests go first: it pauses for
//! several times as long as it works.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::limits::{CACHE_WARM_CHUNK, CACHE_WARM_LOOK_MS, CACHE_WARM_PAUSE_MS, CACHE_WARM_PAUSE_TIMES};
use model::{Collection, FieldKind};
use query::select::SortKey;
use query::{Alias, Operand, Select, Sort};

use crate::error::Result;
use crate::parts::Parts;

/// How often it says how far it is.
const PROGRESS: Duration = Duration::from_secs(10);

/// Loads what is configured, until it is told to stop.
pub async fn run(parts: Arc<Parts>, stop: impl Future<Output = ()>) {
    tokio::select! {
        () = stop => {}
        () = all(&parts) => {}
    }
}

async fn all(parts: &Parts) {
    if parts.keeping.warm.is_empty() {
        return;
    }
    // Other processes may have to be heard of first.
    while !parts.caches() {
        tokio::time::sleep(Duration::from_millis(CACHE_WARM_LOOK_MS)).await;
    }
    for (name, count) in &parts.keeping.warm {
        let schema = parts.catalog.schema();
        let Some(collection) = schema.find(name).filter(|found| !found.is_view()) else { continue };
        match one(parts, collection, *count).await {
            Ok(loaded) => tracing::info!("the cache has {loaded} records of {name} from the start"),
            Err(error) => {
                tracing::warn!(details = error.details, "records of {name} cannot be loaded ahead: {error}");
            }
        }
    }
}

async fn one(parts: &Parts, collection: &Arc<Collection>, count: u64) -> Result<usize> {
    let rows = parts.store.select(&newest(collection, count)).await?;
    let ids: Vec<String> = rows.iter().map(|row| row.get(0).text_or_empty().to_owned()).collect();
    let (mut loaded, mut told) = (0, Instant::now());
    for chunk in ids.chunks(CACHE_WARM_CHUNK) {
        let began = Instant::now();
        loaded += parts.fetch_many_from(&parts.store, collection, chunk.to_vec()).await?.len();
        if told.elapsed() >= PROGRESS {
            tracing::info!("{loaded} of {} records of {} are loaded ahead", ids.len(), collection.name);
            told = Instant::now();
        }
        let pause = began.elapsed() * CACHE_WARM_PAUSE_TIMES;
        tokio::time::sleep(pause.max(Duration::from_millis(CACHE_WARM_PAUSE_MS))).await;
    }
    Ok(loaded)
}

/// The ids of those that were changed last, as far as the collection tells.
fn newest(collection: &Collection, count: u64) -> Select {
    let changed = collection
        .fields
        .iter()
        .position(|field| matches!(&field.kind, FieldKind::Autodate(autodate) if autodate.on_update));
    let by = match changed {
        Some(position) => SortKey::Operand(Operand::column(Alias::BASE, &collection.table.columns[position])),
        None => SortKey::Insertion,
    };
    let mut select = Select::table(collection.table.name.clone(), vec![Collection::id_column()]).limit(count);
    select.sort = vec![Sort { by, descending: true }];
    select
}
