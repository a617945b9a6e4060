//! Restoring a backup: unpacked and verified beside what is there, then decided on; the server starts anew on it.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};

use backing::archive;
use backing::replace::Replacement;
use base::Kind;
use base::topology::Node;
use futures_util::TryStreamExt;
use model::collection::SUPERUSERS;
use store::{Options, Store, Target};
use tokio::io::AsyncWriteExt;

use super::create::Workshop;
use super::{Doing, FOLDER, LOCK, Phase, WORKSHOP, failed, find};
use crate::audit;
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::parts::Parts;

/// What stays in a data directory whatever is restored.
pub const KEPT: &[&str] = &[FOLDER, WORKSHOP, LOCK, ".pando.lock", "outbox", "pando.toml", "lost+found"];

/// Replaces the data by a backup's, at the next start, which is asked for.
pub async fn restore(parts: &Parts, name: &str) -> Result<()> {
    audit::begun(parts, "backup.restore", name, "").await?;
    let turn = parts.backups.turn(Doing::Restore, name, parts.clock.now())?;
    let teller = parts.backups.teller();
    let dir = parts.backups.place.dir.clone();
    let missing = || Error::new(Kind::Invalid, "Missing or invalid backup file.");
    let blob = find(parts, name).await?.ok_or_else(missing)?;
    if !parts.backups.has_data() {
        return Err(Error::new(
            Kind::Unsupported,
            "A backup is not restored into a PostgreSQL database in use: unpack it into a directory of its own, and \
             bring it into an empty database with `pando move --dir DIRECTORY --to postgres://...`.",
        ));
    }
    tracing::info!("restore of {name}: begun");
    let workshop = Workshop::open(&dir)?;
    let fetched = workshop.dir.join("restore.zip");
    let mut file = tokio::fs::File::create_new(&fetched).await.map_err(failed)?;
    let mut bytes = blob.stream(0..blob.size_bytes).await?;
    teller.phase(Phase::Fetching, blob.size_bytes);
    let mut fetched_bytes = 0;
    while let Some(chunk) = bytes.try_next().await.map_err(failed)? {
        fetched_bytes += chunk.len() as u64;
        teller.done(fetched_bytes);
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    let replacement = Replacement::of(&dir, KEPT);
    teller.phase(Phase::Unpacking, 0);
    let prepared = prepare(&replacement, &dir, &fetched).await;
    let decided = match prepared {
        Ok(new) => {
            teller.phase(Phase::Verifying, 0);
            verify(parts, &new).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = decided {
        tracing::warn!(details = error.details, "restore of {name}: refused: {error}");
        let _ = replacement.clear();
        return Err(error);
    }
    drop(workshop);
    let deciding = tokio::task::spawn_blocking(move || replacement.decide()).await;
    deciding.map_err(|error| Error::internal(error.to_string()))?.map_err(failed)?;
    tracing::info!("restore of {name}: verified; the server starts anew");
    teller.phase(Phase::Restarting, 0);
    parts.backups.restart.notify_one();
    // Nothing else may begin before the restart.
    std::mem::forget(turn);
    Ok(())
}

async fn prepare(replacement: &Replacement, dir: &Path, archive: &Path) -> Result<PathBuf> {
    let new = replacement.prepare().map_err(failed)?;
    let (dir, into, archive) = (dir.to_owned(), new.clone(), archive.to_owned());
    let unpacked = tokio::task::spawn_blocking(move || {
        let mut file = File::open(archive)?;
        file.seek(SeekFrom::Start(0))?;
        archive::unpack(file, &into)?;
        // What is not data has no business in a backup.
        for name in KEPT {
            let path = into.join(name);
            match path.is_dir() {
                true => std::fs::remove_dir_all(path)?,
                false if path.exists() => std::fs::remove_file(path)?,
                false => {}
            }
        }
        one_file_system(&dir)
    });
    unpacked.await.map_err(|error| Error::internal(error.to_string()))??;
    Ok(new)
}

/// What is moved must be movable: nothing of the directory may be mounted from elsewhere.
#[cfg(unix)]
fn one_file_system(dir: &Path) -> std::result::Result<(), archive::Error> {
    use std::os::unix::fs::MetadataExt;
    let device = std::fs::metadata(dir)?.dev();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let kept = KEPT.iter().any(|kept| entry.file_name() == *kept);
        if !kept && std::fs::symlink_metadata(entry.path())?.dev() != device {
            let name = entry.path();
            return Err(archive::Error::Refused(format!("{} is on another file system", name.display())));
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn one_file_system(_dir: &Path) -> std::result::Result<(), archive::Error> {
    Ok(())
}

/// Whether a server will be able to open it: sound databases, and collections that can be read.
async fn verify(parts: &Parts, new: &Path) -> Result<()> {
    let refused = |why: String| Error::new(Kind::Invalid, "Missing or invalid backup file.").details(why);
    let dir = new.to_owned();
    let checked = tokio::task::spawn_blocking(move || -> std::result::Result<(), String> {
        if !dir.join("data.db").is_file() {
            return Err("there is no data.db".into());
        }
        for file in ["data.db", "auxiliary.db"] {
            let path = dir.join(file);
            if path.exists() {
                store::check_file(&path).map_err(|error| format!("{file}: {error}"))?;
            }
        }
        Ok(())
    });
    checked.await.map_err(|error| Error::internal(error.to_string()))?.map_err(refused)?;
    let store = store::open(Options {
        target: Target::Sqlite { dir: new.to_owned(), file: "data.db" },
        node: Node::local(),
        clock: parts.clock.clone(),
        witness: std::sync::Arc::new(()),
        exclusive: false,
    })
    .await
    .map_err(|error| refused(error.to_string()))?;
    let read = collections(&store).await;
    store.close().await;
    read.map_err(|error| refused(error.to_string()))
}

async fn collections(store: &Store) -> Result<()> {
    let catalog = Catalog::empty();
    catalog.reload(store).await?;
    catalog.schema().find(SUPERUSERS).map(drop).ok_or_else(Error::not_found)
}
