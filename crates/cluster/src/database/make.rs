//! Data directories: made, copied from the primary, or found from an earlier run. Made under another name first, so that
//! half of one is never taken for a whole.

use std::sync::Arc;
use std::time::Duration;

use base::limits::{NODE_COPY_MS, NODE_START_MS};

use super::configure::{create_application, give, owned};
use super::{ADMIN, Databases};
use crate::Result;
use crate::error::{Doing, Error};
use crate::node::Node;
use crate::spawn::{Spec, run};

const STANDBY: &str = "standby.signal";

impl Databases {
    /// Starts all of them and returns the primary's name. Data of an earlier run are taken up as they are.
    pub fn start(&self) -> Result<String> {
        let primary = self.find_primary()?;
        if !Self::data(&primary).exists() {
            self.initialise(&primary)?;
        }
        self.configure(&primary, None)?;
        primary.start()?;
        primary.wait_ready()?;
        self.make_slots(&primary)?;
        create_application(&self.admin, primary.address())?;
        // All at once: each copies the whole primary.
        std::thread::scope(|scope| {
            let primary = &primary;
            let joins: Vec<_> = self
                .others(primary.name())
                .map(|node| scope.spawn(move || self.join(node, primary)))
                .collect();
            joins.into_iter().try_for_each(|join| join.join().unwrap_or_else(|_| Err(panicked())))
        })?;
        Ok(primary.name().to_owned())
    }

    fn join(&self, node: &Node, primary: &Node) -> Result<()> {
        match (Self::data(node).exists(), Self::is_standby(node)) {
            // One that has more than the primary had when it was promoted cannot follow it as it is.
            (true, true) => {
                let followed = self.follow(node, primary);
                return followed.or_else(|error| {
                    node.check()?;
                    tracing::warn!(node = node.name(), %error, "it does not follow");
                    node.stop()?;
                    self.rewind_or_copy(node, primary)
                });
            }
            (true, false) => return self.rewind_or_copy(node, primary),
            (false, _) => self.copy(node, primary)?,
        }
        self.follow(node, primary)
    }

    /// Of those that are not standbys the one with the newest history. After a failover the old primary is one, too.
    fn find_primary(&self) -> Result<Arc<Node>> {
        let with_data: Vec<&Arc<Node>> = self.nodes.iter().filter(|node| Self::data(node).exists()).collect();
        let mut found: Vec<(u32, &Arc<Node>)> = Vec::new();
        for node in with_data.iter().filter(|node| !Self::is_standby(node)) {
            found.push((self.timeline(node)?, node));
        }
        let newest = found.iter().map(|(timeline, _)| *timeline).max();
        let mut newest = found.iter().filter(|(timeline, _)| Some(*timeline) == newest);
        match (newest.next(), newest.next(), self.nodes.first()) {
            (Some((_, node)), None, _) => Ok(Arc::clone(node)),
            (Some((timeline, one)), Some((_, other)), _) => Err(Error::Refused(format!(
                "{} and {} both say that they are the primary, on timeline {timeline}: move one's data away",
                one.name(),
                other.name()
            ))),
            (None, _, Some(first)) if with_data.is_empty() => Ok(first.clone()),
            _ => Err(Error::Refused(
                "there are only standbys in the directory: remove standby.signal from the data of the one that \
                 shall be the primary"
                    .into(),
            )),
        }
    }

    pub(super) fn is_standby(node: &Node) -> bool {
        Self::data(node).join(STANDBY).exists()
    }

    /// The newest timeline that a stopped database has on disk. A promotion writes its history file at once, and the
    /// control file only with the next checkpoint.
    fn timeline(&self, node: &Node) -> Result<u32> {
        let data = Self::data(node);
        let read = Spec::new(self.admin.bin.join("pg_controldata"), "/")
            .args(["-D".into(), data.clone().into_os_string()]);
        let text = run(&read.unprivileged().env("LC_ALL", "C"), Duration::from_millis(NODE_START_MS))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Latest checkpoint's TimeLineID:"));
        let control = line.and_then(|number| number.trim().parse().ok()).unwrap_or(1);
        let histories =
            std::fs::read_dir(data.join("pg_wal")).into_iter().flatten().flatten().filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                u32::from_str_radix(name.strip_suffix(".history")?, 16).ok()
            });
        Ok(histories.max().unwrap_or(0).max(control))
    }

    fn initialise(&self, node: &Node) -> Result<()> {
        let (fresh, password) = (node.dir().join("data.new"), node.dir().join("password"));
        clear(&fresh)?;
        owned(&password, &self.admin.secret)?;
        let mut spec = Spec::new(self.admin.bin.join("initdb"), "/")
            .args([
                "-U",
                ADMIN,
                "-A",
                "scram-sha-256",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "-k",
                "--no-instructions",
            ])
            .args([
                "--pwfile".into(),
                password.clone().into_os_string(),
                "-D".into(),
                fresh.clone().into_os_string(),
            ])
            .unprivileged();
        if !self.settings.fsync {
            spec = spec.args(["--no-sync"]);
        }
        let made = run(&spec, Duration::from_millis(NODE_START_MS));
        let _ = std::fs::remove_file(&password);
        made?;
        let data = Self::data(node);
        std::fs::rename(&fresh, &data).doing(|| format!("cannot make {}", data.display()))
    }

    /// A base backup of the primary in the node's place.
    pub(super) fn copy(&self, node: &Node, primary: &Node) -> Result<()> {
        let fresh = node.dir().join("data.new");
        clear(&fresh)?;
        let mut spec = Spec::new(self.admin.bin.join("pg_basebackup"), "/")
            .args(["-X", "stream", "-c", "fast", "-S", &super::slot(node.name())])
            .args(["-d", &self.admin.conninfo(primary.address())])
            .args(["-D".into(), fresh.clone().into_os_string()])
            .env("PGPASSWORD", &self.admin.secret)
            .unprivileged();
        if !self.settings.fsync {
            spec = spec.args(["--no-sync"]);
        }
        run(&spec, Duration::from_millis(NODE_COPY_MS))?;
        let data = Self::data(node);
        owned(&fresh.join(STANDBY), "")?;
        clear(&data)?;
        std::fs::rename(&fresh, &data).doing(|| format!("cannot make {}", data.display()))
    }

    pub(super) fn make_standby(node: &Node) -> Result<()> {
        let signal = Self::data(node).join(STANDBY);
        owned(&signal, "")?;
        give(&signal)
    }

    /// Starts a standby and waits until it streams.
    pub(super) fn follow(&self, node: &Node, primary: &Node) -> Result<()> {
        self.configure(node, Some(primary))?;
        node.start()?;
        node.wait_ready()?;
        self.streams(node)
    }

    pub(super) fn streams(&self, node: &Node) -> Result<()> {
        let sql = "select exists (select from pg_stat_wal_receiver where status = 'streaming')";
        self.until(node, "to follow the primary", sql)
    }
}

fn panicked() -> Error {
    Error::Refused("a thread that started a standby panicked".into())
}

fn clear(path: &std::path::Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).doing(|| format!("cannot clear {}", path.display()))
        }
        _ => Ok(()),
    }
}
