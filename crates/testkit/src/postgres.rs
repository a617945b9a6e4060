//! A private PostgreSQL from Debian's packages: its own data directory, port and socket in a temporary
//! directory, gone when dropped. Never touches a cluster that the machine already runs.

mod replicas;

pub use replicas::Replicas;

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{fault, tools};

const START_MAX: Duration = Duration::from_secs(30);

/// The newest installed server's programs, 15 or later.
pub fn bin() -> Result<PathBuf> {
    let found = cluster::Programs::find("").postgres;
    found.context("PostgreSQL 15 or later is needed: apt-get install postgresql")
}

/// What the test wants of the server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Off, a crash of the machine may lose data; a crash of the process does not. On for durability tests.
    pub fsync: bool,
}

pub struct Postgres {
    child: Child,
    port: u16,
    bin: PathBuf,
    options: Options,
    databases: AtomicU32,
    // Last, so that the directory goes after the process.
    dir: TempDir,
}

impl Postgres {
    pub fn start(options: Options) -> Result<Postgres> {
        let bin = bin()?;
        let dir = TempDir::with_prefix("pando-postgres-")?;
        own(dir.path())?;
        let mut init = unprivileged(&bin.join("initdb"));
        init.current_dir("/").args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]);
        tools::run(init.args(["--no-sync", "--no-instructions", "-D"]).arg(dir.path().join("data")))?;
        let port = tools::free_port();
        let child = spawn(&bin, dir.path(), port, options)?;
        let mut postgres = Postgres { child, port, bin, options, databases: AtomicU32::new(0), dir };
        postgres.wait_ready()?;
        Ok(postgres)
    }

    fn wait_ready(&mut self) -> Result<()> {
        let until = Instant::now() + START_MAX;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                bail!("postgres ended with {status} at start:\n{}", self.log());
            }
            if self.sql("postgres", "select 1").is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("postgres did not accept connections within {START_MAX:?}:\n{}", self.log())
    }

    /// An empty database of its own, as an address.
    pub fn database(&self) -> Result<String> {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("create database {name}"))?;
        Ok(self.url(&name))
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs SQL through `psql` and returns its unaligned rows.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]).arg(self.url(database));
        tools::run(psql.env("PGCONNECT_TIMEOUT", "5"))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// SIGKILL to the postmaster: its children notice and end too; the next start recovers from the log.
    pub fn kill(&mut self) {
        fault::kill_9(self.pid());
        let _ = self.child.wait();
    }

    /// Starts again on the same data and port, after a kill.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        let until = Instant::now() + START_MAX;
        loop {
            // The children of a killed postmaster hold the shared memory for a moment; the start refuses till then.
            self.child = spawn(&self.bin, self.dir.path(), self.port, self.options)?;
            match self.wait_ready() {
                Ok(()) => return Ok(()),
                Err(e) if Instant::now() > until => return Err(e),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // An immediate shutdown also ends the children, which a SIGKILL to the postmaster leaves behind.
        fault::quit(self.pid());
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill();
    }
}

fn spawn(bin: &Path, dir: &Path, port: u16, options: Options) -> Result<Child> {
    let log = File::options().create(true).append(true).open(dir.join("log"))?;
    let fsync = if options.fsync { "on" } else { "off" };
    let mut command = unprivileged(&bin.join("postgres"));
    command.current_dir("/").arg("-D").arg(dir.join("data")).arg("-k").arg(dir);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-c", &format!("fsync={fsync}")]);
    command.args(["-c", "max_connections=200", "-c", "shared_buffers=64MB", "-c", "timezone=UTC"]);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().context("starting postgres")
}

/// Gives the directory to the user that the server runs as.
fn own(dir: &Path) -> Result<()> {
    if rustix::process::getuid().is_root() {
        let (uid, gid) = user("postgres").context("PostgreSQL does not run as root: no user postgres")?;
        chown(dir, Some(uid), Some(gid))?;
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    Ok(())
}

/// The command as the user `postgres` when the caller is root, which PostgreSQL refuses to be; ended by the
/// kernel together with the test.
fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if rustix::process::getuid().is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
    }
    command.args(["--pdeathsig", "QUIT", "--"]).arg(program);
    command
}

fn user(name: &str) -> Option<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let line = passwd.lines().find(|l| l.split(':').next() == Some(name))?;
    let mut parts = line.split(':').skip(2);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_survives_a_kill_and_leaves_nothing() {
        let mut postgres = Postgres::start(Options { fsync: true }).unwrap();
        postgres.database().unwrap();
        postgres.sql("test0", "create table t (n int); insert into t values (42)").unwrap();
        postgres.restart().unwrap();
        assert_eq!(postgres.sql("test0", "select n from t").unwrap().trim(), "42");
        let (pid, dir) = (postgres.pid(), postgres.dir.path().to_path_buf());
        drop(postgres);
        assert!(!fault::is_alive(pid) && !dir.exists());
    }
}
