//! `cargo xtask faults`: the fault matrix at length, by hand. Fails when something acknowledged is lost.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use testkit::checker::matrix::{self, Plan, Step};
use testkit::tools;

struct Options {
    minutes: u64,
    only: String,
    replicas: u32,
    patroni: bool,
    network: bool,
    build: bool,
    release: bool,
}

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options {
        minutes: 5,
        only: String::new(),
        replicas: 2,
        patroni: false,
        network: matrix::may_cut(),
        build: true,
        release: false,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--minutes" => options.minutes = value()?.parse()?,
            "--only" => options.only = value()?.clone(),
            "--replicas" => options.replicas = value()?.parse()?,
            "--patroni" => options.patroni = true,
            "--no-network" => options.network = false,
            "--no-build" => options.build = false,
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
    let topology = matrix::topology(options.replicas, options.patroni, options.network);
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
