//! A primary with streaming standbys, each a private server of its own.

use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tempfile::TempDir;

use super::{Options, Postgres, START_MAX, own, spawn, unprivileged};
use crate::{fault, tools};

/// `hosts[0]` is the first primary.
pub struct Replicas {
    pub hosts: Vec<Postgres>,
}

impl Replicas {
    /// A primary and `standbys` copies that follow it. Any one of them confirms each commit.
    pub fn start(standbys: usize, options: Options) -> Result<Replicas> {
        let mut hosts = vec![Postgres::start(options)?];
        for _ in 0..standbys {
            let standby = hosts[0].standby()?;
            hosts.push(standby);
        }
        let replicas = Replicas { hosts };
        replicas.wait_streaming(0, standbys)?;
        for host in &replicas.hosts {
            host.sql("postgres", "alter system set synchronous_standby_names = 'ANY 1 (*)'")?;
            host.sql("postgres", "select pg_reload_conf()")?;
        }
        Ok(replicas)
    }

    /// All hosts in one address.
    pub fn url(&self, database: &str) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(|host| format!("127.0.0.1:{}", host.port())).collect();
        format!("postgres://postgres@{}/{database}", hosts.join(","))
    }

    /// An empty database on all of them.
    pub fn database(&self) -> Result<String> {
        let one = self.hosts[0].database()?;
        Ok(self.url(one.rsplit('/').next().unwrap_or_default()))
    }

    /// Until so many standbys stream from the host.
    pub fn wait_streaming(&self, host: usize, standbys: usize) -> Result<()> {
        let until = Instant::now() + START_MAX;
        let sql = "select count(*) from pg_stat_replication where state = 'streaming'";
        loop {
            let streaming = self.hosts[host].sql("postgres", sql)?;
            if streaming.trim().parse::<usize>().is_ok_and(|count| count >= standbys) {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("{} standbys stream, not {standbys}", streaming.trim());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Postgres {
    /// A copy of this server that follows it.
    pub fn standby(&self) -> Result<Postgres> {
        let dir = TempDir::with_prefix("pando-standby-")?;
        own(dir.path())?;
        let mut backup = unprivileged(&self.bin.join("pg_basebackup"));
        backup.current_dir("/").args(["-R", "-X", "stream", "-c", "fast", "--no-sync", "-D"]);
        tools::run(backup.arg(dir.path().join("data")).arg("-d").arg(self.url("postgres")))?;
        let port = tools::free_port();
        let child = spawn(&self.bin, dir.path(), port, self.options)?;
        let databases = AtomicU32::new(0);
        let mut standby =
            Postgres { child, port, bin: self.bin.clone(), options: self.options, databases, dir };
        standby.wait_ready()?;
        Ok(standby)
    }

    /// Ends being a standby; returns when it can be written to.
    pub fn promote(&self) -> Result<()> {
        let promoted = self.sql("postgres", "select pg_promote(true, 30)")?;
        if promoted.trim() != "t" {
            bail!("it was not promoted within 30 s");
        }
        Ok(())
    }

    /// Another host to follow. Where this one went another way, it cannot.
    pub fn follow(&self, primary: &Postgres) -> Result<()> {
        let conninfo = format!("host=127.0.0.1 port={} user=postgres", primary.port());
        self.sql("postgres", &format!("alter system set primary_conninfo = '{conninfo}'"))?;
        self.sql("postgres", "select pg_reload_conf()").map(drop)
    }

    /// The server and everything that it started keep their sockets and answer nothing.
    pub fn freeze(&self) {
        // First the one that starts others.
        fault::freeze(self.pid());
        children(self.pid()).into_iter().for_each(|pid| assert!(fault::freeze(pid) || !fault::is_alive(pid)));
    }

    pub fn thaw(&self) {
        children(self.pid()).into_iter().for_each(|pid| assert!(fault::thaw(pid) || !fault::is_alive(pid)));
        fault::thaw(self.pid());
    }

    /// As when the machine goes: SIGKILL to the server and to everything that it started.
    pub fn crash(&mut self) {
        fault::freeze(self.pid());
        children(self.pid()).into_iter().for_each(|pid| assert!(fault::kill_9(pid) || !fault::is_alive(pid)));
        self.kill();
    }
}

fn children(of: u32) -> Vec<u32> {
    let parent = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| parent(*pid) == Some(of)).collect()
}
