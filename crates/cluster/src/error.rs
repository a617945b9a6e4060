//! What can go wrong with a topology, each said so that whoever reads it can do something about it.

use std::path::{Path, PathBuf};

use base::Kind;

/// Lines of a log that an error shows.
const LOG_LINES: usize = 12;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The topology's text is at fault.
    #[error("{0}")]
    Topology(String),
    /// What is not installed: each with the package that has it.
    #[error("not installed: {}", .0.join("; "))]
    Missing(Vec<String>),
    /// What was asked for cannot be done as things stand.
    #[error("{0}")]
    Refused(String),
    /// There is no node of this name.
    #[error("there is no node {name:?}; the nodes are {}", .known.join(", "))]
    NoNode { name: String, known: Vec<String> },
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    /// A program failed; with the end of what it said.
    #[error("{what}\n{said}")]
    Program { what: String, said: String },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Topology(_) => Kind::Invalid,
            Error::Missing(_) => Kind::Unsupported,
            Error::Refused(_) => Kind::Conflict,
            Error::NoNode { .. } => Kind::NotFound,
            Error::Io { .. } => Kind::Internal,
            Error::Program { .. } => Kind::Unavailable,
        }
    }

    /// A program that failed, with its log's last lines.
    pub(crate) fn with_log(what: impl Into<String>, log: &Path) -> Error {
        Error::Program { what: what.into(), said: format!("{}:\n{}", log.display(), tail(log)) }
    }
}

/// Says what was being done when the system refused.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io { what: what(), source })
    }
}

impl<T> Doing<T> for Result<T, rustix::io::Errno> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|errno| Error::Io { what: what(), source: errno.into() })
    }
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    last_lines(&String::from_utf8_lossy(&text))
}

pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(LOG_LINES);
    lines[from..].iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

pub(crate) fn read(path: PathBuf) -> Result<String, Error> {
    std::fs::read_to_string(&path).doing(|| format!("cannot read {}", path.display()))
}

pub(crate) fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<(), Error> {
    std::fs::write(path, text).doing(|| format!("cannot write {}", path.display()))
}
