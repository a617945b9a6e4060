//! `cargo xtask bench`: the same requests to PocketBase and to Pando, each alone on one core, on copies of one
//! data set. Measures and reports; asserts nothing.

mod balance;
mod caches;
pub mod cases;
mod cluster_cache;
pub mod data;
mod edge;
mod eyes;
mod floor;
mod logins;
pub mod machine;
mod peers;
mod purge;
mod realtime;
mod realtime_nodes;
mod report;
mod site;
pub mod wrk;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use testkit::pando::{self, Engine};
use testkit::postgres::{self, Postgres};
use testkit::{Program, Request, Server, oracle, tools};

use cases::{CASES, Case};
use report::{Growth, Line, Report};
pub use report::{conditions, section};

/// The servers' core; the load comes from the other one.
const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;
const CONNECTIONS: usize = 64;
/// Records of the growth comparison.
const GROWTH: [usize; 2] = [10_000, 1_000_000];

/// What is measured.
#[derive(Clone, Copy)]
enum What {
    /// Each case on its own.
    Cases,
    /// The cases with a hundred times more records.
    Growth,
    /// Views beside logins.
    Logins,
    /// Many event streams.
    Realtime,
    /// Many event streams on several nodes.
    RealtimeNodes,
    /// What caches spare a database that several nodes share.
    ClusterCache,
    /// Policies of the record cache, on traces.
    Caches,
    /// How soon edges serve what was written.
    Purge,
    /// What an edge keeps, beside other caches.
    Edge,
    /// What figures and the request log cost.
    Eyes,
    /// Proxies before one node.
    Balance,
    /// The processor time of a request, beside the least that it can take.
    Floor,
}

pub struct Options {
    engine: Engine,
    what: What,
    /// Streams on each server.
    clients: usize,
    /// Web nodes where there are several.
    nodes: u32,
    records: usize,
    seconds: u64,
    rounds: usize,
    only: String,
    build: bool,
    /// Prints only, and leaves the document as it is.
    dry: bool,
}

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options {
        engine: Engine::Sqlite,
        what: What::Cases,
        clients: 10_000,
        nodes: 4,
        records: 10_000,
        seconds: 3,
        rounds: 3,
        only: String::new(),
        build: true,
        dry: false,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--postgres" => options.engine = Engine::Postgres,
            "--growth" => options.what = What::Growth,
            "--logins" => options.what = What::Logins,
            "--realtime" => options.what = What::Realtime,
            "--balance" => options.what = What::Balance,
            "--caches" => options.what = What::Caches,
            "--edge" => options.what = What::Edge,
            "--eyes" => options.what = What::Eyes,
            "--floor" => {
                options.what = What::Floor;
                options.engine = Engine::Postgres;
            }
            "--purge" => options.what = What::Purge,
            "--realtime-nodes" => options.what = What::RealtimeNodes,
            "--cluster-cache" => options.what = What::ClusterCache,
            "--nodes" => options.nodes = value()?.parse()?,
            "--clients" => options.clients = value()?.parse()?,
            "--no-build" => options.build = false,
            "--dry" => options.dry = true,
            "--records" => options.records = value()?.parse()?,
            "--seconds" => options.seconds = value()?.parse()?,
            "--rounds" => options.rounds = value()?.parse()?,
            "--only" => options.only = value()?.clone(),
            other => bail!("no option {other}"),
        }
    }
    Ok(options)
}

pub fn run(args: &[String]) -> Result<()> {
    let options = options(args)?;
    if let What::Caches = options.what {
        return caches::run(&options);
    }
    for program in ["wrk", "sqlite3", "taskset"] {
        if tools::run(std::process::Command::new("which").arg(program)).is_err() {
            bail!("bench needs {program} (apt-get install wrk sqlite3 util-linux)");
        }
    }
    if options.build && !pando::is_oracle() {
        let mut cargo = std::process::Command::new(env!("CARGO"));
        cargo.current_dir(tools::workspace()).args([
            "build",
            "--release",
            "-p",
            "pando",
            "-p",
            "xtask",
            "--bin",
            "pando",
            "--bin",
            "floor",
        ]);
        if !cargo.status()?.success() {
            bail!("the release build failed");
        }
    }
    match options.what {
        What::Cases => compare(&options),
        What::Growth => growth(&options),
        What::Logins => {
            let report = logins::run(&options)?;
            report.print();
            if options.dry { Ok(()) } else { report.write(&document()) }
        }
        What::Realtime => realtime::run(&options),
        What::Caches => caches::run(&options),
        What::Balance => balance::run(&options),
        What::RealtimeNodes => realtime_nodes::run(&options),
        What::ClusterCache => cluster_cache::run(&options),
        What::Purge => purge::run(&options),
        What::Floor => floor::run(&options),
        What::Edge => edge::run(&options),
        What::Eyes => eyes::run(&options),
    }
}

/// The programs as they are shipped.
pub fn build() -> Result<()> {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.current_dir(tools::workspace()).args(["build", "--release", "-p", "pando", "-p", "xtask"]);
    match cargo.args(["--bin", "pando", "--bin", "floor"]).status()?.success() {
        true => Ok(()),
        false => bail!("the release build failed"),
    }
}

pub fn document() -> PathBuf {
    tools::workspace().join("docs/benchmarks.md")
}

/// The two servers that are compared, with what the second one needs to run.
struct Pair {
    programs: [Program; 2],
    postgres: Option<Postgres>,
    // Last, so that the directory goes after the processes.
    dir: TempDir,
}

