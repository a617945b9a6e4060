//! Where web nodes keep files: one directory for all, a bucket that is there already, or a local S3-compatible store:
//! SeaweedFS, all of its parts in one process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use base::limits::NODE_ASK_MS;
use rustix::process::Signal;

use crate::Result;
use crate::error::Doing;
use crate::node::{Plan, Role, log_of};
use crate::probe;
use crate::site::Site;
use crate::spawn::{STARTED, Spec};
use crate::topology::{Engine, FileStore, Topology};

pub(crate) const BUCKET: &str = "pando";
pub(crate) const KEY: &str = "pando";
/// Ports beside the one that is asked: for each part one for requests and one for calls.
pub(crate) const PORTS: usize = 9;
/// What the program prints when all of its parts run.
const READY: &str = "Press Ctrl+C to stop";

/// What tells a web node where the files are.
pub(crate) fn variables(
    topology: &Topology,
    shared: &Path,
    store: Option<(SocketAddr, &str)>,
) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut set = |name: &str, value: &str| variables.insert(name.to_owned(), value.to_owned());
    if topology.database.engine == Engine::Postgres {
        set("PANDO_MAIL_OUTBOX", &shared.join("outbox").to_string_lossy());
    }
    match (topology.files.store, &topology.files.endpoint, store) {
        (FileStore::S3, Some(endpoint), _) => {
            set("PANDO_FILES_S3_ENDPOINT", endpoint);
        }
        (FileStore::S3, None, Some((address, secret))) => {
            set("PANDO_FILES_S3_ENDPOINT", &format!("http://{address}"));
            set("PANDO_FILES_S3_BUCKET", BUCKET);
            set("PANDO_FILES_S3_REGION", "us-east-1");
            set("PANDO_FILES_S3_ACCESS_KEY", KEY);
            set("PANDO_FILES_S3_SECRET", secret);
            set("PANDO_FILES_S3_PATH_STYLE", "true");
        }
        _ if topology.database.engine == Engine::Postgres => {
            set("PANDO_FILES_SHARED", "true");
        }
        _ => {}
    }
    variables
}

/// Lets a web node's `storage` be the directory that all of them share, as if each had mounted it.
pub(crate) fn mount(shared: &Path, node: &Path) -> Result<()> {
    let (store, storage) = (shared.join("storage"), node.join("pb_data/storage"));
    std::fs::create_dir_all(&store).doing(|| format!("cannot make {}", store.display()))?;
    if storage.symlink_metadata().is_ok() {
        return Ok(());
    }
    std::os::unix::fs::symlink(&store, &storage).doing(|| format!("cannot make {}", storage.display()))
}

pub(crate) fn plan(
    weed: &Path,
    (address, ports): (SocketAddr, [u16; PORTS]),
    dir: &Path,
    secret: &str,
    site: Site,
) -> Plan {
    let mut spec = Spec::new(weed, dir)
        .args(["mini", "-dir=data", "-webdav=false", "-admin.ui=false", "-bucket", BUCKET])
        .args([format!("-ip={}", address.ip()), format!("-ip.bind={}", address.ip())])
        .args([format!("-s3.port={}", address.port())])
        // Catalogs that nobody asks, on fixed ports.
        .args([
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-master.telemetry=false",
            "-filer.localSocket=filer.sock",
        ])
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", secret);
    let names = [
        "s3.port.grpc",
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
        "admin.port",
        "admin.port.grpc",
    ];
    spec = spec.args(names.iter().zip(ports).map(|(name, port)| format!("-{name}={port}")));
    let (place, ground) = site.take();
    spec.place = place;
    let log = log_of(dir);
    let ready = move || {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        // What an earlier run said is no news of this one.
        said.rsplit(STARTED).next().is_some_and(|said| said.contains(READY))
            && probe::get(address, "/", Duration::from_millis(NODE_ASK_MS)).is_some()
    };
    Plan {
        name: "s3".into(),
        role: Role::Files,
        address,
        dir: dir.to_path_buf(),
        spec,
        ready: Box::new(ready),
        stop: Signal::TERM,
        data: None,
        ground,
    }
}
