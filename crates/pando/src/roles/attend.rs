//! The server's part in a move of its data: it opens the new database early, and goes on there as soon as the old one
//! was left. Requests go on meanwhile; writes that find the old database left wait and are done in the new one.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use app::system::events;
use app::transfer::Mark;
use app::{Parts, transfer};
use backing::relocation::{self, ARRIVING, Leftover, Relocation, Seen};
use base::limits::{FOREIGN_CHANGES_MS, NODE_BEAT_MS, TRANSFER_LOOK_MS};
use store::{Store, Target};

use crate::place;

/// The server, as far as a move concerns it.
struct Server {
    dir: PathBuf,
    parts: Arc<Parts>,
    logs: Store,
    /// No other server has this name.
    node: String,
    /// The schema version at which a roll call was answered last.
    answered: u64,
}

pub async fn run(dir: PathBuf, parts: Arc<Parts>, logs: Store, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    let mut server = Server { dir, parts, logs, node: base::id::record(), answered: 0 };
    loop {
        let done = tokio::select! {
            () = &mut stop => return,
            done = server.look() => done,
        };
        if let Err(error) = done {
            tracing::warn!("a move of the data cannot be followed: {error:#}");
        }
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(Duration::from_millis(FOREIGN_CHANGES_MS)) => {}
        }
    }
}

impl Server {
    async fn look(&mut self) -> Result<()> {
        self.answer_roll().await?;
        match relocation::look(&self.dir)? {
            Seen::Going(relocation) => self.follow(&relocation).await,
            Seen::Abandoned(leftover) => self.tidy(leftover).await,
            Seen::Nothing => self.catch_up().await,
        }
    }

    /// For movers that others cannot see: a call comes as a new schema version does.
    async fn answer_roll(&mut self) -> Result<()> {
        let current = self.parts.catalog.schema().version;
        if self.parts.store.engine_name() != "sqlite" && current != self.answered {
            transfer::roll::answer(&self.parts.store, &self.node).await?;
            self.answered = current;
        }
        Ok(())
    }

    /// Nobody needs the notes of a mover that died.
    async fn tidy(&self, leftover: Leftover) -> Result<()> {
        self.catch_up().await?;
        if transfer::left(&self.parts.store).await?.is_none() {
            transfer::roll::dismiss(&self.parts.store).await?;
            self.parts.store.depart().await?.unfollow().await?;
            if self.parts.store.engine_name() == "sqlite" {
                relocation::forget(&self.dir)?;
            }
        }
        leftover.tidy()?;
        tracing::info!("a move of the data has ended without its mover");
        Ok(())
    }

    /// A database that was left while nobody looked, or when the new one could not be opened.
    async fn catch_up(&self) -> Result<()> {
        let on_sqlite = self.parts.store.engine_name() == "sqlite";
        let may_be = self.parts.store.found_moved() || (on_sqlite && relocation::is_remembered(&self.dir));
        if !may_be {
            return Ok(());
        }
        let Some(mark) = transfer::left(&self.parts.store).await? else { return Ok(()) };
        self.parts.store.expect_switch(true);
        let next = match on_sqlite {
            true => Some(self.remembered(&mark).await?),
            false if mark.to == self.dir.canonicalize()?.display().to_string() => None,
            false => bail!("the data has moved to {}: this server cannot follow", mark.to),
        };
        self.arrive(next).await
    }

    async fn remembered(&self, mark: &Mark) -> Result<Store> {
        match relocation::remembered(&self.dir)? {
            Some(relocation) if relocation.id == mark.id => {
                place::open(Target::Postgres { url: relocation.url }, false).await
            }
            _ => bail!("the data has moved to {}: start again with --data", mark.to),
        }
    }

    async fn follow(&self, relocation: &Relocation) -> Result<()> {
        // From here on a write that finds the data moved waits.
        self.parts.store.expect_switch(true);
        let early = match relocation.url.is_empty() {
            true => None,
            false => Some(place::open(Target::Postgres { url: relocation.url.clone() }, false).await?),
        };
        // What is acknowledged must be in the database that is left.
        self.parts.store.directly(true).await?;
        relocation::answer(&self.dir, &relocation.id)?;
        if self.wait(relocation).await? {
            return self.arrive(early).await;
        }
        self.parts.store.expect_switch(false);
        self.parts.store.directly(false).await?;
        if let Some(early) = early {
            early.close().await;
        }
        Ok(())
    }

    /// Until the old database is left, or the mover gives up.
    async fn wait(&self, relocation: &Relocation) -> Result<bool> {
        loop {
            // In this order: a mover that has left the database may be gone.
            let going = relocation::look(&self.dir)?.is(relocation);
            if transfer::left(&self.parts.store).await?.is_some_and(|mark| mark.id == relocation.id) {
                return Ok(true);
            }
            if !going {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(TRANSFER_LOOK_MS)).await;
        }
    }

    async fn arrive(&self, next: Option<Store>) -> Result<()> {
        let next = match next {
            Some(next) => {
                // Learns of the tables and views that were made since it was opened.
                next.schema_version().await?;
                self.logs.switch_to(&next);
                next
            }
            None => {
                settled(&self.dir).await?;
                let target = Target::Sqlite { dir: self.dir.clone(), file: "data.db" };
                let next = place::open(target, true).await?;
                self.logs.switch_to(&place::beside(&self.dir, "auxiliary.db").await?);
                next
            }
        };
        let parts = &self.parts;
        if next.shared().is_some() {
            tokio::spawn(beat(next.clone(), parts.clone()));
        }
        parts.store.hand_over(&next).await?;
        parts.store.switch_to(&next);
        parts.stamps.expire_all();
        parts.store.expect_switch(false);
        transfer::confirm(&parts.store).await?;
        if next.engine_name() == "sqlite" {
            relocation::forget(&self.dir)?;
        }
        app::setup::refresh(parts).await?;
        parts.outside.anything(false);
        let detail = serde_json::json!({"engine": next.engine_name()});
        events::tell(parts, events::DATA_MOVED, "", detail).await;
        tracing::info!(engine = next.engine_name(), "the data has moved, and the server with it");
        Ok(())
    }
}

/// Other nodes of the new database must know that somebody writes whom they do not hear: then they use no caches. This
/// process goes on as it began, alone.
async fn beat(store: Store, parts: Arc<Parts>) {
    let id = base::id::record();
    while let Some(shared) = store.shared() {
        let (address, release) = ("moved".into(), env!("CARGO_PKG_VERSION").into());
        let schema = parts.catalog.schema().version;
        let member = store::Member { id: id.clone(), address, release, schema, ..store::Member::default() };
        if let Err(error) = shared.beat(&member).await {
            tracing::debug!(%error, "the nodes of the new database cannot be told of this one");
        }
        tokio::time::sleep(Duration::from_millis(NODE_BEAT_MS)).await;
    }
}

/// The mover puts the new files in their place; if it died, this does.
async fn settled(dir: &Path) -> Result<()> {
    while dir.join(ARRIVING).exists() && matches!(relocation::look(dir)?, Seen::Going(_)) {
        tokio::time::sleep(Duration::from_millis(TRANSFER_LOOK_MS)).await;
    }
    place::settle(dir).await
}
