//! `cargo xtask bench --queue`: how fast jobs are done, with each engine of the queue, beside JetStream alone on the same
//! machine; and whether all are done when workers are killed under way. A job is the call of an address, which notes it.

mod called;
mod stream;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use testkit::http::Client;
use testkit::nats::Nats;
use testkit::pando;
use testkit::postgres::{self, Postgres};
use testkit::{Request, Server, tools};

use self::called::Called;
use crate::bench;

const WAIT: Duration = Duration::from_secs(900);
const CALL: &str = r#"{"kind":"cron","id":"call"}"#;
/// Calls at a time in each process.
const CONCURRENCY: usize = 16;
/// Jobs whose way is timed, one after the other.
const TIMED: usize = 200;
/// Workers of which one is killed now and then.
const KILLED_AMONG: usize = 3;

struct Options {
    /// For the throughput.
    jobs: usize,
    /// While workers are killed.
    killed: usize,
    debug: bool,
    build: bool,
    dry: bool,
}

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options { jobs: 10_000, killed: 100_000, debug: false, build: true, dry: false };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--queue" => {}
            "--jobs" => options.jobs = value()?.parse()?,
            "--killed" => options.killed = value()?.parse()?,
            "--debug" => options.debug = true,
            "--no-build" => options.build = false,
            "--dry" => options.dry = true,
            other => bail!("no option {other}"),
        }
    }
    Ok(options)
}

/// Where jobs are kept and how they travel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Setup {
    Sqlite,
    Postgres,
    Nats,
}

impl Setup {
    fn name(self) -> &'static str {
        match self {
            Setup::Sqlite => "embedded, on SQLite in `pando serve`",
            Setup::Postgres => "embedded, on PostgreSQL in one worker",
            Setup::Nats => "NATS and PostgreSQL, in one worker",
        }
    }
}

/// All that runs for one setup.
struct Rig {
    setup: Setup,
    program: PathBuf,
    called: Called,
    postgres: Option<Postgres>,
    url: Option<String>,
    // Runs for as long as the rig.
    _nats: Option<Nats>,
    // Last, so that it goes after the processes.
    dir: tempfile::TempDir,
}

pub fn run(args: &[String]) -> Result<()> {
    let options = options(args)?;
    let profile = if options.debug { "debug" } else { "release" };
    if options.build {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(tools::workspace()).args(["build", "-p", "pando", "--bin", "pando"]);
        if !options.debug {
            cargo.arg("--release");
        }
        if !cargo.status()?.success() {
            bail!("the build failed");
        }
    }
    let program = tools::workspace().join("target").join(profile).join("pando");
    let how = format!(
        "a job calls an address on the same machine; {CONCURRENCY} at a time; {profile} build; servers sync every write"
    );
    let mut text = bench::conditions(&how);
    text +=
        "| engine | jobs per second | from the write to the call, p50 | p99 |\n| --- | --- | --- | --- |\n";
    for setup in [Setup::Sqlite, Setup::Postgres, Setup::Nats] {
        let rig = Rig::new(setup, &program)?;
        let (p50, p99) = rig.latency()?;
        let rate = rig.throughput(options.jobs)?;
        let line = format!("| {} | {rate:.0} | {p50:.1} ms | {p99:.1} ms |\n", setup.name());
        print!("{line}");
        text += &line;
    }
    let raw = stream::measure(options.jobs, TIMED)?;
    let line = format!(
        "| JetStream alone: published, pulled, acknowledged | {:.0} | {:.1} ms | {:.1} ms |\n",
        raw.rate, raw.p50_ms, raw.p99_ms
    );
    print!("{line}");
    text += &line;
    text += "\n| workers killed at random | jobs | lost | done twice | kills | seconds |\n| --- | --- | --- | --- | --- | --- |\n";
    for setup in [Setup::Postgres, Setup::Nats] {
        let line = Rig::new(setup, &program)?.killed(options.killed)?;
        print!("{line}");
        text += &line;
    }
    match options.dry {
        true => Ok(()),
        false => bench::section(&bench::document(), "Jobs", &text),
    }
}

impl Rig {
    fn new(setup: Setup, program: &Path) -> Result<Rig> {
        let dir = tempfile::TempDir::with_prefix("pando-queue-")?;
        let called = Called::start()?;
        let postgres = match setup {
            Setup::Sqlite => None,
            _ => Some(Postgres::start(postgres::Options { fsync: true })?),
        };
        let url = postgres.as_ref().map(Postgres::database).transpose()?;
        let nats = match setup {
            Setup::Nats => Some(Nats::start(&dir.path().join("nats"))?),
            _ => None,
        };
        let mut config = format!("[queues.crons]\nconcurrency = {CONCURRENCY}\n");
        let _ = writeln!(config, "[[crons]]\nid = 'call'\nschedule = '0 0 1 1 *'\nurl = '{}'", called.url());
        // On PostgreSQL the node that is asked only makes jobs.
        if setup != Setup::Sqlite {
            config += "[jobs]\nrun = false\n";
        }
        if let Some(nats) = &nats {
            let _ = writeln!(config, "[bus]\nurl = '{}'\n[queue]\nengine = 'nats'", nats.url());
        }
        std::fs::write(dir.path().join("pando.toml"), config)?;
        Ok(Rig { setup, program: program.to_owned(), called, postgres, url, _nats: nats, dir })
    }

