//! Keeps a second server out of a directory. Commands that only write a record beside a running server do not
//! take it: SQLite itself keeps their writes apart.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::{Error, Result};

const FILE: &str = ".pando.lock";

/// Held until dropped; the operating system lets go of it when the process dies.
pub struct DirectoryLock {
    file: File,
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing the file would do as well, but not before every copy of its handle is closed.
        let _ = self.file.unlock();
    }
}

impl DirectoryLock {
    pub fn take(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let unavailable = |error: std::io::Error| Error::Unavailable(format!("{}: {error}", path.display()));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unavailable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                return Err(Error::Locked(format!(
                    "the directory {} is in use by another server (process {}): stop that one first, or give this one a directory of its own",
                    dir.display(),
                    pid.trim()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(unavailable(error)),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", std::process::id()));
        written.map_err(unavailable)?;
        Ok(DirectoryLock { file })
    }
}
