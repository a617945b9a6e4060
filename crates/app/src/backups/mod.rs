//! Backups: zip files of a data directory, made while the server goes on, and put in its place again. They have the
//! reference's own layout, so that each can restore the other's. Of a database server's data they are a copy in that
//! layout, which a directory takes, and the database server by a move.

mod create;
mod progress;
mod restore;

pub use create::{automatic, create};
pub use progress::{Doing, Phase, Progress};
pub use restore::{KEPT, restore};

use std::path::PathBuf;
use std::sync::Arc;

use backing::blob::{self, Attributes, Blob, Blobs, Content, Entry};
use base::limits::BACKUPS_LISTED_MAX;
use base::{Kind, Timestamp};
use futures_util::TryStreamExt;
use model::Violation;
use store::Store;
use tokio::sync::{Notify, watch};

use crate::audit;
use crate::auth::token::{self, Purpose};
use crate::error::{Error, Result};
use crate::files::{self, Uploads};
use crate::parts::Parts;
use crate::rules::Context;

use progress::Teller;

/// Where backups are kept in the data directory.
pub const FOLDER: &str = "backups";
/// Where a backup is made; what an interrupted one leaves here is removed by the next.
const WORKSHOP: &str = ".pando_backup";
/// Held by who makes one, where several processes share a directory.
const LOCK: &str = ".pando_backup.lock";
const TRY_LATER: &str = "Try again later - another backup/restore process has already been started.";
const ZIP: &str = "application/zip";

pub struct Backups {
    place: Place,
    /// The request log's store.
    logs: Store,
    /// The backup that is made or restored.
    busy: watch::Sender<Option<Progress>>,
    /// Told when the server shall start anew, on what was restored.
    pub restart: Arc<Notify>,
}

/// Where backups are made, and of what.
pub struct Place {
    pub dir: PathBuf,
    /// Whether the data is in the directory, rather than in a database server.
    pub has_data: bool,
    /// Whether all who ask for backups find what is kept in the directory.
    pub keeps: bool,
}

/// Holds the place of the one backup at a time.
struct Turn<'a>(&'a Backups);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.busy.send_replace(None);
    }
}

impl Backups {
    pub fn new(place: Place, logs: Store) -> Self {
        Backups { place, logs, busy: watch::Sender::new(None), restart: Arc::new(Notify::new()) }
    }

    pub fn is_busy(&self) -> bool {
        self.busy.borrow().is_some()
    }

    /// How far the backup is that is made or restored by this process.
    pub fn progress(&self) -> Option<Progress> {
        self.busy.borrow().clone()
    }

    fn teller(&self) -> Teller {
        Teller(self.busy.clone())
    }

    /// Waits while a backup is made: files that it may need must stay.
    pub(crate) async fn idle(&self) {
        // The sender is ours: it does not go away.
        let _ = self.busy.subscribe().wait_for(Option::is_none).await;
    }

    fn turn(&self, doing: Doing, name: &str, since: Timestamp) -> Result<Turn<'_>> {
        let phase = match doing {
            Doing::Backup => Phase::Copying,
            Doing::Restore => Phase::Fetching,
        };
        let free = self.busy.send_if_modified(|busy| match busy {
            Some(_) => false,
            None => {
                *busy = Some(Progress { doing, name: name.to_owned(), since, phase, done: 0, total: 0 });
                true
            }
        });
        match free {
            true => Ok(Turn(self)),
            false => Err(Error::new(Kind::Invalid, TRY_LATER)),
        }
    }

    /// Whether a backup can be restored here: one is a directory, and takes the place of one.
    pub fn has_data(&self) -> bool {
        self.place.has_data && !self.logs.has_switched()
    }
}

/// Whether backups can be kept by the settings as they are.
pub fn can_keep(parts: &Parts) -> bool {
    parts.backups.place.keeps || parts.settings.load().backups.s3.enabled
}

