//! Making a backup: a copy of each database as it is at one moment, then the files, in one archive that gets its name
//! when it is whole.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use backing::archive::{self, Source};
use backing::blob::Content;
use base::{Kind, Timestamp};
use model::Violation;
use serde_json::json;

use super::{Doing, LOCK, Phase, TRY_LATER, WORKSHOP, blobs, failed, find, keep, list};
use crate::audit;
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::system::events;
use crate::transfer;

const NAME_CHARS_MAX: usize = 150;
/// Of the application's name in that of a backup.
const APP_CHARS_MAX: usize = 50;
/// What the names of backups made by the clock begin with.
const AUTOMATIC: &str = "@auto_pb_backup_";
/// Bytes between two words about the progress in the log.
const PROGRESS_BYTES: u64 = 1 << 30;

/// Makes a backup of that name, or of one that tells the time.
pub async fn create(parts: &Parts, name: &str) -> Result<()> {
    audit::about("backup.create", name, "");
    // Before the name is looked at, as in the reference.
    let turn = parts.backups.turn(Doing::Backup, name, parts.clock.now())?;
    let name = match name {
        "" => format!("pb_backup_{}", described(parts)),
        name => {
            check(name)?;
            name.to_owned()
        }
    };
    parts.backups.busy.send_modify(|busy| {
        if let Some(progress) = busy {
            progress.name.clone_from(&name);
        }
    });
    let replaced = name.starts_with("pb_backup_");
    if !replaced && find(parts, &name).await?.is_some() {
        let message = "The backup file name is invalid or already exists.";
        return Err(Error::form("name", Violation::new("validation_backup_name_exists", message)));
    }
    told(parts, &name, make(parts, &name).await).await?;
    drop(turn);
    Ok(())
}

/// What is due by the clock: a new backup, and no more old ones than the settings want.
pub async fn automatic(parts: &Parts) -> Result<()> {
    let name = format!("{AUTOMATIC}{}", described(parts));
    let turn = parts.backups.turn(Doing::Backup, &name, parts.clock.now())?;
    told(parts, &name, make(parts, &name).await).await?;
    drop(turn);
    let kept = usize::try_from(parts.settings.load().backups.cron_max_keep).unwrap_or(0);
    if kept == 0 {
        return Ok(());
    }
    let mut own: Vec<_> =
        list(parts).await?.into_iter().filter(|entry| entry.key.starts_with(AUTOMATIC)).collect();
    own.sort_by_key(|entry| std::cmp::Reverse(entry.modified));
    for entry in own.into_iter().skip(kept) {
        blobs(parts)?.delete(&entry.key).await?;
    }
    Ok(())
}

/// Notes what came of it where people look for it.
async fn told(parts: &Parts, name: &str, made: Result<()>) -> Result<()> {
    match &made {
        Ok(()) => events::tell(parts, events::BACKUP_DONE, "", json!({"name": name})).await,
        Err(error) => {
            let why = error.details.clone().unwrap_or_else(|| error.message.clone());
            events::tell(parts, events::BACKUP_FAILED, "", json!({"name": name, "error": why})).await;
        }
    }
    made
}

/// `app_name_20261121101500.zip`.
fn described(parts: &Parts) -> String {
    let app = words(&parts.settings.load().meta.app_name);
    format!("{app}_{}.zip", digits(parts.clock.now()))
}

/// Lowercase words with underscores between them, as the reference spells the name of the application: a word ends where
/// no letter or digit of ASCII stands, and before a capital that follows anything but a capital.
fn words(name: &str) -> String {
    let mut words = String::new();
    let mut last = ' ';
    for letter in name.chars() {
        let ends = !last.is_ascii_alphanumeric() || letter.is_ascii_uppercase() && !last.is_ascii_uppercase();
        if letter.is_ascii_alphanumeric() {
            if ends && !words.is_empty() {
                words.push('_');
            }
            words.push(letter.to_ascii_lowercase());
        }
        last = letter;
    }
    words.truncate(APP_CHARS_MAX);
    words
}