impl Pair {
    /// Both programs, and a data set of `records` that each has its own copy of.
    fn new(options: &Options, records: usize) -> Result<Pair> {
        let dir = TempDir::with_prefix("pando-bench-")?;
        let reference = oracle::program()?;
        data::make(&reference, &dir.path().join("made"), records)?;
        let postgres = match options.engine {
            Engine::Sqlite => None,
            Engine::Postgres => {
                let postgres = Postgres::start(postgres::Options { fsync: true })?;
                machine::pin(postgres.pid(), SERVER_CORE)?;
                Some(postgres)
            }
        };
        let url = postgres.as_ref().map(|p| p.database()).transpose()?;
        let built = built("pando")?;
        let candidate = pando::program(&built.to_string_lossy(), url)?;
        if let Some(postgres) = &postgres {
            data::make_on_postgres(&candidate, &dir.path().join("postgres"), postgres, records)?;
        }
        let programs = [reference, candidate].map(|p| Program { core: Some(SERVER_CORE), ..p });
        Ok(Pair { programs, postgres, dir })
    }

    /// A directory with the data set for one server, fresh for each case so that writes do not add up.
    fn fresh(&self, side: usize) -> Result<PathBuf> {
        if side == 1 && self.postgres.is_some() {
            return Ok(self.dir.path().join("postgres"));
        }
        let dir = self.dir.path().join(format!("side{side}"));
        let _ = std::fs::remove_dir_all(&dir);
        data::copy(&self.dir.path().join("made"), &dir)?;
        Ok(dir)
    }
}

pub fn built(program: &str) -> Result<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| tools::workspace().join("target"), PathBuf::from);
    Ok(target.join("release").join(program))
}

fn chosen(options: &Options) -> impl Iterator<Item = &'static Case> {
    let only = options.only.clone();
    CASES.iter().filter(move |case| case.name.contains(&only))
}

fn compare(options: &Options) -> Result<()> {
    let pair = Pair::new(options, options.records)?;
    let mut report =
        Report::new(options.engine, options.records, options.seconds, options.rounds, &pair.programs);
    for log in [true, false] {
        for case in chosen(options) {
            report.line(case_line(options, &pair, case, log)?);
        }
    }
    for side in 0..2 {
        let (start, rss) = idle(&pair.programs[side], &pair.fresh(side)?)?;
        report.idle(side, start, rss);
    }
    report.print();
    if options.dry { Ok(()) } else { report.write(&document()) }
}

fn case_line(options: &Options, pair: &Pair, case: &'static Case, log: bool) -> Result<Line> {
    let mut servers = Vec::new();
    for side in 0..2 {
        let server = pair.programs[side].serve(&pair.fresh(side)?)?;
        set_log(&server, log)?;
        servers.push(server);
    }
    let mut slices = [Vec::new(), Vec::new()];
    for round in 0..options.rounds {
        for (side, server) in servers.iter().enumerate() {
            let token = cases::token(case, server)?;
            let script = cases::script(case, server.port(), token, options.records, round, pair.dir.path())?;
            if round == 0 {
                wrk::run(server.port(), &script, 1, LOAD_CORE, CONNECTIONS)?;
            }
            std::thread::sleep(Duration::from_millis(300));
            let postgres = if side == 1 { pair.postgres.as_ref() } else { None };
            slices[side].push(measured(server, postgres, &script, options.seconds)?);
        }
    }
    let line = Line { case: case.name, log, sides: slices.map(wrk::median) };
    eprintln!("{line}");
    Ok(line)
}

/// One slice, with the processor time that the server, and its database if it has one, took for it.
fn measured(server: &Server, postgres: Option<&Postgres>, script: &Path, seconds: u64) -> Result<wrk::Slice> {
    let cpu = || machine::cpu_ms(server.pid()) + postgres.map_or(0.0, |p| machine::family_cpu_ms(p.pid()));
    let before = cpu();
    let mut slice = wrk::run(server.port(), script, seconds, LOAD_CORE, CONNECTIONS)?;
    slice.cpu_us = (cpu() - before) * 1000.0 / slice.requests.max(1.0);
    Ok(slice)
}

/// The request log is on by default; both servers turn it off by the same setting.
fn set_log(server: &Server, on: bool) -> Result<()> {
    let token = server.superuser_token()?;
    let days = if on { 5 } else { 0 };
    let body =
        serde_json::json!({"logs": {"maxDays": days, "minLevel": 0, "logIP": true, "logAuthId": false}});
    let answer = server.client().send(&Request::json("PATCH", "/api/settings", &body).token(&token))?;
    if answer.status != 200 {
        bail!("{} refused the setting: {} {}", server.program().name, answer.status, answer.text());
    }
    Ok(())
}

/// Milliseconds from the start to the first answer, and the resident memory after it, in MiB: medians of five.
fn idle(program: &Program, dir: &Path) -> Result<(f64, f64)> {
    let mut samples = Vec::new();
    for _ in 0..5 {
        let begin = Instant::now();
        let server = program.serve(dir)?;
        let start = begin.elapsed().as_secs_f64() * 1000.0;
        std::thread::sleep(Duration::from_secs(1));
        samples.push((start, machine::rss_mib(server.pid())));
    }
    let middle = |of: fn(&(f64, f64)) -> f64| wrk::middle(samples.iter().map(of).collect());
    Ok((middle(|s| s.0), middle(|s| s.1)))
}

/// What a hundred times more records cost each request.
fn growth(options: &Options) -> Result<()> {
    let mut growth = Growth::new(options.engine);
    for records in GROWTH {
        let pair = Pair::new(options, records)?;
        let sized = Options { records, engine: options.engine, only: options.only.clone(), ..*options };
        for case in chosen(options) {
            growth.line(records, case_line(&sized, &pair, case, true)?);
        }
    }
    growth.print();
    if options.dry { Ok(()) } else { growth.write(&document()) }
}
