//! Putting a prepared directory in the place of another one's content, so that a crash at any moment leaves either the
//! old or the new. What was there is kept until the new was opened.
//!
//! Everything happens by renaming, inside of `DIR/.pando_restore`: `new` holds what comes, `old` what goes, and `state`
//! the step that was begun last. A step that was begun is finished by whoever comes next.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const PLACE: &str = ".pando_restore";

/// A replacement inside a directory, under way or yet to be prepared.
pub struct Replacement {
    dir: PathBuf,
    /// Entries of the directory that stay as they are.
    kept: &'static [&'static str],
}

/// What is to be done next; the text of the state file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Moving what is there to `old`.
    MakeRoom,
    /// Moving what comes from `new`.
    MoveIn,
    /// The new is in place, and was not opened yet.
    Try,
    /// It could not be opened: it goes to `failed`.
    MakeRoomAgain,
    /// And the old comes back.
    MoveBack,
}

const STATES: [(State, &str); 5] = [
    (State::MakeRoom, "make-room"),
    (State::MoveIn, "move-in"),
    (State::Try, "try"),
    (State::MakeRoomAgain, "make-room-again"),
    (State::MoveBack, "move-back"),
];

impl Replacement {
    pub fn of(dir: &Path, kept: &'static [&'static str]) -> Self {
        Replacement { dir: dir.to_owned(), kept }
    }

    fn place(&self) -> PathBuf {
        self.dir.join(PLACE)
    }

    /// An empty directory for what shall come. What an earlier preparation left is removed.
    pub fn prepare(&self) -> io::Result<PathBuf> {
        if self.state()?.is_some() {
            return Err(io::Error::other("a replacement is under way"));
        }
        self.clear()?;
        let new = self.place().join("new");
        fs::create_dir_all(&new)?;
        Ok(new)
    }

    /// Gives a preparation up.
    pub fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.place()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// From here on the new counts: it is put in place by the next [`Replacement::settle`].
    pub fn decide(&self) -> io::Result<()> {
        sync_tree(&self.place().join("new"))?;
        self.set(State::MakeRoom)
    }

    /// Whether the directory is between the old and the new, or was not tried yet.
    pub fn is_pending(&self) -> io::Result<bool> {
        Ok(self.state()?.is_some())
    }

    /// Finishes what was begun. Nobody may have the directory open. True when the new is in place and must now be
    /// [`Replacement::accept`]ed or [`Replacement::reject`]ed.
    pub fn settle(&self) -> io::Result<bool> {
        loop {
            match self.state()? {
                None => {
                    // A preparation that nobody decided on.
                    self.clear()?;
                    return Ok(false);
                }
                Some(State::MakeRoom) => self.make_room("old", State::MoveIn)?,
                Some(State::MoveIn) => self.move_in("new", Some(State::Try))?,
                Some(State::Try) => return Ok(true),
                Some(State::MakeRoomAgain) => self.make_room("failed", State::MoveBack)?,
                Some(State::MoveBack) => self.move_in("old", None)?,
            }
        }
    }

    /// The new was opened: the old is removed.
    pub fn accept(&self) -> io::Result<()> {
        self.forget()?;
        self.clear()
    }

    /// The new could not be opened: the old comes back.
    pub fn reject(&self) -> io::Result<()> {
        self.set(State::MakeRoomAgain)?;
        self.settle().map(drop)
    }

    fn make_room(&self, aside: &str, then: State) -> io::Result<()> {
        let aside = self.place().join(aside);
        fs::create_dir_all(&aside)?;
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            if name.as_os_str() != PLACE && !self.kept.iter().any(|kept| name.as_os_str() == *kept) {
                fs::rename(self.dir.join(&name), aside.join(&name))?;
            }
        }
        sync_dir(&aside)?;
        sync_dir(&self.dir)?;
        self.set(then)
    }

    fn move_in(&self, from: &str, then: Option<State>) -> io::Result<()> {
        let from = self.place().join(from);
        for entry in fs::read_dir(&from)? {
            let name = entry?.file_name();
            fs::rename(from.join(&name), self.dir.join(&name))?;
        }
        sync_dir(&self.dir)?;
        match then {
            Some(state) => self.set(state),
            None => self.forget(),
        }
    }

    fn state(&self) -> io::Result<Option<State>> {
        match fs::read_to_string(self.place().join("state")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(text) => match STATES.iter().find(|(_, name)| *name == text.trim()) {
                Some((state, _)) => Ok(Some(*state)),
                None => Err(io::Error::other(format!("{}: unknown state {text:?}", self.place().display()))),
            },
        }
    }

    fn set(&self, state: State) -> io::Result<()> {
        let name = STATES.iter().find(|(known, _)| *known == state).map_or("", |(_, name)| name);
        let (next, path) = (self.place().join("state.next"), self.place().join("state"));
        let mut file = File::create(&next)?;
        file.write_all(name.as_bytes())?;
        file.sync_all()?;
        fs::rename(&next, &path)?;
        sync_dir(&self.place())?;
        sync_dir(&self.dir)
    }

    fn forget(&self) -> io::Result<()> {
        fs::remove_file(self.place().join("state"))?;
        sync_dir(&self.place())
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The names too must be on disk, not only the files.
fn sync_tree(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &[&str] = &["backups"];

    fn content(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != PLACE)
            .collect();
        names.sort();
        names
    }

    /// Both directories before each step, as a crash there leaves them, and what comes of it.
    #[test]
    fn a_crash_leaves_the_old_or_the_new() {
        for moved in 0..=5 {
            let dir = tempfile::tempdir().unwrap();
            let dir = dir.path();
            for name in ["data.db", "auxiliary.db", "types.d.ts"] {
                fs::write(dir.join(name), "old").unwrap();
            }
            fs::create_dir(dir.join("backups")).unwrap();
            let replacement = Replacement::of(dir, KEPT);
            let new = replacement.prepare().unwrap();
            for name in ["data.db", "storage"] {
                fs::write(new.join(name), "new").unwrap();
            }
            // Not decided: the old stays.
            if moved == 0 {
                assert!(!replacement.settle().unwrap());
                assert_eq!(fs::read(dir.join("data.db")).unwrap(), b"old");
                assert!(!dir.join(PLACE).exists());
                continue;
            }
            replacement.decide().unwrap();
            // Some renames of the first step, then of the second, have happened.
            let old = dir.join(PLACE).join("old");
            fs::create_dir(&old).unwrap();
            for name in ["data.db", "auxiliary.db", "types.d.ts"].iter().take(moved) {
                fs::rename(dir.join(name), old.join(name)).unwrap();
            }
            if moved > 3 {
                replacement.set(State::MoveIn).unwrap();
                fs::rename(new.join("data.db"), dir.join("data.db")).unwrap();
            }
            let again = Replacement::of(dir, KEPT);
            assert!(again.is_pending().unwrap());
            assert!(again.settle().unwrap());
            assert_eq!(content(dir), ["backups", "data.db", "storage"]);
            assert_eq!(fs::read(dir.join("data.db")).unwrap(), b"new");
            if moved % 2 == 0 {
                again.reject().unwrap();
                assert_eq!(content(dir), ["auxiliary.db", "backups", "data.db", "types.d.ts"]);
                assert_eq!(fs::read(dir.join("data.db")).unwrap(), b"old");
                assert!(!again.settle().unwrap());
            } else {
                again.accept().unwrap();
                assert_eq!(content(dir), ["backups", "data.db", "storage"]);
            }
            assert!(!dir.join(PLACE).exists());
        }
    }
}
