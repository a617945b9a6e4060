//! PostgreSQL: its data directories, its configuration, and who follows whom.

mod configure;
mod failover;
mod make;
mod rejoin;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::limits::{NODE_ASK_MS, NODE_START_MS};

use crate::Result;
use crate::error::{Error, read};
use crate::node::Node;
use crate::spawn::{Spec, run};
use crate::topology::Database;

/// Who owns the application's tables, and what the database is called. Not `pando`: that is the schema of its functions,
/// and a role's tables would come to lie in the schema of its name.
pub(crate) const APP: &str = "app";
/// Who administrates and replicates.
pub(crate) const ADMIN: &str = "postgres";

/// Asks databases as their administrator.
#[derive(Clone)]
pub(crate) struct Admin {
    pub bin: PathBuf,
    pub secret: String,
}

impl Admin {
    /// Runs SQL through `psql` and returns its rows, unaligned, columns parted by `|`.
    pub fn sql(&self, address: SocketAddr, database: &str, sql: &str) -> Result<String> {
        self.sql_within(address, database, sql, Duration::from_millis(NODE_ASK_MS))
    }

    pub fn sql_within(
        &self,
        address: SocketAddr,
        database: &str,
        sql: &str,
        wait: Duration,
    ) -> Result<String> {
        let to = format!("{} dbname={database} connect_timeout=3", self.conninfo(address));
        let psql = Spec::new(self.bin.join("psql"), "/")
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .args([to])
            .env("PGPASSWORD", &self.secret)
            // What is said here must not wait for standbys that are not there yet.
            .env("PGOPTIONS", "-c synchronous_commit=local");
        Ok(run(&psql, wait)?.trim().to_owned())
    }

    pub fn conninfo(&self, address: SocketAddr) -> String {
        format!("host={} port={} user={ADMIN}", address.ip(), address.port())
    }

    pub fn is_true(&self, address: SocketAddr, sql: &str) -> bool {
        self.sql(address, ADMIN, sql).is_ok_and(|rows| rows == "t")
    }
}

/// All databases of a cluster, where no Patroni looks after them.
pub(crate) struct Databases {
    pub admin: Admin,
    pub settings: Database,
    pub nodes: Vec<Arc<Node>>,
}

impl Databases {
    fn data(node: &Node) -> PathBuf {
        data_of(node.dir())
    }

    fn node(&self, name: &str) -> Result<&Arc<Node>> {
        self.nodes.iter().find(|node| node.name() == name).ok_or_else(|| Error::NoNode {
            name: name.into(),
            known: self.nodes.iter().map(|node| node.name().to_owned()).collect(),
        })
    }

    fn others<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arc<Node>> {
        self.nodes.iter().filter(move |node| node.name() != name)
    }

    fn ask(&self, node: &Node, sql: &str) -> Result<String> {
        self.admin.sql(node.address(), ADMIN, sql)
    }

    /// Waits until an answer is `t`.
    fn until(&self, node: &Node, what: &str, sql: &str) -> Result<()> {
        let until = Instant::now() + Duration::from_millis(NODE_START_MS);
        loop {
            node.check()?;
            let answer = self.ask(node, sql);
            if answer.as_deref().is_ok_and(|rows| rows == "t") {
                return Ok(());
            }
            if Instant::now() > until {
                let what = format!("{}: {what} took more than {NODE_START_MS} ms ({answer:?})", node.name());
                return Err(Error::with_log(what, &node.log()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

pub(crate) use configure::{DEFAULTS, create_application, give, owned};

pub(crate) fn config_argument(dir: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from("config_file=");
    argument.push(dir.join(configure::CONFIG));
    argument
}

pub(crate) fn data_of(dir: &Path) -> PathBuf {
    dir.join("data")
}

/// The slot that a primary keeps for a standby: names of slots have no hyphens.
fn slot(name: &str) -> String {
    name.replace('-', "_")
}

/// A data directory of another major version would not start, and nothing here may convert it.
pub(crate) fn check_version(dir: &Path, name: &str, bin: &Path) -> Result<()> {
    let file = data_of(dir).join("PG_VERSION");
    if !file.exists() {
        return Ok(());
    }
    let (found, installed) = (read(file)?, major(bin));
    if found.trim() != installed {
        return Err(Error::Refused(format!(
            "the data of {name} in {} are of PostgreSQL {}, and the newest one installed is {installed}: install \
             postgresql-{}, convert them with pg_upgrade, or name another --dir",
            dir.display(),
            found.trim(),
            found.trim()
        )));
    }
    Ok(())
}

fn major(bin: &Path) -> String {
    let version = bin.parent().and_then(Path::file_name);
    version.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
