//! A front door under test: `pando balance` or `pando edge`, on a free port, in front of whatever a test starts.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::Result;

use crate::daemon::Daemon;
use crate::http::Client;
use crate::tools;

pub struct Front {
    pub daemon: Daemon,
    port: u16,
    dir: PathBuf,
    command: Arc<dyn Fn() -> Result<Command> + Send + Sync>,
    /// How many took its place before.
    generation: u32,
}

impl Front {
    /// `role` is `balance` or `edge`, `nodes` what is behind it. `dir` must be there; more is said by environment variables.
    pub fn start(
        pando: &Path,
        dir: &Path,
        role: &'static str,
        nodes: &str,
        variables: &[(&str, &str)],
    ) -> Result<Front> {
        Front::start_on(tools::free_port(), pando, dir, role, nodes, variables)
    }

    /// The same at a port that somebody else must know before.
    pub fn start_on(
        port: u16,
        pando: &Path,
        dir: &Path,
        role: &'static str,
        nodes: &str,
        variables: &[(&str, &str)],
    ) -> Result<Front> {
        let variables: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (pando, nodes): (PathBuf, String) = (pando.to_path_buf(), nodes.to_owned());
        let own = dir.to_path_buf();
        let command: Arc<dyn Fn() -> Result<Command> + Send + Sync> = Arc::new(move || {
            let mut command = Command::new(&pando);
            for (name, _) in std::env::vars_os() {
                // The tests' own variables are not the front door's configuration.
                if name.to_string_lossy().starts_with("PANDO_") {
                    command.env_remove(name);
                }
            }
            command.args([role, "--http", &format!("127.0.0.1:{port}")]).current_dir(&own);
            if !nodes.is_empty() {
                command.args(["--to", &nodes]);
            }
            command.envs(variables.iter().cloned());
            Ok(command)
        });
        let is_ready = move || TcpStream::connect(("127.0.0.1", port)).is_ok();
        let own = command.clone();
        let daemon = Daemon::start(&dir.join(format!("{role}-{port}")), move || own(), is_ready)?;
        Ok(Front { daemon, port, dir: dir.to_path_buf(), command, generation: 0 })
    }

    /// Another process, started as this one was. Returns when it answers, to be seen by what it says.
    pub fn successor(&self) -> Result<Front> {
        let generation = self.generation + 1;
        let log = self.dir.join(format!("{}-{generation}", self.port));
        let (said, command) = (log.with_extension("log"), self.command.clone());
        let is_ready = move || std::fs::read_to_string(&said).is_ok_and(|said| said.contains("answers at"));
        let daemon = Daemon::start(&log, move || command(), is_ready)?;
        Ok(Front {
            daemon,
            port: self.port,
            dir: self.dir.clone(),
            command: self.command.clone(),
            generation,
        })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn client(&self) -> Client {
        Client::new(self.port)
    }
}
