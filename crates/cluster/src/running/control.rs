//! Asking a running cluster from another process: a socket in its directory that only its owner may use. One line asks,
//! one line answers.

use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base::limits::{NODE_ASK_MS, NODE_COPY_MS};

use super::Cluster;
use crate::Result;
use crate::error::{Doing, Error};

const SOCKET: &str = "control";
/// The longest question.
const LINE_BYTES_MAX: u64 = 256;
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Where questions come in.
pub struct Control {
    listener: UnixListener,
}

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// A standby shall be the primary; `any` for the most advanced one.
    Promote(&'a str),
    /// An old primary shall follow the new one.
    Rejoin(&'a str),
    /// A node shall end and begin again.
    Restart(&'a str),
}

/// A socket's address is short, and a directory's need not be: it is reached through an open file.
fn place(dir: &Path) -> Result<(File, PathBuf)> {
    let open = File::open(dir).doing(|| format!("cannot open {}", dir.display()))?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", open.as_raw_fd()));
    Ok((open, path))
}

/// Asks whoever runs the cluster in a directory, and waits for the answer.
pub fn ask(dir: impl AsRef<Path>, request: Request<'_>) -> Result<String> {
    let dir = dir.as_ref();
    let (_open, path) = place(dir)?;
    let doing = || format!("no topology that can be asked runs in {}", dir.display());
    let mut stream = UnixStream::connect(path).doing(doing)?;
    // A base backup may be the answer.
    stream.set_read_timeout(Some(Duration::from_millis(NODE_COPY_MS))).doing(doing)?;
    let line = match request {
        Request::Promote(name) => format!("promote {name}\n"),
        Request::Rejoin(name) => format!("rejoin {name}\n"),
        Request::Restart(name) => format!("restart {name}\n"),
    };
    stream.write_all(line.as_bytes()).doing(doing)?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).doing(doing)?;
    match answer.split_once(' ') {
        Some(("ok", said)) => Ok(said.to_owned()),
        Some(("error", said)) => Err(Error::Refused(said.to_owned())),
        _ => Err(Error::Refused("it ended before it answered".into())),
    }
}

impl Cluster {
    /// Opens the socket; `answer` then looks at it.
    pub fn control(&self) -> Result<Control> {
        let (_open, path) = place(&self.dir)?;
        let doing = || format!("cannot listen in {}", self.dir.display());
        // The directory is locked: whoever made an older one is gone.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).doing(doing)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).doing(doing)?;
        listener.set_nonblocking(true).doing(doing)?;
        Ok(Control { listener })
    }

    /// Does what is asked, if anything is; returns what there is to say of it.
    pub fn answer(&self, control: &Control) -> Option<String> {
        let (stream, _) = control.listener.accept().ok()?;
        let wait = Some(Duration::from_millis(NODE_ASK_MS));
        stream.set_nonblocking(false).and_then(|()| stream.set_read_timeout(wait)).ok()?;
        let mut line = String::new();
        BufReader::new((&stream).take(LINE_BYTES_MAX)).read_line(&mut line).ok()?;
        let done = match parse(&line) {
            Some(Request::Promote(name)) => self.promote(name).map(|name| format!("{name} is the primary")),
            Some(Request::Rejoin(name)) => self.rejoin(name).map(|()| format!("{name} follows the primary")),
            Some(Request::Restart(name)) => self.restart(name).map(|()| format!("{name} is restarted")),
            None => Err(Error::Refused(format!("{:?} is no request", line.trim()))),
        };
        let (sign, said) = match done {
            Ok(said) => ("ok", said),
            Err(error) => ("error", error.to_string()),
        };
        // Who asked may have gone away; what was done is done.
        let _ = (&stream).write_all(format!("{sign} {said}").as_bytes());
        Some(said)
    }
}

fn parse(line: &str) -> Option<Request<'_>> {
    match line.trim().split_once(' ')? {
        ("promote", name) => Some(Request::Promote(name)),
        ("restart", name) => Some(Request::Restart(name)),
        ("rejoin", name) => Some(Request::Rejoin(name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        assert_eq!(parse("promote any\n"), Some(Request::Promote("any")));
        assert_eq!(parse("rejoin db-1\n"), Some(Request::Rejoin("db-1")));
        assert_eq!(parse("restart edge-1\n"), Some(Request::Restart("edge-1")));
        for other in ["", "promote", "stop now\n"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn nobody_answers_where_nothing_runs() {
        let dir = tempfile::tempdir().unwrap();
        let said = ask(dir.path(), Request::Promote("any")).unwrap_err().to_string();
        assert!(said.contains("no topology"), "{said}");
    }
}
