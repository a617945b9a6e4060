//! Redis servers on demand, from Debian's package: one, one with replicas behind Sentinel, or a cluster.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::daemon::Daemon;
use crate::tools;

const SETTLE_MAX: Duration = Duration::from_secs(60);

pub struct Redis {
    pub daemon: Daemon,
    port: u16,
}

impl Redis {
    /// One server without persistence, as a cache has it.
    pub fn start(dir: &Path) -> Result<Redis> {
        Redis::with(dir, &[])
    }

    /// The same with further arguments, as in `--maxmemory 64mb`.
    pub fn with(dir: &Path, arguments: &[&str]) -> Result<Redis> {
        std::fs::create_dir_all(dir)?;
        let port = tools::free_port();
        let (place, own) = (dir.to_path_buf(), arguments.iter().map(|a| a.to_string()).collect::<Vec<_>>());
        let command = move || {
            let mut command = Command::new("redis-server");
            command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--dir"]);
            command.arg(&place).args(&own);
            Ok(command)
        };
        let daemon = Daemon::start(dir, command, move || ping(port))?;
        Ok(Redis { daemon, port })
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the server answers to a command.
    pub fn ask(&self, words: &[&str]) -> Result<String> {
        ask(self.port, words)
    }

    fn is_primary(&self) -> bool {
        self.ask(&["ROLE"]).is_ok_and(|role| role.starts_with("master"))
    }
}

/// A primary and a replica, and three sentinels that watch them.
pub struct Sentinels {
    pub servers: Vec<Redis>,
    pub sentinels: Vec<Redis>,
}

impl Sentinels {
    /// What the sentinels call the primary.
    pub const NAME: &str = "main";

    pub fn start(dir: &Path) -> Result<Sentinels> {
        let primary = Redis::start(&dir.join("redis-1"))?;
        let port = primary.port.to_string();
        let replica = Redis::with(&dir.join("redis-2"), &["--replicaof", "127.0.0.1", &port])?;
        let sentinels = (1..=3).map(|number| sentinel(&dir.join(format!("sentinel-{number}")), primary.port));
        let sentinels = sentinels.collect::<Result<_>>()?;
        let started = Sentinels { servers: vec![primary, replica], sentinels };
        settle("the sentinels do not know each other and the replica", || {
            started.sentinels.iter().all(|sentinel| {
                let told = sentinel.ask(&["SENTINEL", "MASTER", Sentinels::NAME]).unwrap_or_default();
                let lines: Vec<&str> = told.lines().collect();
                let says = |name, value| lines.windows(2).any(|pair| pair == [name, value]);
                says("num-other-sentinels", "2") && says("num-slaves", "1")
            }) && started.servers[1]
                .ask(&["INFO", "replication"])
                .is_ok_and(|told| told.contains("master_link_status:up"))
        })?;
        Ok(started)
    }

    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(|one| format!("127.0.0.1:{}", one.port)).collect();
        format!("redis-sentinel://{}/{}", hosts.join(","), Sentinels::NAME)
    }

    /// Which of the servers is the primary, once exactly one is.
    pub fn primary(&self) -> Result<usize> {
        let primaries = || (0..self.servers.len()).filter(|index| self.servers[*index].is_primary());
        settle("there is not one primary", || primaries().count() == 1)?;
        primaries().next().context("there is no primary")
    }
}

/// Servers that share all slots.
pub struct Cluster {
    pub servers: Vec<Redis>,
}

impl Cluster {
    /// So many primaries, with so many replicas each.
    pub fn start(dir: &Path, primaries: usize, replicas: usize) -> Result<Cluster> {
        let start = |number: usize| {
            let bus = tools::free_port().to_string();
            let own = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1500", "--cluster-port", &bus];
            Redis::with(&dir.join(format!("redis-{number}")), &own)
        };
        let servers = (1..=primaries * (1 + replicas)).map(start).collect::<Result<Vec<_>>>()?;
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]);
        create.args(servers.iter().map(|one| format!("127.0.0.1:{}", one.port)));
        tools::run(create.args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"]))?;
        let started = Cluster { servers };
        settle("the cluster is not whole", || {
            started.servers.iter().all(|one| {
                let told = one.ask(&["CLUSTER", "INFO"]).unwrap_or_default();
                let replica = one.ask(&["INFO", "replication"]).unwrap_or_default();
                told.contains("cluster_state:ok") && !replica.contains("master_link_status:down")
            })
        })?;
        Ok(started)
    }

    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.servers.iter().map(|one| format!("127.0.0.1:{}", one.port)).collect();
        format!("redis-cluster://{}", hosts.join(","))
    }

    /// Those that hold slots.
    pub fn primaries(&self) -> Vec<usize> {
        (0..self.servers.len()).filter(|index| self.servers[*index].is_primary()).collect()
    }
}

fn sentinel(dir: &Path, primary: u16) -> Result<Redis> {
    std::fs::create_dir_all(dir)?;
    let (port, name, path) = (tools::free_port(), Sentinels::NAME, dir.join("sentinel.conf"));
    std::fs::write(
        &path,
        format!(
            "bind 127.0.0.1\nport {port}\ndir {}\nsentinel monitor {name} 127.0.0.1 {primary} 2\n\
             sentinel down-after-milliseconds {name} 1000\nsentinel failover-timeout {name} 5000\n",
            dir.display()
        ),
    )?;
    let command = move || {
        let mut command = Command::new("redis-server");
        command.arg(&path).arg("--sentinel");
        Ok(command)
    };
    let daemon = Daemon::start(dir, command, move || ping(port))?;
    Ok(Redis { daemon, port })
}

fn settle(what: &str, is_so: impl Fn() -> bool) -> Result<()> {
    let until = Instant::now() + SETTLE_MAX;
    while !is_so() {
        if Instant::now() > until {
            bail!("{what} after {SETTLE_MAX:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// What `redis-cli` prints for it.
fn ask(port: u16, words: &[&str]) -> Result<String> {
    let mut command = Command::new("redis-cli");
    tools::run(command.args(["-p", &port.to_string()]).args(words))
}

/// Whether a Redis answers there.
pub fn ping(port: u16) -> bool {
    let asked = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        Ok(&answer == b"+PONG")
    };
    asked().unwrap_or(false)
}