/// The place that the settings name.
fn blobs(parts: &Parts) -> Result<Blobs> {
    let settings = parts.settings.load();
    let s3 = &settings.backups.s3;
    match s3.enabled {
        true => files::open(s3),
        false if parts.backups.place.keeps => {
            Ok(Blobs::open(&blob::Place::Directory(parts.backups.place.dir.join(FOLDER)))?)
        }
        false => Err(Error::new(
            Kind::Unsupported,
            "Other nodes would not find what is kept on this one: name an S3 store for backups in the settings, or \
             set files.shared.",
        )),
    }
}

/// All backups by name.
pub async fn list(parts: &Parts) -> Result<Vec<Entry>> {
    let found = blobs(parts)?.list("")?;
    let mut all: Vec<Entry> = Vec::new();
    let mut found = std::pin::pin!(found);
    while let Some(entry) = found.try_next().await? {
        if !entry.key.contains('/') && all.len() < BACKUPS_LISTED_MAX {
            all.push(entry);
        }
    }
    all.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(all)
}

/// One backup, for the owner of a superuser's file token.
pub async fn get(cx: &Context<'_>, name: &str, token: &str) -> Result<Blob> {
    let owner = match token.is_empty() {
        true => None,
        false => token::verify(cx, token, Purpose::File).await?,
    };
    if !owner.is_some_and(|owner| owner.collection.is_superusers()) {
        return Err(Error::new(Kind::Forbidden, "Insufficient permissions to access the resource."));
    }
    find(cx.parts, name).await?.ok_or_else(Error::not_found)
}

async fn find(parts: &Parts, name: &str) -> Result<Option<Blob>> {
    if name.contains(['/', '\\']) {
        return Ok(None);
    }
    match blobs(parts)?.get(name).await {
        Ok(blob) => Ok(Some(blob)),
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Invalid) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub async fn delete(parts: &Parts, name: &str) -> Result<()> {
    audit::about("backup.delete", name, "");
    if parts.backups.busy.borrow().as_ref().is_some_and(|busy| busy.name == name) {
        let message = "The backup is currently being used and cannot be deleted.";
        return Err(Error::new(Kind::Invalid, message));
    }
    if find(parts, name).await?.is_none() {
        let message = format!(
            "Invalid or already deleted backup file. Raw error: \n[key: {name}] no such file\nresource not found."
        );
        return Err(Error::new(Kind::Invalid, message));
    }
    Ok(blobs(parts)?.delete(name).await?)
}

/// Keeps an uploaded archive under its own name.
pub async fn upload(parts: &Parts, uploads: Uploads) -> Result<()> {
    audit::about("backup.upload", "", "");
    let Some((upload, content)) = uploads.take("file") else {
        return Err(Error::form("file", Violation::required()));
    };
    if upload.mime != ZIP {
        let message = format!("{:?} mime type must be one of: {ZIP}.", upload.name);
        return Err(Error::form("file", Violation::new("validation_invalid_mime_type", message)));
    }
    let taken = |message: &str| Error::form("file", Violation::new("validation_backup_name_exists", message));
    if find(parts, &upload.original).await?.is_some() {
        return Err(taken("Backup file with the specified name already exists."));
    }
    keep(parts, &upload.original, &content).await
}

async fn keep(parts: &Parts, name: &str, content: &Content) -> Result<()> {
    let attributes = Attributes { content_type: ZIP.into(), original: name.to_owned() };
    Ok(blobs(parts)?.put(name, content, &attributes).await?)
}

impl From<backing::archive::Error> for Error {
    fn from(error: backing::archive::Error) -> Self {
        match &error {
            backing::archive::Error::Io(io) if blob::is_full(io) => Error::no_space(error),
            _ if error.is_refusal() => {
                Error::new(Kind::Invalid, "Missing or invalid backup file.").details(error)
            }
            _ => Error::new(Kind::Internal, "The backup failed.").details(error),
        }
    }
}

fn failed(error: std::io::Error) -> Error {
    backing::archive::Error::Io(error).into()
}
