//! Listening sockets go from a process to its successor over a Unix socket, so that no connection is refused or lost while
//! one takes the other's place.
//!
//! The running process answers whoever connects with its sockets. The successor serves on them, says so, and only then the
//! running one stops accepting. If the successor ends before it says so, nothing has changed.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base::limits;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg, sockopt,
};
use tokio::net::UnixListener;

/// What the sockets come with; then the length of a text and the text, one node's address in each line. Another number would be
/// another protocol.
const GREETING: &[u8] = b"pando front door 2\n";
const SERVING: &[u8] = b"serving\n";
const DRAINING: &[u8] = b"draining\n";

/// The process whose place is taken.
pub struct Predecessor(UnixStream);

/// What it leaves.
pub struct Estate {
    pub predecessor: Predecessor,
    pub listeners: Vec<TcpListener>,
    /// The addresses of the nodes that it asks: they have announced themselves to it, and not yet to its successor.
    pub nodes: Vec<String>,
}

impl Predecessor {
    /// Asks the process at that path for what it has. None when nobody is there: a socket without a process behind it was left
    /// by one that was killed.
    pub fn find(path: &Path) -> io::Result<Option<Estate>> {
        let until = Instant::now() + Duration::from_millis(limits::FRONT_HANDOVER_MS);
        loop {
            let stream = match UnixStream::connect(path) {
                Ok(stream) => stream,
                Err(error) if is_nobody(&error) => return Ok(None),
                Err(error) => return Err(told(path, error)),
            };
            match ask(&stream) {
                Ok((listeners, nodes)) => {
                    return Ok(Some(Estate { predecessor: Predecessor(stream), listeners, nodes }));
                }
                // It ended, or handed over to somebody else, just now: whoever is there next is asked.
                Err(error) if is_gone(&error) && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(limits::ACCEPT_RETRY_MS));
                }
                Err(error) => return Err(told(path, error)),
            }
        }
    }

    /// Tells it that its place is taken. When it is gone meanwhile, that is as good.
    pub fn relieve(mut self) -> io::Result<()> {
        let said = self.0.write_all(SERVING).and_then(|()| {
            let mut answer = [0; DRAINING.len()];
            self.0.read_exact(&mut answer)
        });
        match said {
            Err(error) if !is_gone(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

fn ask(mut stream: &UnixStream) -> io::Result<(Vec<TcpListener>, Vec<String>)> {
    trusted(stream)?;
    stream.set_read_timeout(Some(Duration::from_millis(limits::FRONT_HANDOVER_MS)))?;
    stream.set_write_timeout(Some(Duration::from_millis(limits::FRONT_HANDOVER_MS)))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(limits::FRONT_LISTENERS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; GREETING.len()];
    let received =
        recvmsg(stream, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut listeners = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            listeners.extend(descriptors.map(TcpListener::from));
        }
    }
    match received.bytes {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        length if bytes[..length] == *GREETING => {
            let mut length = [0; 4];
            stream.read_exact(&mut length)?;
            let length = u32::from_be_bytes(length) as usize;
            if length > limits::FRONT_HANDOVER_BYTES_MAX {
                return Err(io::Error::other("what it hands over is too much"));
            }
            let mut text = vec![0; length];
            stream.read_exact(&mut text)?;
            let text = String::from_utf8(text).map_err(io::Error::other)?;
            Ok((listeners, text.lines().map(str::to_owned).collect()))
        }
        _ => Err(io::Error::other("what answers there is no front door of this kind")),
    }
}

/// Only the same user, or root, may be at the other end.
fn trusted(stream: &UnixStream) -> io::Result<()> {
    let peer = sockopt::socket_peercred(stream)?.uid;
    match peer.is_root() || peer == rustix::process::geteuid() {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::PermissionDenied, "another user is at the other end")),
    }
}

/// Where a successor finds this process.
pub struct Post {
    listener: UnixListener,
    path: PathBuf,
    /// Of the socket: a successor's stands at the same path later.
    inode: u64,
}

impl Post {
    /// Takes the path, from whoever had it. Inside a runtime.
    pub fn take(path: &Path) -> io::Result<Post> {
        let mut own = path.as_os_str().to_owned();
        own.push(format!(".{}", std::process::id()));
        let own = PathBuf::from(own);
        // A process with the same number may have left it.
        let _ = fs::remove_file(&own);
        let listener = UnixListener::bind(&own).map_err(|error| told(path, error))?;
        fs::set_permissions(&own, fs::Permissions::from_mode(0o600))?;
        let inode = fs::metadata(&own)?.ino();
        fs::rename(&own, path)?;
        Ok(Post { listener, path: path.to_owned(), inode })
    }

    /// Hands the sockets, and what `nodes` tells then, to whoever asks, one after another. Completes once one of them serves.
    pub async fn relieved(
        self,
        listeners: Vec<TcpListener>,
        nodes: impl Fn() -> Vec<String>,
    ) -> io::Result<()> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let stream = stream.into_std()?;
            stream.set_nonblocking(false)?;
            let copies = listeners.iter().map(TcpListener::try_clone).collect::<io::Result<Vec<_>>>()?;
            let mut text = nodes().join("\n");
            // A successor that knows none hears of them soon.
            if text.len() > limits::FRONT_HANDOVER_BYTES_MAX {
                text.clear();
            }
            let given = tokio::task::spawn_blocking(move || give(stream, copies, &text)).await;
            match given.map_err(io::Error::other)? {
                Ok(()) => return Ok(()),
                Err(error) => tracing::warn!(%error, "a successor came and did not serve"),
            }
        }
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        if fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn give(mut stream: UnixStream, listeners: Vec<TcpListener>, text: &str) -> io::Result<()> {
    trusted(&stream)?;
    stream.set_read_timeout(Some(Duration::from_millis(limits::FRONT_HANDOVER_MS)))?;
    stream.set_write_timeout(Some(Duration::from_millis(limits::FRONT_HANDOVER_MS)))?;
    let descriptors: Vec<_> = listeners.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(limits::FRONT_LISTENERS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("too many sockets to hand over"));
    }
    sendmsg(&stream, &[IoSlice::new(GREETING)], &mut control, SendFlags::NOSIGNAL)?;
    stream.write_all(&(text.len() as u32).to_be_bytes())?;
    stream.write_all(text.as_bytes())?;
    // If this process is told to stop meanwhile, none of its copies may keep an address where nobody accepts.
    drop(listeners);
    let mut answer = [0; SERVING.len()];
    stream.read_exact(&mut answer)?;
    if answer != *SERVING {
        return Err(io::Error::other("it said something else"));
    }
    let _ = stream.write_all(DRAINING);
    Ok(())
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected | UnexpectedEof)
}

fn told(path: &Path, error: io::Error) -> io::Error {
    let message = format!("cannot take over from the front door at {}: {error}", path.display());
    io::Error::new(error.kind(), message)
}
