//! A directory that keeps mails as `.eml` files, which mail programs open: for development, and for whoever carries
//! mail out of it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use base::limits::OUTBOX_MAILS_MAX;

use super::{Error, Result, Transport};

const EXTENSION: &str = "eml";

pub(super) struct Outbox {
    dir: PathBuf,
}

impl Outbox {
    pub fn new(dir: PathBuf) -> Self {
        Outbox { dir }
    }
}

#[async_trait]
impl Transport for Outbox {
    async fn send(&self, message: &lettre::Message) -> Result<()> {
        let (dir, mail) = (self.dir.clone(), message.formatted());
        let written = tokio::task::spawn_blocking(move || keep(&dir, &mail)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::Unavailable(format!("outbox: {error}"))),
            Err(error) => Err(Error::Unavailable(format!("outbox: {error}"))),
        }
    }
}

/// Writes under another name first, so that a reader never meets half a mail.
fn keep(dir: &Path, mail: &[u8]) -> io::Result<()> {
    create_private(dir)?;
    // Names sort by time; those of one moment by chance.
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let name = format!("{:015}-{}", since.as_millis(), base::id::record());
    let draft = dir.join(format!(".{name}"));
    let written = write_private(&draft, mail);
    match written.and_then(|()| fs::rename(&draft, dir.join(format!("{name}.{EXTENSION}")))) {
        Ok(()) => prune(dir),
        Err(error) => {
            let _ = fs::remove_file(&draft);
            Err(error)
        }
    }
}

/// Mails carry tokens and codes: nobody else's to read.
fn create_private(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

fn write_private(path: &Path, mail: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(mail)?;
    file.sync_data()
}

fn prune(dir: &Path) -> io::Result<()> {
    let mut mails: Vec<PathBuf> = fs::read_dir(dir)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION))
        .collect();
    if mails.len() <= OUTBOX_MAILS_MAX {
        return Ok(());
    }
    mails.sort();
    for mail in &mails[..mails.len() - OUTBOX_MAILS_MAX] {
        match fs::remove_file(mail) {
            // Two mails at once prune the same.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..OUTBOX_MAILS_MAX + 5 {
            fs::write(dir.path().join(format!("{n:015}-x.eml")), "old").unwrap();
        }
        keep(dir.path(), b"new").unwrap();
        let mut names: Vec<String> = fs::read_dir(dir.path())
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names.len(), OUTBOX_MAILS_MAX);
        assert_eq!(names[0], format!("{:015}-x.eml", 6));
        assert_eq!(fs::read(dir.path().join(&names[OUTBOX_MAILS_MAX - 1])).unwrap(), b"new");
    }

    #[test]
    fn a_mail_that_cannot_be_written_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join("file");
        fs::write(&taken, "").unwrap();
        assert!(keep(&taken, b"mail").is_err());
    }
}
