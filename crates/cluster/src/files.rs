//! Where web nodes keep files: one directory for all, a bucket that is there already, or a local S3-compatible store:
//! SeaweedFS, all of its parts in one process.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
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
pub const READY: &str = "Press Ctrl+C to stop";

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

/// Lets a web node's files and backups be in the directory that all of them share, as if each had mounted it.
pub(crate) fn mount(shared: &Path, node: &Path) -> Result<()> {
    for name in ["storage", "backups"] {
        let data = node.join("pb_data");
        let (all, own) = (shared.join(name), data.join(name));
        for dir in [&all, &data] {
            std::fs::create_dir_all(dir).doing(|| format!("cannot make {}", dir.display()))?;
        }
        if own.symlink_metadata().is_err() {
            std::os::unix::fs::symlink(&all, &own).doing(|| format!("cannot make {}", own.display()))?;
        }
    }
    Ok(())
}

/// What the program is told: one port for requests, those of its parts, where its data is, and the buckets. Its socket is
/// in the directory that it works in.
pub fn weed_arguments(
    ip: IpAddr,
    ports: impl IntoIterator<Item = u16>,
    data: &Path,
    buckets: &str,
) -> Vec<String> {
    let names = [
        "s3.port",
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
    let ports = names.iter().zip(ports).map(|(name, port)| format!("-{name}={port}"));
    let own = ["mini", "-webdav=false", "-admin.ui=false", "-master.telemetry=false"];
    // Catalogs that nobody asks, on fixed ports.
    let fixed = ["-s3.port.iceberg=0", "-s3.port.lance=0", "-filer.localSocket=filer.sock"];
    let places = [
        format!("-dir={}", data.display()),
        format!("-ip={ip}"),
        format!("-ip.bind={ip}"),
        format!("-bucket={buckets}"),
    ];
    own.into_iter().chain(fixed).map(str::to_owned).chain(places).chain(ports).collect()
}

pub(crate) fn plan(
    weed: &Path,
    (address, ports): (SocketAddr, [u16; PORTS]),
    dir: &Path,
    secret: &str,
    site: Site,
) -> Plan {
    let all = std::iter::once(address.port()).chain(ports);
    let spec = Spec::new(weed, dir)
        .args(weed_arguments(address.ip(), all, Path::new("data"), BUCKET))
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", secret);
    let (place, ground) = site.take();
    let spec = Spec { place, ..spec };
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
        monitor: None,
        https: None,
        dir: dir.to_path_buf(),
        spec,
        ready: Box::new(ready),
        stop: Signal::TERM,
        data: None,
        renews: false,
        ground,
    }
}
