//! `pando move`: all data to another database, and the files to another place, while the server goes on.

mod ends;
mod files;
mod progress;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use app::transfer::{self, Mark, Transfer};
use backing::relocation::{Mover, Relocation};
use base::limits::{TRANSFER_ANSWER_MS, TRANSFER_LOOK_MS};

use self::ends::{Source, Target};
use self::progress::Progress;
use crate::cli::Move;
use crate::config::Config;

pub async fn run(config: Config, command: Move) -> Result<()> {
    if let Some(to) = &command.to {
        data(&config, to, &command).await?;
    }
    match &command.files {
        Some(_) if command.dry_run => Ok(()),
        Some(place) => files::run(&config, place).await,
        None => Ok(()),
    }
}

async fn data(config: &Config, to: &str, command: &Move) -> Result<()> {
    let mut source = Source::open(config).await?;
    let target = Target::of(to)?;
    if let Some(mark) = transfer::left(&source.store).await? {
        match source.onward(config, &mark, &target).await? {
            Some(onward) => source = onward,
            None => return finish(config, &source, &target, &mark).await,
        }
    }
    let target_store = target.open().await?;
    let progress = Progress::new();
    let tell = |step: transfer::Step<'_>| progress.tell(&step);
    if command.dry_run {
        let prospect = transfer::check(&source.store, &target_store, &tell).await.map_err(told)?;
        progress.prospect(&prospect);
        return match prospect.problems.is_empty() {
            true => Ok(()),
            false => bail!("{} things keep the data from being moved", prospect.problems.len()),
        };
    }
    let mark = Mark { id: base::id::record(), from: source.name.clone(), to: target.name() };
    let relocation = Relocation { id: mark.id.clone(), url: target.url() };
    let mover = Mover::begin(&config.dir, &relocation).with_context(|| {
        format!("cannot begin in {}: is another move going on there?", config.dir.display())
    })?;
    let _lock = source.keep_or_await(config, &mover, &relocation.id, &target).await?;
    // Before the switch, so that whoever starts right after it finds the way.
    target.remember(config, &relocation)?;
    println!("Moving {} to {}", mark.from, mark.to);
    let begun = Instant::now();
    let logs = match command.logs {
        true => Some((source.logs().await?, target.logs(&target_store).await?)),
        false => None,
    };
    let logs = logs.as_ref().map(|(from, to)| (from, to));
    let transfer = Transfer { from: &source.store, to: &target_store, logs, mark, tell: &tell };
    let moved = match transfer::run(&transfer).await {
        Ok(moved) => moved,
        Err(error) => {
            if transfer::left(&source.store).await.is_ok_and(|left| left.is_none()) {
                target.forget(config)?;
            }
            return Err(told(error));
        }
    };
    if let Some((from, to)) = logs {
        from.close().await;
        to.close().await;
    }
    source.store.close().await;
    target_store.close().await;
    target.settle().await?;
    progress.moved(&moved, begun.elapsed());
    drop(mover);
    target.advise(config);
    Ok(())
}

/// The data has moved already, by this move or by one that died right after the switch.
async fn finish(config: &Config, source: &Source, target: &Target, mark: &Mark) -> Result<()> {
    if mark.to != target.name() {
        bail!("{} has moved to {} already", mark.from, mark.to);
    }
    source.store.close().await;
    target.settle().await?;
    let store = target.open_settled().await?;
    if transfer::arriving(&store).await?.is_some_and(|arriving| arriving.id == mark.id) {
        transfer::confirm(&store).await?;
    }
    store.close().await;
    println!("{} has moved to {}", mark.from, mark.to);
    target.advise(config);
    Ok(())
}

/// Waits until the server says that it follows, so that it can go on at once after the switch.
async fn answered(mover: &Mover, id: &str) -> Result<()> {
    let until = Instant::now() + Duration::from_millis(TRANSFER_ANSWER_MS);
    while !mover.is_awaited(id) {
        if Instant::now() > until {
            bail!(
                "the server that runs does not follow the move: its messages say why. Or stop it, move, and start it again"
            );
        }
        tokio::time::sleep(Duration::from_millis(TRANSFER_LOOK_MS)).await;
    }
    Ok(())
}

fn told(error: app::Error) -> anyhow::Error {
    match &error.details {
        Some(details) => anyhow::anyhow!("{error} {details}"),
        None => error.into(),
    }
}
