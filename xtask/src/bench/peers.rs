//! Peers of the front door, as Debian ships them, each confined to one core.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use testkit::daemon::Daemon;
use testkit::{fault, tools};

use super::machine;

/// How long a peer may take to end.
const STOP_MAX: Duration = Duration::from_secs(10);

/// A program under load.
pub struct Peer {
    pub name: String,
    pub port: u16,
    daemon: Daemon,
}

impl Peer {
    /// `command` is what is run, on one core, in a directory of its own.
    pub fn start(name: &str, port: u16, core: usize, dir: &Path, command: Vec<String>) -> Result<Peer> {
        fs::create_dir_all(dir)?;
        let own = dir.to_path_buf();
        let run = move || {
            let mut taskset = Command::new("taskset");
            taskset.args(["-c", &core.to_string()]).args(&command).current_dir(&own);
            Ok(taskset)
        };
        let is_ready = move || TcpStream::connect(("127.0.0.1", port)).is_ok();
        Ok(Peer { name: name.to_owned(), port, daemon: Daemon::start(dir, run, is_ready)? })
    }

    /// Processor time of it and its children, in milliseconds.
    pub fn cpu_ms(&self) -> f64 {
        machine::family_cpu_ms(self.daemon.pid())
    }

    /// Resident memory of it and its children, in MiB.
    pub fn rss_mib(&self) -> f64 {
        machine::family_rss_mib(self.daemon.pid())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // So that its children end with it.
        fault::terminate(self.daemon.pid());
        let until = Instant::now() + STOP_MAX;
        while Instant::now() < until && TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The program, or which package brings it.
pub fn program(name: &str, package: &str) -> Result<PathBuf> {
    for dir in ["/usr/sbin", "/usr/bin"] {
        let path = Path::new(dir).join(name);
        if path.exists() {
            return Ok(path);
        }
    }
    bail!("the bench needs {name}: apt-get install {package}")
}

/// nginx with what is said inside `http`, in one process.
pub fn nginx(name: &str, dir: &Path, core: usize, http: impl Fn(u16) -> String) -> Result<Peer> {
    let nginx = program("nginx", "nginx")?;
    let port = tools::free_port();
    fs::create_dir_all(dir)?;
    let text = format!(
        "daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; \
         client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi; \
         uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;\n{} }}\n",
        http(port),
        dir = dir.display()
    );
    let conf = dir.join("nginx.conf");
    fs::write(&conf, text)?;
    let command = [nginx.display().to_string(), "-p".into(), dir.display().to_string(), "-c".into()];
    Peer::start(name, port, core, dir, [&command[..], &[conf.display().to_string()]].concat())
}

/// Varnish with its defaults and memory for everything.
pub fn varnish(dir: &Path, core: usize, origin: u16) -> Result<Peer> {
    let varnish = program("varnishd", "varnish")?;
    let port = tools::free_port();
    fs::create_dir_all(dir)?;
    let own = dir.join("work");
    let command = [
        &varnish.display().to_string(),
        "-F",
        "-j",
        "none",
        "-n",
        &own.display().to_string(),
        "-a",
        &format!("127.0.0.1:{port}"),
        "-b",
        &format!("127.0.0.1:{origin}"),
        "-s",
        "malloc,256m",
    ];
    Peer::start("Varnish", port, core, dir, command.iter().map(|part| (*part).to_owned()).collect())
}
