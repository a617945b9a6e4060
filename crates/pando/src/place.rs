//! Where the data is now: a database that was left says so, and whoever opens it goes on where the data went.

use std::path::Path;

use anyhow::{Result, bail};
use app::transfer;
use backing::relocation;
use base::SystemClock;
use base::topology::Node;
use store::{Options, Store, Target};

use crate::config::Config;

/// The configuration that leads to the data, if it is not in the opened database.
pub async fn elsewhere(config: &Config, store: &Store) -> Result<Option<Config>> {
    let on_sqlite = config.data.url.is_empty();
    if let Some(mark) = transfer::left(store).await? {
        return match on_sqlite {
            true => on_server(config, &mark).map(Some),
            false => in_directory(config, &mark).await.map(Some),
        };
    }
    if let Some(mark) = transfer::arriving(store).await? {
        let came = !on_sqlite && left_by(&config.dir, &mark).await?;
        if !came {
            bail!(
                "the move from {} to {} is not finished: run `pando move` again, or serve {}",
                mark.from,
                mark.to,
                mark.from
            );
        }
        transfer::confirm(store).await?;
    }
    Ok(None)
}

fn on_server(config: &Config, mark: &transfer::Mark) -> Result<Config> {
    match relocation::remembered(&config.dir)? {
        Some(relocation) if relocation.id == mark.id => {
            tracing::warn!("the data of {} has moved to {}: set data.url", config.dir.display(), mark.to);
            let mut config = config.clone();
            config.data.url = relocation.url;
            Ok(config)
        }
        _ => bail!(
            "the data of {} has moved to {}: name it with --data, or as data.url in pando.toml",
            config.dir.display(),
            mark.to
        ),
    }
}

async fn in_directory(config: &Config, mark: &transfer::Mark) -> Result<Config> {
    let dir = Path::new(&mark.to);
    let here = match (dir.canonicalize(), config.dir.canonicalize()) {
        (Ok(there), Ok(here)) => there == here,
        _ => false,
    };
    if !here {
        bail!("the data has moved to SQLite in {}: serve that directory, without data.url", mark.to);
    }
    settle(dir).await?;
    let store = beside(dir, "data.db").await?;
    let arrived = transfer::arriving(&store).await?;
    if arrived.is_some_and(|arrived| arrived.id == mark.id) {
        transfer::confirm(&store).await?;
    }
    store.close().await;
    relocation::forget(dir)?;
    tracing::warn!("the data has moved to SQLite in {}: remove data.url", mark.to);
    let mut config = config.clone();
    config.data.url.clear();
    Ok(config)
}

/// Whether the directory's own database says that its data went with this move.
async fn left_by(dir: &Path, mark: &transfer::Mark) -> Result<bool> {
    if !dir.join("data.db").exists() {
        return Ok(false);
    }
    let store = beside(dir, "data.db").await?;
    let left = transfer::left(&store).await?;
    store.close().await;
    Ok(left.is_some_and(|left| left.id == mark.id))
}

/// Puts a database that has arrived in its place. Nobody may be filling it any more.
pub async fn settle(dir: &Path) -> Result<()> {
    let arriving = dir.join(relocation::ARRIVING);
    for file in ["data.db", "auxiliary.db"] {
        // One may be in its place already, and must not be replaced by an empty one.
        if arriving.join(file).exists() {
            // Whoever filled it may have died: closing it leaves one whole file.
            beside(&arriving, file).await?.close().await;
        }
    }
    Ok(relocation::settle(dir)?)
}

/// A file of a directory that others may have open as well.
pub async fn beside(dir: &Path, file: &'static str) -> Result<Store> {
    open(Target::Sqlite { dir: dir.to_owned(), file }, false).await
}

/// A database whose changes nobody listens to.
pub async fn open(target: Target, exclusive: bool) -> Result<Store> {
    let clock = std::sync::Arc::new(SystemClock);
    let witness = std::sync::Arc::new(());
    Ok(store::open(Options { target, node: Node::local(), clock, witness, exclusive }).await?)
}
