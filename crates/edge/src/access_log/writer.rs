//! The thread that writes the access log: many lines at once, to the file that has the name now.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use base::limits::{FRONT_LOG_LOOK_MS, FRONT_LOG_WRITE_BYTES};
use metrics::Counter;
use parking_lot::Mutex;

use super::kept::Kept;
use super::{Format, Message, Target, line};

pub struct Writer {
    path: PathBuf,
    format: Format,
    /// None for standard output.
    file: Option<File>,
    reopen: Arc<AtomicBool>,
    looked: Instant,
    /// A line was cut off in the middle.
    torn: bool,
    /// Lines that were lost since the last that was written.
    lost: u64,
    dropped: Counter,
    kept: Arc<Mutex<Kept>>,
}

impl Writer {
    pub fn open(target: &Target, reopen: Arc<AtomicBool>, kept: Arc<Mutex<Kept>>) -> io::Result<Writer> {
        let path = target.path.clone();
        let file = match path.as_os_str() == "-" {
            true => None,
            false => Some(open(&path)?),
        };
        let dropped = metrics::counter!("pando_front_access_log_dropped_total", "reason" => "disk");
        let looked = Instant::now();
        Ok(Writer { path, format: target.format, file, reopen, looked, torn: false, lost: 0, dropped, kept })
    }

    /// Until nobody can write any more.
    pub fn run(mut self, messages: &Receiver<Message>) {
        let look = Duration::from_millis(FRONT_LOG_LOOK_MS);
        let mut text = String::new();
        loop {
            let mut flushed = None;
            let mut lines = 0;
            let mut next = match messages.recv_timeout(look) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            while let Some(message) = next {
                match message {
                    Message::Line(record) => {
                        line::append(&mut text, &record, self.format);
                        self.kept.lock().add(&record);
                        lines += 1;
                    }
                    Message::Flush(done) => {
                        flushed = Some(done);
                        break;
                    }
                }
                if text.len() >= FRONT_LOG_WRITE_BYTES {
                    break;
                }
                next = messages.try_recv().ok();
            }
            self.look(look);
            if lines > 0 {
                self.write(&text, lines);
                text.clear();
            }
            if let Some(done) = flushed {
                let _ = done.try_send(());
            }
        }
    }

    /// Opens the file anew when somebody asked for it, or it was renamed or removed.
    fn look(&mut self, every: Duration) {
        let asked = self.reopen.swap(false, Ordering::Relaxed);
        if !asked && self.looked.elapsed() < every {
            return;
        }
        self.looked = Instant::now();
        let Some(file) = &self.file else { return };
        if !asked && is_same(file, &self.path) {
            return;
        }
        match open(&self.path) {
            Ok(file) => {
                self.file = Some(file);
                self.torn = false;
            }
            // The old one takes the lines until then.
            Err(error) if asked => {
                tracing::warn!(path = %self.path.display(), %error, "the access log cannot be opened anew");
            }
            Err(_) => {}
        }
    }

    fn write(&mut self, text: &str, lines: u64) {
        match self.put(text) {
            Ok(()) if self.lost > 0 => {
                tracing::warn!(lost = self.lost, "the access log is written again");
                self.lost = 0;
            }
            Ok(()) => {}
            Err(error) => {
                if self.lost == 0 {
                    let path = self.path.display();
                    tracing::error!(%path, %error, "the access log cannot be written: lines are lost");
                }
                self.lost += lines;
                self.dropped.increment(lines);
            }
        }
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        let mut rest = text.as_bytes();
        if self.torn {
            self.all(&mut &b"\n"[..])?;
            self.torn = false;
        }
        let written = self.all(&mut rest);
        if written.is_err() && rest.len() < text.len() {
            self.torn = text.as_bytes().get(text.len() - rest.len() - 1) != Some(&b'\n');
        }
        written
    }

    fn all(&mut self, rest: &mut &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            let written = match &mut self.file {
                Some(file) => file.write(rest),
                None => io::stdout().lock().write(rest),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => *rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.file.is_none() {
            io::stdout().lock().flush()?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

#[cfg(unix)]
fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(own), Ok(named)) => own.dev() == named.dev() && own.ino() == named.ino(),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same(_file: &File, path: &Path) -> bool {
    path.exists()
}
