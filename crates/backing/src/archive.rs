//! Directories as zip files, one file after the other, so that neither side needs more memory than a buffer.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use base::limits::{BACKUP_ENTRIES_MAX, BACKUP_UNPACKED_BYTES_MAX};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Zip(#[from] zip::result::ZipError),
    /// What stands in the archive is not to be unpacked.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// Whether the archive is at fault, rather than the machine.
    pub fn is_refusal(&self) -> bool {
        match self {
            Error::Io(error) => {
                matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
            }
            Error::Zip(zip::result::ZipError::Io(error)) => {
                matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
            }
            Error::Zip(_) | Error::Refused(_) => true,
        }
    }
}

/// A file or a folder, and what it is called in the archive.
pub struct Source {
    pub path: PathBuf,
    pub name: String,
}

/// Bytes of the files that would be packed now. They may come and go meanwhile: this is for a word about the progress.
pub fn size(sources: &[Source]) -> u64 {
    sources.iter().map(|source| size_of(&source.path)).sum()
}

fn size_of(path: &Path) -> u64 {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => meta.len(),
        Ok(meta) if meta.is_dir() => {
            let entries = std::fs::read_dir(path).into_iter().flatten();
            entries.flatten().map(|entry| size_of(&entry.path())).sum()
        }
        _ => 0,
    }
}

/// Says how many bytes were read so far, of this file and those before.
struct Noted<'a, R, F> {
    file: R,
    bytes: &'a mut u64,
    note: &'a mut F,
}

impl<R: Read, F: FnMut(u64)> Read for Noted<'_, R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        *self.bytes += count as u64;
        (self.note)(*self.bytes);
        Ok(count)
    }
}

/// Writes an archive of the sources, whatever of them is there. `note` is told the bytes so far.
pub fn pack(out: File, sources: &[Source], mut note: impl FnMut(u64)) -> Result<File, Error> {
    let mut writer = ZipWriter::new(BufWriter::new(out));
    let mut bytes = 0;
    for source in sources {
        add(&mut writer, &source.path, &source.name, &mut bytes, &mut note)?;
    }
    let mut out = writer.finish()?;
    out.flush()?;
    let out = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    out.sync_all()?;
    Ok(out)
}

fn add<W: Write + Seek>(
    writer: &mut ZipWriter<W>,
    path: &Path,
    name: &str,
    bytes: &mut u64,
    note: &mut impl FnMut(u64),
) -> Result<(), Error> {
    let meta = match std::fs::symlink_metadata(path) {
        // Gone since the folder was read.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        meta => meta?,
    };
    if meta.is_dir() {
        let mut entries: Vec<_> = std::fs::read_dir(path)?.collect::<io::Result<_>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let Ok(below) = entry.file_name().into_string() else { continue };
            add(writer, &entry.path(), &format!("{name}/{below}"), bytes, note)?;
        }
        return Ok(());
    }
    // A link leads to what is not ours.
    if !meta.is_file() {
        return Ok(());
    }
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(1))
        .large_file(true)
        .unix_permissions(0o644);
    writer.start_file(name, options)?;
    io::copy(&mut BufReader::with_capacity(1 << 16, Noted { file, bytes, note }), writer)?;
    Ok(())
}

/// Unpacks an archive into an empty directory, and puts everything on disk. Names that lead elsewhere, links, and more
/// than was announced are refused.
pub fn unpack(archive: File, into: &Path) -> Result<(), Error> {
    let mut archive = ZipArchive::new(BufReader::new(archive))?;
    if archive.len() > BACKUP_ENTRIES_MAX {
        return Err(Error::Refused("the archive holds too many files".into()));
    }
    let mut left = BACKUP_UNPACKED_BYTES_MAX;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let Some(name) = entry.enclosed_name() else {
            return Err(Error::Refused(format!("{:?} leads out of the archive", entry.name())));
        };
        if entry.is_symlink() {
            return Err(Error::Refused(format!("{:?} is a link", entry.name())));
        }
        let path = into.join(&name);
        if entry.is_dir() {
            std::fs::create_dir_all(&path)?;
            continue;
        }
        let announced = entry.size();
        if announced > left {
            return Err(Error::Refused("the archive is too large, unpacked".into()));
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = File::create_new(&path)?;
        // One byte more tells that the announcement was wrong.
        let written = io::copy(&mut (&mut entry).take(announced + 1), &mut file)?;
        if written != announced {
            return Err(Error::Refused(format!("{:?} is not as long as announced", name.display())));
        }
        file.sync_all()?;
        left -= written;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(dir: &Path, entries: &[(&str, &[u8])]) -> File {
        let path = dir.join("test.zip");
        let mut writer = ZipWriter::new(File::create(&path).unwrap());
        for (name, content) in entries {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap();
        File::open(path).unwrap()
    }

    #[test]
    fn what_is_packed_can_be_unpacked() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        std::fs::create_dir_all(from.join("storage/a/b")).unwrap();
        std::fs::write(from.join("data.db"), b"one").unwrap();
        std::fs::write(from.join("storage/a/b/c.txt"), b"two").unwrap();
        let source = |name: &str| Source { path: from.join(name), name: name.into() };
        let sources = [source("data.db"), source("missing"), source("storage")];
        let path = dir.path().join("out.zip");
        let mut noted = 0;
        pack(File::create_new(&path).unwrap(), &sources, |bytes| noted = bytes).unwrap();
        assert_eq!((noted, size(&sources)), (6, 6));
        let into = dir.path().join("into");
        std::fs::create_dir(&into).unwrap();
        unpack(File::open(&path).unwrap(), &into).unwrap();
        assert_eq!(std::fs::read(into.join("data.db")).unwrap(), b"one");
        assert_eq!(std::fs::read(into.join("storage/a/b/c.txt")).unwrap(), b"two");
    }

    #[test]
    fn archives_that_lead_elsewhere_are_refused() {
        for name in ["../evil", "/etc/evil", "a/../../evil"] {
            let dir = tempfile::tempdir().unwrap();
            let into = dir.path().join("into");
            std::fs::create_dir(&into).unwrap();
            // A name from the root is taken as one below the directory, or refused.
            let refused = unpack(archive(dir.path(), &[(name, b"x")]), &into).is_err();
            assert!(refused || into.join("etc/evil").exists(), "{name}");
            assert!(!dir.path().join("evil").exists(), "{name}");
        }
        let dir = tempfile::tempdir().unwrap();
        let garbage = dir.path().join("garbage");
        std::fs::write(&garbage, b"PK\x03\x04garbage").unwrap();
        let error = unpack(File::open(&garbage).unwrap(), dir.path()).unwrap_err();
        assert!(error.is_refusal(), "{error}");
    }
}
