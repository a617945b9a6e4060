//! A copy of the database as it is at one moment, made by a connection that only reads: the write-ahead log lets the
//! writer go on meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base::limits::BACKUP_STEP_PAGES;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::connection::{failure, open_reader};
use crate::error::{Error, Result};

/// Tells the copy, when dropped, that nobody wants it any more.
pub struct GivenUp(pub Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

pub fn copy(from: &Path, to: &Path, wanted: &AtomicBool) -> Result<()> {
    let source = open_reader(from)?;
    let fail = |error| failure(&source, error);
    // The open read keeps the moment for all steps.
    source.execute_batch("BEGIN").map_err(fail)?;
    source.query_row("SELECT COUNT(*) FROM sqlite_master", [], |_| Ok(())).map_err(fail)?;
    let mut target = Connection::open(to).map_err(fail)?;
    {
        let backup = Backup::new(&source, &mut target).map_err(fail)?;
        loop {
            if !wanted.load(Ordering::Relaxed) {
                return Err(Error::Unavailable("the copy was given up".into()));
            }
            match backup.step(BACKUP_STEP_PAGES).map_err(fail)? {
                StepResult::Done => break,
                StepResult::More => {}
                _ => std::thread::sleep(std::time::Duration::from_millis(5)),
            }
        }
    }
    // In the mode that it is used in, and without a log beside it once it is closed.
    target.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(())).map_err(|error| failure(&target, error))?;
    target.close().map_err(|(_, error)| Error::Internal(error.to_string()))?;
    std::fs::File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(|error| Error::Unavailable(format!("{}: {error}", to.display())))
}

/// Whether a file is a sound database, as far as SQLite can tell. An error says what is wrong.
pub fn check(path: &Path) -> Result<()> {
    let connection = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|error| Error::Refused(error.to_string()))?;
    let verdict = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
        .map_err(|error| Error::Refused(error.to_string()))?;
    match verdict.as_str() {
        "ok" => Ok(()),
        other => Err(Error::Refused(other.to_owned())),
    }
}
