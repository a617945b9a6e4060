//! What a cluster's directory remembers: which processes there are, and whose the directory is. Written whole at every
//! change, so that another process can read it at any time, also after the one that wrote it is gone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Error, read};
use crate::node::Role;
use crate::process::Identity;
use crate::topology::Topology;

const FILE: &str = "cluster.json";
const LOCK: &str = "lock";
const SECRET: &str = "secret";
const FRONT_SECRET: &str = "front-secret";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub topology: Topology,
    /// Who runs it; none after an orderly end.
    pub owner: Option<Identity>,
    pub nodes: Vec<Entry>,
    /// Ports by what they are for, so that the next run has the same.
    #[serde(default)]
    pub ports: BTreeMap<String, u16>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub name: String,
    pub role: Role,
    pub address: SocketAddr,
    /// Where it tells how it is, if that is not its address.
    #[serde(default)]
    pub monitor: Option<SocketAddr>,
    pub process: Option<Identity>,
    /// Starts after the first one.
    pub restarts: u32,
    /// A database's data directory, whose postmaster may outlive the process above it.
    pub data: Option<PathBuf>,
}

impl Entry {
    /// The processes that all others of this node descend from.
    pub fn roots(&self) -> Vec<Identity> {
        let postmaster = self.data.as_deref().and_then(crate::process::postmaster);
        let own = self.process.filter(|process| process.is_alive());
        own.into_iter().chain(postmaster.filter(|found| Some(*found) != own)).collect()
    }
}

pub(crate) fn load(dir: &Path) -> Result<Option<State>, Error> {
    let path = dir.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let state = serde_json::from_str(&read(path.clone())?);
    state.map(Some).map_err(|error| Error::Refused(format!("{} cannot be read: {error}", path.display())))
}

/// The state of a running cluster, with its file.
pub(crate) struct Keeper {
    dir: PathBuf,
    state: Mutex<State>,
}

impl Keeper {
    pub fn new(dir: &Path, state: State) -> Result<Keeper, Error> {
        let keeper = Keeper { dir: dir.to_path_buf(), state: Mutex::new(state) };
        keeper.change(|_| ())?;
        Ok(keeper)
    }

    pub fn get(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn change(&self, change: impl FnOnce(&mut State)) -> Result<(), Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        let text = serde_json::to_string_pretty(&*state)
            .map_err(|error| Error::Refused(format!("the state cannot be written: {error}")))?;
        let (file, next) = (self.dir.join(FILE), self.dir.join(format!("{FILE}.new")));
        crate::error::write(&next, text)?;
        std::fs::rename(&next, &file).doing(|| format!("cannot write {}", file.display()))
    }

    pub fn entry(&self, name: &str, change: impl FnOnce(&mut Entry)) -> Result<(), Error> {
        self.change(|state| {
            if let Some(entry) = state.nodes.iter_mut().find(|entry| entry.name == name) {
                change(entry);
            }
        })
    }
}

/// Held by whoever runs the cluster of a directory; the kernel lets go of it with the process.
pub(crate) struct Lock {
    _file: File,
}

/// The lock, or nothing if somebody has it.
pub(crate) fn lock(dir: &Path) -> Result<Option<Lock>, Error> {
    let path = dir.join(LOCK);
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.doing(|| format!("cannot write {}", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno).doing(|| format!("cannot lock {}", path.display())),
    }
}

/// The password of the directory's databases, made at the first start. Only its owner may read it.
pub(crate) fn secret(dir: &Path) -> Result<String, Error> {
    made_once(&dir.join(SECRET))
}

/// What nodes must know to announce themselves to the directory's front doors, which know nothing of its databases.
pub(crate) fn front_secret(dir: &Path) -> Result<String, Error> {
    made_once(&dir.join(FRONT_SECRET))
}

fn made_once(path: &Path) -> Result<String, Error> {
    if path.exists() {
        return Ok(read(path.to_path_buf())?.trim().to_owned());
    }
    let mut random = [0u8; 16];
    let source = || "cannot read /dev/urandom".to_owned();
    let mut file = File::open("/dev/urandom").doing(source)?;
    std::io::Read::read_exact(&mut file, &mut random).doing(source)?;
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let doing = || format!("cannot write {}", path.display());
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(path).doing(doing)?;
    file.write_all(text.as_bytes()).doing(doing)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_and_by_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        assert!(load(dir.path()).unwrap().is_none());
        let own = Identity::own();
        let entry = Entry {
            name: "db-1".into(),
            role: Role::Database,
            address: "127.0.0.1:5432".parse().unwrap(),
            monitor: None,
            process: None,
            restarts: 0,
            data: None,
        };
        let topology = Topology { name: "a".into(), ..Topology::default() };
        let ports = BTreeMap::from([("db-1".to_owned(), 5432)]);
        let state =
            State { topology: topology.clone(), owner: own, nodes: vec![entry], ports: ports.clone() };
        let keeper = Keeper::new(dir.path(), state).unwrap();
        keeper.entry("db-1", |entry| entry.process = own).unwrap();
        let read = load(dir.path()).unwrap().unwrap();
        assert_eq!((read.topology, read.owner, read.ports), (topology, own, ports));
        assert_eq!(read.nodes[0].roots(), own.into_iter().collect::<Vec<_>>());

        let secret = secret(dir.path()).unwrap();
        assert_eq!((secret.len(), super::secret(dir.path()).unwrap()), (32, secret.clone()));
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &dir.path().join(SECRET).metadata().unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(load(dir.path()).unwrap_err().to_string().contains("cannot be read"));
    }

    #[test]
    fn a_process_that_is_gone_is_none_of_a_node() {
        let own = Identity::own().unwrap();
        let entry = Entry {
            name: "web-1".into(),
            role: Role::Web,
            address: "127.0.0.1:1".parse().unwrap(),
            monitor: None,
            process: Some(Identity { start: own.start + 1, ..own }),
            restarts: 0,
            data: Some("/nowhere".into()),
        };
        assert!(entry.roots().is_empty());
    }

    #[test]
    fn one_at_a_time_has_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path()).unwrap();
        assert!(first.is_some() && lock(dir.path()).unwrap().is_none());
        drop(first);
        assert!(lock(dir.path()).unwrap().is_some());
    }
}
