//! A server program that a test runs: on a free port, in a directory of its own, with its output in a file beside it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::fault;

const START_MAX: Duration = Duration::from_secs(60);

pub struct Daemon {
    log: PathBuf,
    command: Box<dyn Fn() -> Result<Command> + Send + Sync>,
    is_ready: Box<dyn Fn() -> bool + Send + Sync>,
    child: Child,
}

impl Daemon {
    /// Starts what `command` makes, and waits until it is ready. Its directory must be there.
    pub fn start(
        dir: &Path,
        command: impl Fn() -> Result<Command> + Send + Sync + 'static,
        is_ready: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Daemon> {
        let mut daemon = Daemon::begin(dir, command, is_ready)?;
        daemon.wait_ready()?;
        Ok(daemon)
    }

    /// Starts it, and does not wait: for members that are ready only together.
    pub fn begin(
        dir: &Path,
        command: impl Fn() -> Result<Command> + Send + Sync + 'static,
        is_ready: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Daemon> {
        let log = dir.with_extension("log");
        let child = spawn(&log, command()?)?;
        Ok(Daemon { log, command: Box::new(command), is_ready: Box::new(is_ready), child })
    }

    pub fn wait_ready(&mut self) -> Result<()> {
        let until = Instant::now() + START_MAX;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}:\n{}", self.said());
            }
            if (self.is_ready)() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the server was not ready within {START_MAX:?}:\n{}", self.said())
    }

    /// What it has printed.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGSTOP: connections are accepted by the kernel and never answered.
    pub fn freeze(&self) {
        fault::freeze(self.child.id());
    }

    pub fn thaw(&self) {
        fault::thaw(self.child.id());
    }

    /// Whether it ended by itself within that time, and in order.
    pub fn ended(&mut self, within: Duration) -> bool {
        let until = Instant::now() + within;
        while Instant::now() < until {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                Err(_) => return false,
            }
        }
        false
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again as it was.
    pub fn restart(&mut self) -> Result<()> {
        self.begin_again()?;
        self.wait_ready()
    }

    pub fn begin_again(&mut self) -> Result<()> {
        self.kill();
        self.child = spawn(&self.log, (self.command)()?)?;
        Ok(())
    }
}

fn spawn(log: &Path, mut command: Command) -> Result<Child> {
    let log = File::options().create(true).append(true).open(log)?;
    Ok(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?)
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.thaw();
        self.kill();
    }
}
