//! `cargo xtask faults`: the fault matrix at length, by hand. Fails when something acknowledged is lost.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cluster::Topology;
use cluster::topology::RedisMode;
use testkit::checker::matrix::{self, Plan, Step};
use testkit::doors::kept::{self, Happening};
use testkit::doors::{self, Event};
use testkit::tools;

struct Options {
    minutes: u64,
    only: String,
    replicas: u32,
    patroni: bool,
    /// What stands beside the database: `--redis single`, `--nats 3`, `--workers 2`; `--backed` for all of it.
    redis: RedisMode,
    nats: u32,
    workers: u32,
    network: bool,
    build: bool,
    release: bool,
    /// Requests of sessions that hop over the nodes, instead of faults.
    sessions: usize,
    /// So many balancers and edges before the web nodes; the events are theirs and the web nodes'.
    front: u32,
    /// Collections that edges keep, while the wires between them and the nodes are cut; each for so many seconds.
    kept: u64,
}

impl Options {
    fn topology(&self, network: bool) -> Topology {
        let topology = matrix::topology(self.replicas, self.patroni, network);
        let mut topology = matrix::backed(topology, self.redis, self.nats, self.workers);
        (topology.balancers.nodes, topology.edges.nodes) = (self.front, self.front);
        topology
    }
}

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options {
        minutes: 5,
        only: String::new(),
        replicas: 2,
        patroni: false,
        redis: RedisMode::None,
        nats: 0,
        workers: 0,
        network: matrix::may_cut(),
        build: true,
        release: false,
        sessions: 0,
        front: 0,
        kept: 0,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--minutes" => options.minutes = value()?.parse()?,
            "--only" => options.only = value()?.clone(),
            "--replicas" => options.replicas = value()?.parse()?,
            "--backed" => {
                (options.redis, options.nats, options.workers) = (RedisMode::Sentinel, 3, 2);
            }
            "--redis" => {
                let mode = value()?;
                let known = [
                    ("none", RedisMode::None),
                    ("single", RedisMode::Single),
                    ("sentinel", RedisMode::Sentinel),
                    ("cluster", RedisMode::Cluster),
                ];
                let found = known.into_iter().find(|(name, _)| name == mode);
                options.redis = found.with_context(|| format!("no mode {mode}"))?.1;
            }
            "--nats" => options.nats = value()?.parse()?,
            "--workers" => options.workers = value()?.parse()?,
            "--patroni" => options.patroni = true,
            "--no-network" => options.network = false,
            "--no-build" => options.build = false,
            "--sessions" => options.sessions = value()?.parse()?,
            "--front" => options.front = value()?.parse()?,
            "--kept" => options.kept = value()?.parse()?,
            "--release" => options.release = true,
            other => bail!("no option {other}"),
        }
    }
    Ok(options)
}

pub fn run(args: &[String]) -> Result<()> {
    let options = options(args)?;
    let profile = if options.release { "release" } else { "debug" };
    if options.build {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(tools::workspace()).args(["build", "-p", "pando"]);
        cargo.args(options.release.then_some("--release"));
        if !cargo.status()?.success() {
            bail!("the build failed");
        }
    }
    let built = tools::root().with_file_name(profile).join("pando");
    if options.sessions > 0 {
        let topology = options.topology(false);
        let found = matrix::sessions(&topology, &built.display().to_string(), options.sessions)?;
        println!("{found}");
        return if found.is_clean() { Ok(()) } else { bail!("an acknowledged write was not seen") };
    }
    if options.kept > 0 {
        return kept(&options, &built.display().to_string());
    }
    if options.front > 0 {
        return front(&options, &built.display().to_string());
    }
    let topology = options.topology(options.network);
    let mut steps = Step::all(&topology);
    steps.retain(|step| step.to_string().contains(&options.only));
    if steps.is_empty() {
        bail!("no fault is called {}", options.only);
    }
    let until = Instant::now() + Duration::from_secs(options.minutes * 60);
    let mut round = 1;
    // Each round has a cluster of its own, so that a history stays short enough to be read.
    loop {
        let plan = Plan {
            topology: topology.clone(),
            pando: built.display().to_string(),
            steps: steps.clone(),
            reads: 300,
            writes: 100,
            lasts: Duration::from_secs(5),
            operator: Duration::from_secs(2),
            seed: round,
        };
        let findings = matrix::run(&plan)?;
        println!("\n{}", matrix::table(&findings));
        findings.check()?;
        round += 1;
        if Instant::now() >= until {
            return Ok(());
        }
    }
}

/// What happens to front doors and to what is behind them, under a load that counts every request that fails.
fn front(options: &Options, pando: &str) -> Result<()> {
    let topology = options.topology(options.network);
    let mut events = Event::all(&topology);
    events.retain(|event| event.to_string().contains(&options.only));
    if events.is_empty() {
        bail!("nothing that can happen is called {}", options.only);
    }
    let until = Instant::now() + Duration::from_secs(options.minutes * 60);
    let mut round = 1;
    loop {
        let plan = doors::Plan {
            topology: topology.clone(),
            pando: pando.into(),
            events: events.clone(),
            clients: 16,
            pace: Duration::from_millis(5),
            requests: 500,
            lasts: Duration::from_secs(4),
            callers: 6,
            seed: round,
        };
        let findings = doors::run(&plan)?;
        println!("\n{}", doors::table(&findings));
        findings.check()?;
        round += 1;
        if Instant::now() >= until {
            return Ok(());
        }
    }
}

/// What edges keep and what nodes write, while they cannot hear or reach each other.
fn kept(options: &Options, pando: &str) -> Result<()> {
    let mut happenings = Happening::all();
    happenings.retain(|happening| happening.to_string().contains(&options.only));
    if happenings.is_empty() {
        bail!("nothing that can happen is called {}", options.only);
    }
    let until = Instant::now() + Duration::from_secs(options.minutes * 60);
    let mut round = 1;
    loop {
        let plan = kept::Plan::of(pando, happenings.clone(), Duration::from_secs(options.kept));
        let findings = kept::run(&kept::Plan { seed: round, ..plan })?;
        println!("\n{findings}");
        findings.check()?;
        round += 1;
        if Instant::now() >= until {
            return Ok(());
        }
    }
}