    fn config(&self) -> String {
        self.dir.path().join("pando.toml").display().to_string()
    }

    /// Who takes requests.
    fn node(&self) -> Result<Server> {
        let mut node = pando::program(&self.program.to_string_lossy(), self.url.clone())?;
        if self.setup != Setup::Sqlite {
            node.role = "web";
        }
        node.options = vec!["--config".into(), self.config()];
        node.start(&self.dir.path().join("node"))
    }

    /// Who does jobs; on SQLite the node does.
    fn worker(&self) -> Result<Option<Worker>> {
        let Some(url) = &self.url else { return Ok(None) };
        let port = tools::free_port();
        let mut command = Command::new(&self.program);
        command.args(["worker", "--data", url, "--config", &self.config()]);
        command.args(["--http", &format!("127.0.0.1:{port}")]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let worker = Worker(child);
        wait("a worker", || {
            Client::new(port).send(&Request::get("/readyz")).is_ok_and(|answer| answer.status == 200)
        })?;
        Ok(Some(worker))
    }

    fn sql(&self, sql: &str) -> Result<String> {
        match (&self.postgres, &self.url) {
            (Some(postgres), Some(url)) => postgres
                .sql(url.rsplit('/').next().unwrap_or_default(), sql)
                .map(|text| text.trim().to_owned()),
            _ => {
                let database = self.dir.path().join("node/data.db");
                let mut sqlite = Command::new("sqlite3");
                sqlite.args(["-cmd", ".timeout 30000"]).arg(database).arg(sql);
                Ok(tools::run(&mut sqlite)?.trim().to_owned())
            }
        }
    }

    fn add(&self, jobs: usize) -> Result<()> {
        let insert = "INSERT INTO _pando_jobs (id, queue, payload)";
        let sql = match self.postgres {
            Some(_) => {
                format!("{insert} SELECT 'job-' || n, 'crons', '{CALL}' FROM generate_series(1, {jobs}) AS n")
            }
            None => format!(
                "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {jobs}) \
                 {insert} SELECT 'job-' || n, 'crons', '{CALL}' FROM s"
            ),
        };
        self.sql(&sql).map(drop)
    }

    fn left(&self) -> Result<usize> {
        Ok(self.sql("SELECT count(*) FROM _pando_jobs")?.parse()?)
    }

    /// From a request that makes a job to the job's call: p50 and p99 in milliseconds.
    fn latency(&self) -> Result<(f64, f64)> {
        let node = self.node()?;
        let token = node.superuser_token()?;
        let _worker = self.worker()?;
        let mut times = Vec::with_capacity(TIMED);
        for round in 0..TIMED {
            let before = self.called.count();
            let began = Instant::now();
            let request = Request::new("POST", "/api/crons/call").token(&token);
            let status = node.client().send(&request)?.status;
            if status != 204 {
                bail!("a job was refused with {status}");
            }
            let at = self.called.wait_beyond(before, WAIT).with_context(|| format!("round {round}"))?;
            times.push((at - began).as_secs_f64() * 1e3);
        }
        Ok(quantiles(times))
    }

    fn throughput(&self, jobs: usize) -> Result<f64> {
        let _node = if self.setup == Setup::Sqlite { Some(self.node()?) } else { None };
        let _worker = self.worker()?;
        let before = self.called.count();
        self.add(jobs)?;
        let first = self.called.wait_beyond(before, WAIT)?;
        self.called.wait_beyond(before + jobs - 1, WAIT)?;
        let took = first.elapsed();
        wait("the rows to be gone", || self.left().is_ok_and(|left| left == 0))?;
        Ok(jobs as f64 / took.as_secs_f64())
    }

    fn killed(&self, jobs: usize) -> Result<String> {
        let start = || self.worker()?.context("no worker");
        let mut workers = (0..KILLED_AMONG).map(|_| start()).collect::<Result<Vec<_>>>()?;
        let before = self.called.count();
        let began = Instant::now();
        self.add(jobs)?;
        let mut kills = 0;
        let mut next = Instant::now() + Duration::from_secs(2);
        while self.left()? > 0 {
            if began.elapsed() > WAIT {
                bail!("{} jobs are left", self.left()?);
            }
            // No more are killed when what is left is little, so that it ends.
            if Instant::now() > next && self.called.count() - before < jobs * 9 / 10 {
                let at = kills % KILLED_AMONG;
                workers[at].0.kill()?;
                workers[at] = start()?;
                kills += 1;
                let jitter = began.elapsed().subsec_millis() % 2_000;
                next = Instant::now() + Duration::from_millis(1_000 + u64::from(jitter));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let took = began.elapsed().as_secs();
        let (calls, once) = self.called.counts("job-");
        let (lost, twice) = (jobs - once.min(jobs), calls - once);
        Ok(format!("| {} | {jobs} | {lost} | {twice} | {kills} | {took} |\n", self.setup.name()))
    }
}

/// Ends with what is dropped.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let until = Instant::now() + WAIT;
    while !holds() {
        if Instant::now() > until {
            bail!("waited too long for {what}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// p50 and p99.
fn quantiles(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times.get(((times.len() as f64 - 1.0) * part) as usize).copied().unwrap_or_default();
    (at(0.5), at(0.99))
}