/// The time to the second, without signs between.
fn digits(now: Timestamp) -> String {
    now.to_string().chars().filter(char::is_ascii_digit).take(14).collect()
}

fn check(name: &str) -> Result<()> {
    if name.chars().count() > NAME_CHARS_MAX {
        return Err(Error::form("name", Violation::length(1, NAME_CHARS_MAX)));
    }
    let stem = name.strip_suffix(".zip").unwrap_or_default();
    let plain =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter);
    match !stem.is_empty() && stem.chars().all(plain) {
        true => Ok(()),
        false => Err(Error::form("name", Violation::format())),
    }
}

/// A folder that is gone when it is not needed any more.
pub(super) struct Workshop {
    pub dir: PathBuf,
    /// Nobody else's meanwhile: nodes on one database may have one directory.
    _lock: File,
}

impl Workshop {
    pub fn open(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(failed)?;
        let lock =
            File::options().create(true).truncate(false).write(true).open(dir.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(Error::new(Kind::Invalid, TRY_LATER)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Ok(()) => {}
        }
        let workshop = Workshop { dir: dir.join(WORKSHOP), _lock: lock };
        workshop.clear();
        std::fs::create_dir_all(&workshop.dir).map_err(failed)?;
        Ok(workshop)
    }

    fn clear(&self) {
        match std::fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!("{}: {error}", self.dir.display());
            }
            _ => {}
        }
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        self.clear();
    }
}

async fn make(parts: &Parts, name: &str) -> Result<()> {
    // Before the work, whether it can be kept.
    blobs(parts)?;
    let dir = parts.backups.place.dir.clone();
    tracing::info!("backup {name}: begun");
    let workshop = Workshop::open(&dir)?;
    let (data, logs, out) =
        (workshop.dir.join("data.db"), workshop.dir.join("auxiliary.db"), workshop.dir.join("backup.zip"));
    // The databases first: a file is written before the record that names it, and no file goes while a backup is made.
    let mut storage = dir.join("storage");
    if parts.backups.has_data() {
        parts.store.snapshot(&data).await?;
        parts.backups.logs.snapshot(&logs).await?;
    } else {
        transfer::snapshot(&parts.store, &parts.backups.logs, &workshop.dir, &parts.clock).await?;
        // It may be a link to what all nodes share.
        storage = storage.canonicalize().unwrap_or(storage);
    }
    let sources = vec![
        Source { path: data, name: "data.db".into() },
        Source { path: logs, name: "auxiliary.db".into() },
        Source { path: storage, name: "storage".into() },
    ];
    let (label, teller) = (name.to_owned(), parts.backups.teller());
    let packed = tokio::task::spawn_blocking(move || {
        let mut told = 0;
        teller.phase(Phase::Packing, archive::size(&sources));
        archive::pack(
            File::options().read(true).write(true).create_new(true).open(&out)?,
            &sources,
            |bytes| {
                teller.done(bytes);
                if bytes / PROGRESS_BYTES > told {
                    told = bytes / PROGRESS_BYTES;
                    tracing::info!("backup {label}: {} MiB so far", bytes >> 20);
                }
            },
        )
    });
    let file = packed.await.map_err(|error| Error::internal(error.to_string()))??;
    let size_bytes = file.metadata().map_err(failed)?.len();
    parts.backups.teller().phase(Phase::Storing, 0);
    keep(parts, name, &Content::File { file, size_bytes }).await?;
    tracing::info!("backup {name}: done, {} MiB", size_bytes >> 20);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applications_are_spelled_as_by_the_reference() {
        for (name, spelled) in [
            ("Some ÄPP 1", "some_pp_1"),
            ("MYApp2Go", "myapp2_go"),
            ("a.b-c/d", "a_b_c_d"),
            ("_foo__bar_", "foo_bar"),
            ("  A B  C", "a_b_c"),
            ("x1Y2", "x1_y2"),
            ("o'k!", "o_k"),
            ("日本 - é", ""),
        ] {
            assert_eq!(words(name), spelled, "{name}");
        }
        assert_eq!(words(&"L".repeat(70)), "l".repeat(50));
    }
}
