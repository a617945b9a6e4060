//! How a process that moves the data speaks with the server that serves it, through files in the data directory, and
//! how the directory remembers where its data is now.
//!
//! `.pando_move` says what is going on and is locked by the mover: the operating system tells when it dies.
//! `.pando_ready` is the server's answer. `.pando_data` is the address of the moved data, password included, for the
//! owner's eyes only; it counts only while the database that was left bears the same id.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

const MOVE: &str = ".pando_move";
const READY: &str = ".pando_ready";
const DATA: &str = ".pando_data";
/// A database that arrives is filled here.
pub const ARRIVING: &str = ".pando_arriving";

/// How often, and how far apart, a mover tries to begin.
const CLAIMS_MAX: usize = 100;
const CLAIM_PAUSE: Duration = Duration::from_millis(50);

/// Where the data goes, or is: a database's address, or a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relocation {
    /// The move's id.
    pub id: String,
    /// `postgres://…`; empty for the directory itself.
    pub url: String,
}

/// The mover's own end; others see that it is there until it is dropped.
pub struct Mover {
    dir: PathBuf,
    _lock: File,
}

impl Mover {
    /// Fails with `WouldBlock` when another move is going on. Blocks for a moment when what an earlier one left is
    /// being tidied up.
    pub fn begin(dir: &Path, relocation: &Relocation) -> io::Result<Mover> {
        let mut file = claim(dir)?;
        remove(&dir.join(READY))?;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(serde_json::json!(relocation).to_string().as_bytes())?;
        file.sync_all()?;
        Ok(Mover { dir: dir.to_owned(), _lock: file })
    }

    /// Whether a server says that it follows this move.
    pub fn is_awaited(&self, id: &str) -> bool {
        fs::read_to_string(self.dir.join(READY)).is_ok_and(|text| text == id)
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        // While the lock is held, so that no later mover's is meant.
        let _ = remove(&self.dir.join(MOVE));
        let _ = remove(&self.dir.join(READY));
    }
}

/// The file, locked, and the one that others find by its name.
fn claim(dir: &Path) -> io::Result<File> {
    let path = dir.join(MOVE);
    for _ in 0..CLAIMS_MAX {
        let file = private().read(true).open(&path)?;
        match file.try_lock() {
            Ok(()) if is_there(&file, &path) => return Ok(file),
            // It was removed in between.
            Ok(()) => continue,
            Err(TryLockError::WouldBlock) => std::thread::sleep(CLAIM_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

fn is_there(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(file), Ok(path)) => file.ino() == path.ino() && file.dev() == path.dev(),
        _ => false,
    }
}

/// A move that is going on, and one whose mover died.
#[derive(Debug)]
pub enum Seen {
    Nothing,
    Going(Relocation),
    Abandoned(Leftover),
}

impl Seen {
    pub fn is(&self, relocation: &Relocation) -> bool {
        matches!(self, Seen::Going(going) if going == relocation)
    }
}

/// What a mover that died left behind. No other begins before it is tidied up or dropped.
#[derive(Debug)]
pub struct Leftover {
    dir: PathBuf,
    _lock: File,
}

impl Leftover {
    pub fn tidy(self) -> io::Result<()> {
        remove(&self.dir.join(MOVE))?;
        remove(&self.dir.join(READY))
    }
}

/// What a server finds.
pub fn look(dir: &Path) -> io::Result<Seen> {
    let path = dir.join(MOVE);
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Seen::Nothing),
        other => other?,
    };
    match file.try_lock() {
        Ok(()) if is_there(&file, &path) => {
            Ok(Seen::Abandoned(Leftover { dir: dir.to_owned(), _lock: file }))
        }
        Ok(()) => Ok(Seen::Nothing),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            // Not yet written is as good as not there.
            Ok(serde_json::from_str(&text).map_or(Seen::Nothing, Seen::Going))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The server's answer to a mover.
pub fn answer(dir: &Path, id: &str) -> io::Result<()> {
    write_private(&dir.join(READY), id)
}

/// Remembers where the data will be, durably and before it is there.
pub fn remember(dir: &Path, relocation: &Relocation) -> io::Result<()> {
    write_private(&dir.join(DATA), &serde_json::json!(relocation).to_string())?;
    File::open(dir)?.sync_all()
}

pub fn remembered(dir: &Path) -> io::Result<Option<Relocation>> {
    match fs::read_to_string(dir.join(DATA)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => serde_json::from_str(&other?).map(Some).map_err(io::Error::other),
    }
}

/// Whether there is anything to remember, at the cost of a look.
pub fn is_remembered(dir: &Path) -> bool {
    dir.join(DATA).exists()
}

pub fn forget(dir: &Path) -> io::Result<()> {
    remove(&dir.join(DATA))
}

/// Puts a database that has arrived in its place. What was there before, and was left, goes. May be repeated.
pub fn settle(dir: &Path) -> io::Result<()> {
    let from = dir.join(ARRIVING);
    for name in ["auxiliary.db", "data.db"] {
        let (new, old) = (from.join(name), dir.join(name));
        if !new.exists() {
            continue;
        }
        // The log of the old file would be taken for the new one's.
        for end in ["-wal", "-shm"] {
            remove(&dir.join(format!("{name}{end}")))?;
        }
        fs::rename(&new, &old)?;
    }
    File::open(dir)?.sync_all()?;
    match fs::remove_dir_all(&from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let next = path.with_extension("next");
    let mut file = private().truncate(true).open(&next)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&next, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mover_is_seen_while_it_lives() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let relocation = Relocation { id: "a".into(), url: "postgres://x".into() };
        assert!(matches!(look(dir).unwrap(), Seen::Nothing));
        let mover = Mover::begin(dir, &relocation).unwrap();
        assert!(look(dir).unwrap().is(&relocation));
        assert!(claim(dir).is_err());
        answer(dir, "a").unwrap();
        assert!(mover.is_awaited("a") && !mover.is_awaited("b"));
        drop(mover);
        assert!(matches!(look(dir).unwrap(), Seen::Nothing));
        fs::write(dir.join(MOVE), "x").unwrap();
        let Seen::Abandoned(leftover) = look(dir).unwrap() else { panic!("nobody holds it") };
        assert!(claim(dir).is_err(), "not before it is tidied up");
        leftover.tidy().unwrap();
        drop(Mover::begin(dir, &relocation).unwrap());
        assert_eq!(remembered(dir).unwrap(), None);
        remember(dir, &relocation).unwrap();
        assert_eq!(remembered(dir).unwrap(), Some(relocation));
    }

    #[test]
    fn an_arrival_takes_the_place_of_what_was_left() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        fs::create_dir(dir.join(ARRIVING)).unwrap();
        for (name, text) in [("data.db", "old"), ("data.db-wal", "old"), (".pando_arriving/data.db", "new")] {
            fs::write(dir.join(name), text).unwrap();
        }
        settle(dir).unwrap();
        settle(dir).unwrap();
        assert_eq!(fs::read(dir.join("data.db")).unwrap(), b"new");
        assert!(!dir.join("data.db-wal").exists() && !dir.join(ARRIVING).exists());
    }
}
