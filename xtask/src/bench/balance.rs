//! `--balance`: `pando balance` beside HAProxy and nginx as proxies, each confined to one core, in turn. The node behind them
//! and the load share the other core, so processor time per request says more than requests per second: see the line of
//! the node without any proxy.

use std::fmt::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use testkit::{http, tools};

use super::{CONNECTIONS, LOAD_CORE, Options, SERVER_CORE, cases, machine, report, wrk};

/// The answer's body.
const BODY_BYTES: usize = 1024;
const START_MAX: Duration = Duration::from_secs(20);

/// A program that ends with the value.
struct Running {
    name: &'static str,
    child: Child,
    port: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn run(options: &Options) -> Result<()> {
    for (program, package) in [("haproxy", "haproxy"), ("nginx", "nginx")] {
        if !Path::new("/usr/sbin").join(program).exists() {
            bail!("this comparison needs {program} (apt-get install {package})");
        }
    }
    let dir = TempDir::with_prefix("pando-balance-")?;
    let node = node(dir.path())?;
    let sides =
        [pando(dir.path(), node.port)?, haproxy(dir.path(), node.port)?, nginx(dir.path(), node.port)?, node];
    let script = dir.path().join("get.lua");
    std::fs::write(&script, cases::DONE)?;
    for side in &sides {
        let answer = http::Client::new(side.port).send(&testkit::Request::get("/api/health"))?;
        ensure!(answer.status == 200 && answer.body.len() == BODY_BYTES, "{} answers {answer:?}", side.name);
        wrk::run(side.port, &script, 1, LOAD_CORE, CONNECTIONS)?;
    }
    let mut slices: [Vec<wrk::Slice>; 4] = Default::default();
    for round in 0..options.rounds {
        for (side, slices) in sides.iter().zip(&mut slices) {
            let before = machine::cpu_ms(side.child.id());
            let mut slice = wrk::run(side.port, &script, options.seconds, LOAD_CORE, CONNECTIONS)?;
            slice.cpu_us = (machine::cpu_ms(side.child.id()) - before) * 1000.0 / slice.requests.max(1.0);
            eprintln!("  {round}: {}: {:.0}/s, {:.1} µs", side.name, slice.rate, slice.cpu_us);
            slices.push(slice);
        }
    }
    let medians = slices.map(wrk::median);
    let text = table(options, &sides, &medians);
    println!("{text}");
    if options.dry { Ok(()) } else { report::section(&super::document(), "Balancer", &text) }
}

fn table(options: &Options, sides: &[Running; 4], medians: &[wrk::Slice; 4]) -> String {
    let how = format!(
        "1 KiB of JSON through one proxy, {CONNECTIONS} kept connections, medians of {} slices of {} s in turn; the proxy alone on one \
         core, the node (nginx, a fixed answer) and the load on the other",
        options.rounds, options.seconds
    );
    let peers = medians.iter().skip(1).take(2);
    let best = peers.clone().map(|slice| slice.rate).fold(0.0, f64::max);
    let least = peers.map(|slice| slice.cpu_us).fold(f64::MAX, f64::min);
    let mut text = format!(
        "{}| | requests/s | of the best peer | p50, ms | p99, ms | memory, MiB | processor, µs per request | of the best peer | failed |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        report::conditions(&how)
    );
    for (side, slice) in sides.iter().zip(medians) {
        // Into a String: it cannot fail.
        let _ = writeln!(
            text,
            "| {} | {:.0} | {:.2} | {:.2} | {:.2} | {:.1} | {:.1} | {:.2} | {:.0} |",
            side.name,
            slice.rate,
            slice.rate / best.max(1.0),
            slice.p50_ms,
            slice.p99_ms,
            machine::rss_mib(side.child.id()),
            slice.cpu_us,
            slice.cpu_us / least.max(0.1),
            slice.failed
        );
    }
    text
}

/// What stands behind the proxies.
fn node(dir: &Path) -> Result<Running> {
    let port = tools::free_port();
    let body = format!("{{\"data\":\"{}\"}}", "x".repeat(BODY_BYTES - 11));
    let server = format!("default_type application/json; location / {{ return 200 '{body}'; }}");
    let conf = nginx_conf(dir, "node", port, "", &server)?;
    start("the node alone", port, LOAD_CORE, Command::new("/usr/sbin/nginx").arg("-c").arg(conf))
}

fn nginx(dir: &Path, node: u16) -> Result<Running> {
    let port = tools::free_port();
    let upstream = format!("upstream node {{ server 127.0.0.1:{node}; keepalive {CONNECTIONS}; }}");
    let server = "location / { proxy_pass http://node; proxy_http_version 1.1; proxy_set_header Connection ''; \
                  proxy_set_header X-Forwarded-For $remote_addr; }";
    let conf = nginx_conf(dir, "nginx", port, &upstream, server)?;
    start("nginx", port, SERVER_CORE, Command::new("/usr/sbin/nginx").arg("-c").arg(conf))
}

fn nginx_conf(dir: &Path, name: &str, port: u16, http: &str, server: &str) -> Result<std::path::PathBuf> {
    let path = dir.join(format!("{name}.conf"));
    let at = dir.display();
    let conf = format!(
        "daemon off; master_process off; worker_processes 1; pid {at}/{name}.pid; error_log {at}/{name}.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {at}/{name}-body; \
         proxy_temp_path {at}/{name}-proxy; fastcgi_temp_path {at}/{name}-fastcgi; uwsgi_temp_path {at}/{name}-uwsgi; \
         scgi_temp_path {at}/{name}-scgi; {http}\n\
         server {{ listen 127.0.0.1:{port}; {server} }} }}\n"
    );
    std::fs::write(&path, conf)?;
    Ok(path)
}

fn haproxy(dir: &Path, node: u16) -> Result<Running> {
    let port = tools::free_port();
    let path = dir.join("haproxy.cfg");
    let conf = format!(
        "global\n  nbthread 1\n  maxconn 4096\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n  http-reuse always\n  option forwardfor\n\
         frontend front\n  bind 127.0.0.1:{port}\n  default_backend nodes\n\
         backend nodes\n  server node 127.0.0.1:{node}\n"
    );
    std::fs::write(&path, conf)?;
    start("HAProxy", port, SERVER_CORE, Command::new("/usr/sbin/haproxy").arg("-db").arg("-f").arg(path))
}

fn pando(dir: &Path, node: u16) -> Result<Running> {
    let port = tools::free_port();
    let mut command = Command::new(super::built("pando")?);
    command.args(["balance", "--http", &format!("127.0.0.1:{port}"), "--to", &format!("127.0.0.1:{node}")]);
    command.env("PANDO_FRONT_THREADS", "1").current_dir(dir);
    start("pando balance", port, SERVER_CORE, &mut command)
}

/// Runs it on one core, and waits until it answers.
fn start(name: &'static str, port: u16, core: usize, command: &mut Command) -> Result<Running> {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running { name, child: silent.spawn().context(name)?, port };
    machine::pin(running.child.id(), core)?;
    let until = Instant::now() + START_MAX;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(Instant::now() < until, "{name} does not answer");
        ensure!(running.child.try_wait()?.is_none(), "{name} ended at once");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Threads that came since.
    machine::pin(running.child.id(), core)?;
    Ok(running)
}
