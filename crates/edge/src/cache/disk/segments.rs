//! The files of the store: a row of segments that are only appended to. The oldest goes as a whole.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::record::{HEADER_BYTES, Header};

const ENDING: &str = "segment";

pub struct Segments {
    dir: PathBuf,
    segment_bytes: u64,
    row: VecDeque<Segment>,
    current: Option<File>,
}

pub struct Segment {
    pub number: u64,
    pub bytes: u64,
    /// What was written to it: the key's hash, and where it lies. May have been replaced since.
    pub records: Vec<(u64, u64)>,
}

pub fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.{ENDING}"))
}

/// One record's bytes.
pub fn read(dir: &Path, number: u64, offset: u64, bytes: u32) -> io::Result<Vec<u8>> {
    let mut file = File::open(path(dir, number))?;
    file.seek(SeekFrom::Start(offset))?;
    let mut record = vec![0; bytes as usize];
    file.read_exact(&mut record)?;
    Ok(record)
}

impl Segments {
    /// The files that are there, the oldest first.
    pub fn open(dir: &Path, segment_bytes: u64) -> io::Result<Segments> {
        let mut row = Vec::new();
        for found in fs::read_dir(dir)? {
            let found = found?;
            let path = found.path();
            if path.extension().is_none_or(|ending| ending != ENDING) || !found.file_type()?.is_file() {
                continue;
            }
            let Some(number) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()) else {
                continue;
            };
            row.push(Segment { number, bytes: found.metadata()?.len(), records: Vec::new() });
        }
        row.sort_by_key(|segment| segment.number);
        Ok(Segments { dir: dir.to_path_buf(), segment_bytes, row: row.into(), current: None })
    }

    pub fn row_mut(&mut self) -> &mut VecDeque<Segment> {
        &mut self.row
    }

    pub fn bytes(&self) -> u64 {
        self.row.iter().map(|segment| segment.bytes).sum()
    }

    /// Reads all headers of a segment, up to the first that is none.
    pub fn scan(&self, number: u64, bytes: u64, mut found: impl FnMut(Header, u64)) -> io::Result<()> {
        let mut file = io::BufReader::new(File::open(path(&self.dir, number))?);
        let mut offset = 0;
        while offset + HEADER_BYTES as u64 <= bytes {
            let mut header = [0; HEADER_BYTES];
            file.read_exact(&mut header)?;
            let Some(header) = Header::parse(&header) else { break };
            if offset + header.bytes() > bytes {
                break;
            }
            found(header, offset);
            offset += header.bytes();
            file.seek_relative(header.bytes() as i64 - HEADER_BYTES as i64)?;
        }
        Ok(())
    }

    /// Where the record lies now.
    pub fn append(&mut self, key: u64, record: &[u8]) -> io::Result<(u64, u64)> {
        let full = |segment: &Segment| segment.bytes + record.len() as u64 > self.segment_bytes;
        if self.current.is_none() || self.row.back().is_none_or(full) {
            let number = self.row.back().map_or(1, |segment| segment.number + 1);
            self.current = None;
            let file = File::options().write(true).create_new(true).open(path(&self.dir, number))?;
            self.current = Some(file);
            self.row.push_back(Segment { number, bytes: 0, records: Vec::new() });
        }
        let (Some(file), Some(segment)) = (&mut self.current, self.row.back_mut()) else {
            return Err(io::Error::other("no segment to write to"));
        };
        if let Err(error) = file.write_all(record) {
            // What was written of it is cut off, or else the next one begins another file.
            let cut = file.set_len(segment.bytes).and_then(|()| file.seek(SeekFrom::Start(segment.bytes)));
            if cut.is_err() || error.kind() == io::ErrorKind::FileTooLarge {
                self.current = None;
            }
            return Err(error);
        }
        let offset = segment.bytes;
        segment.bytes += record.len() as u64;
        segment.records.push((key, offset));
        Ok((segment.number, offset))
    }

    /// Takes the oldest away, unless it is the one that is written.
    pub fn pop(&mut self) -> Option<Segment> {
        if self.row.len() < 2 { None } else { self.row.pop_front() }
    }

    pub fn delete(&self, number: u64) {
        if let Err(error) = fs::remove_file(path(&self.dir, number)) {
            tracing::debug!(%error, number, "a segment of the cache could not be removed");
        }
    }
}
