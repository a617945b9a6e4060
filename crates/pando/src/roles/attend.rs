//! The server's part in a move of its data: it opens the new database early, and goes on there as soon as the old one
//! was left. Requests go on meanwhile; writes that find the old database left wait and are done in the new one.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use app::{Parts, transfer};
use backing::relocation::{self, ARRIVING, Relocation, Seen};
use base::limits::{FOREIGN_CHANGES_MS, TRANSFER_LOOK_MS};
use store::{Store, Target};

use crate::place;

pub async fn run(dir: PathBuf, parts: Arc<Parts>, logs: Store, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    let (node, mut version) = (base::id::record(), 0);
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(Duration::from_millis(FOREIGN_CHANGES_MS)) => {}
        }
        // Answering a roll call is for those that others cannot see: it comes as a new schema version does.
        let current = parts.catalog.schema().version;
        if parts.store.engine_name() != "sqlite" && current != version {
            match transfer::roll::answer(&parts.store, &node).await {
                Ok(()) => version = current,
                Err(error) => tracing::warn!(%error, "a roll call is not answered"),
            }
        }
        let done = match relocation::look(&dir) {
            Ok(Seen::Nothing) => continue,
            Ok(Seen::Going(relocation)) => tokio::select! {
                () = &mut stop => return,
                done = follow(&dir, &parts, &logs, &relocation) => done,
            },
            Ok(Seen::Abandoned) => abandoned(&dir, &parts).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = done {
            tracing::warn!("a move of the data cannot be followed: {error:#}");
        }
    }
}

/// Nobody needs the notes of a mover that died.
async fn abandoned(dir: &Path, parts: &Parts) -> Result<()> {
    transfer::roll::dismiss(&parts.store).await?;
    parts.store.depart().await?.unfollow().await?;
    relocation::tidy(dir)?;
    tracing::info!("a move of the data was given up");
    Ok(())
}

async fn follow(dir: &Path, parts: &Parts, logs: &Store, relocation: &Relocation) -> Result<()> {
    let early = match relocation.url.is_empty() {
        true => None,
        false => Some(place::open(Target::Postgres { url: relocation.url.clone() }, false).await?),
    };
    parts.store.expect_switch(true);
    relocation::answer(dir, &relocation.id)?;
    let left = wait(dir, parts, relocation).await;
    match left {
        Ok(true) => arrive(dir, parts, logs, early).await?,
        _ => {
            if let Some(early) = early {
                early.close().await;
            }
        }
    }
    parts.store.expect_switch(false);
    left.map(drop)
}

/// Until the old database is left, or the mover gives up.
async fn wait(dir: &Path, parts: &Parts, relocation: &Relocation) -> Result<bool> {
    loop {
        // In this order: a mover that has left the database may be gone.
        let seen = relocation::look(dir)?;
        if transfer::left(&parts.store).await?.is_some_and(|mark| mark.id == relocation.id) {
            return Ok(true);
        }
        if !matches!(&seen, Seen::Going(going) if going == relocation) {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(TRANSFER_LOOK_MS)).await;
    }
}

/// The mover puts the new files in their place; if it died, this does.
async fn settled(dir: &Path) -> Result<()> {
    while dir.join(ARRIVING).exists() && matches!(relocation::look(dir)?, Seen::Going(_)) {
        tokio::time::sleep(Duration::from_millis(TRANSFER_LOOK_MS)).await;
    }
    place::settle(dir).await
}

async fn arrive(dir: &Path, parts: &Parts, logs: &Store, early: Option<Store>) -> Result<()> {
    let next = match early {
        Some(next) => {
            // Learns of the tables and views that were made since it was opened.
            next.schema_version().await?;
            logs.switch_to(&next);
            next
        }
        None => {
            settled(dir).await?;
            let next = place::open(Target::Sqlite { dir: dir.to_owned(), file: "data.db" }, true).await?;
            logs.switch_to(&place::beside(dir, "auxiliary.db").await?);
            next
        }
    };
    parts.store.switch_to(&next);
    parts.stamps.expire_all();
    transfer::confirm(&parts.store).await?;
    app::setup::refresh(parts).await?;
    tracing::info!(engine = next.engine_name(), "the data has moved, and the server with it");
    Ok(())
}
