//! A file's rows, from any of them on.

use backing::blob::{Blob, ByteStream};
use base::Kind;
use base::limits::EXCHANGE_ROW_BYTES_MAX;
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;

use super::Format;
use crate::error::{Error, Result};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One row, without the end of its line.
#[derive(Clone, Debug)]
pub struct RawRow {
    pub bytes: Bytes,
    /// Where it begins, counted from 1.
    pub line: u64,
    /// Where the next one begins in the file, and the lines before that.
    pub position: u64,
    pub lines: u64,
}

pub struct Reader {
    stream: ByteStream,
    format: Format,
    buffer: BytesMut,
    position: u64,
    lines: u64,
    /// How much of the buffer was looked through for the end of a row, and whether that ended between quotes.
    seen: usize,
    quoted: bool,
    ended: bool,
}

impl Reader {
    /// From a position on that is a row's, with so many lines before it.
    pub async fn open(blob: &Blob, format: Format, position: u64, lines: u64) -> Result<Reader> {
        let stream = blob.stream(position.min(blob.size_bytes)..blob.size_bytes).await?;
        let buffer = BytesMut::new();
        Ok(Reader { stream, format, buffer, position, lines, seen: 0, quoted: false, ended: false })
    }

    /// The next row that is not empty.
    pub async fn next(&mut self) -> Result<Option<RawRow>> {
        loop {
            let Some(length) = self.end_of_row() else {
                if !self.ended {
                    self.more().await?;
                    continue;
                }
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                let length = self.buffer.len();
                if let Some(row) = self.take(length) {
                    return Ok(Some(row));
                }
                continue;
            };
            if let Some(row) = self.take(length) {
                return Ok(Some(row));
            }
        }
    }

    async fn more(&mut self) -> Result<()> {
        if self.buffer.len() > EXCHANGE_ROW_BYTES_MAX {
            let message = format!(
                "The row in line {} is longer than {EXCHANGE_ROW_BYTES_MAX} bytes, or a quote in it is not closed.",
                self.lines + 1
            );
            return Err(Error::new(Kind::Invalid, message));
        }
        let read = self.stream.try_next().await.map_err(|error| {
            Error::new(Kind::Unavailable, "The file store is not available right now.").details(error)
        })?;
        match read {
            Some(bytes) => self.buffer.extend_from_slice(&bytes),
            None => self.ended = true,
        }
        Ok(())
    }

    /// The length of the row that the buffer begins with, its line break included.
    fn end_of_row(&mut self) -> Option<usize> {
        for (index, byte) in self.buffer.iter().enumerate().skip(self.seen) {
            match byte {
                b'"' if self.format == Format::Csv => self.quoted = !self.quoted,
                b'\n' if !self.quoted => return Some(index + 1),
                _ => {}
            }
        }
        self.seen = self.buffer.len();
        None
    }

    fn take(&mut self, length: usize) -> Option<RawRow> {
        let mut bytes = self.buffer.split_to(length).freeze();
        (self.seen, self.quoted) = (0, false);
        let line = self.lines + 1;
        if self.position == 0 && bytes.starts_with(BYTE_ORDER_MARK) {
            bytes = bytes.slice(BYTE_ORDER_MARK.len()..);
        }
        self.position += length as u64;
        self.lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        if bytes.ends_with(b"\n") {
            bytes.truncate(bytes.len() - 1);
        }
        if bytes.ends_with(b"\r") {
            bytes.truncate(bytes.len() - 1);
        }
        let is_empty = bytes.iter().all(u8::is_ascii_whitespace);
        (!is_empty).then_some(RawRow { bytes, line, position: self.position, lines: self.lines })
    }
}
