//! `--floor`: the processor time of a web node per request on PostgreSQL, beside the least that a program can do which
//! answers the same from the same database (`xtask/floor`). All on one machine, in turn: the measured process has a
//! core to itself, the load and the database share the other one.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use tempfile::TempDir;
use testkit::pando;
use testkit::postgres::{self, Postgres};
use testkit::{Program, Request, Server};

use super::cases::{self, Case};
use super::{CONNECTIONS, LOAD_CORE, Options, SERVER_CORE, data, machine, report, wrk};

/// What the floor can answer.
const ANSWERED: [&str; 4] = ["view", "view under a rule", "list: filter and sort, 30", "create"];
/// Who is measured, in turn: the floor, Pando without and with its request log.
const SIDES: [&str; 3] = ["floor", "Pando, request log off", "Pando, request log on"];
/// How long work that was put off until after the load is waited for.
const SETTLE_MAX: Duration = Duration::from_secs(10);

/// One slice of one side.
struct Measured {
    slice: wrk::Slice,
    /// Of the database, per request.
    database_us: f64,
}

pub fn run(options: &Options) -> Result<()> {
    let dir = TempDir::with_prefix("pando-floor-")?;
    let postgres = Postgres::start(postgres::Options { fsync: true })?;
    machine::pin(postgres.pid(), LOAD_CORE)?;
    let url = postgres.database()?;
    let pando = Program {
        core: Some(SERVER_CORE),
        ..pando::program(&super::built("pando")?.to_string_lossy(), Some(url))?
    };
    data::make_on_postgres(&pando, &dir.path().join("pando"), &postgres, options.records)?;
    let floor = Program { name: "floor".into(), path: super::built("floor")?, ..pando.clone() };
    let servers = [floor.serve(&dir.path().join("floor"))?, pando.serve(&dir.path().join("pando"))?];
    let mut rows = String::new();
    for case in super::chosen(options).filter(|case| ANSWERED.contains(&case.name)) {
        let mut sides: [Vec<Measured>; 3] = Default::default();
        for round in 0..options.rounds {
            for (side, measured) in sides.iter_mut().enumerate() {
                measured.push(one(options, case, &servers, side, round, &postgres, &dir)?);
            }
        }
        let line = line(case, &sides);
        eprint!("{line}");
        rows += &line;
    }
    let how = format!(
        "Processor time of one web node (user and system), {} records, {CONNECTIONS} connections, medians of {} slices of {} s in \
         turn; the measured process alone on one core, PostgreSQL and the load on the other",
        options.records, options.rounds, options.seconds
    );
    let text = format!(
        "{}{}\n| case | floor, µs | Pando, log off, µs | ratio | Pando, log on, µs | ratio | requests/s: floor | log off | log on | \
         PostgreSQL, µs: floor | log off | log on |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n{rows}",
        report::conditions(&how),
        FAIR
    );
    println!("{text}");
    report::write(options, "CPU per request against a floor", &text)
}

/// What the floor does and leaves out, below the conditions.
const FAIR: &str = "\
The floor is hyper as Pando drives it, tokio-postgres with a pool as large as Pando's, and one prepared statement per \
request whose JSON text goes straight into the answer (create: one `INSERT … RETURNING`, unchecked). Under the rule it \
checks a token's signature once and remembers it, as Pando does, and joins the caller's row in the same statement.
";

fn one(
    options: &Options,
    case: &'static Case,
    servers: &[Server; 2],
    side: usize,
    round: usize,
    postgres: &Postgres,
    dir: &TempDir,
) -> Result<Measured> {
    let [_, pando] = servers;
    let server = &servers[side.min(1)];
    if side > 0 {
        super::set_log(pando, side == 2)?;
    }
    let token = cases::token(case, pando)?;
    let script = cases::script(case, server.port(), token, options.records, round * 3 + side, dir.path())?;
    if round == 0 {
        check(server, case)?;
        wrk::run(server.port(), &script, 1, LOAD_CORE, CONNECTIONS)?;
    }
    settle(server)?;
    let (before, database) = (machine::cpu_ms(server.pid()), machine::family_cpu_ms(postgres.pid()));
    let mut slice = wrk::run(server.port(), &script, options.seconds, LOAD_CORE, CONNECTIONS)?;
    let database = machine::family_cpu_ms(postgres.pid()) - database;
    // What was put off, such as the request log's rows, counts as well.
    settle(server)?;
    ensure!(slice.failed == 0.0, "{}: {} requests of `{}` failed", SIDES[side], slice.failed, case.name);
    let each = |ms: f64| ms * 1000.0 / slice.requests.max(1.0);
    let (own, database_us) = (each(machine::cpu_ms(server.pid()) - before), each(database));
    slice.cpu_us = own;
    eprintln!("  {}: {}: {own:.1} µs, {:.0}/s", case.name, SIDES[side], slice.rate);
    Ok(Measured { slice, database_us })
}

/// Both sides have to know the records before anything is measured.
fn check(server: &Server, case: &Case) -> Result<()> {
    if case.owned || case.name == "create" {
        return Ok(());
    }
    let answer = server.client().send(&Request::get("/api/collections/posts/records/p00000000000001"))?;
    if answer.status != 200 || answer.json()["title"] != "Post 1" {
        bail!("{} answers {} {}", server.program().name, answer.status, answer.text());
    }
    Ok(())
}

/// Waits until the process has next to nothing to do.
fn settle(server: &Server) -> Result<()> {
    let until = Instant::now() + SETTLE_MAX;
    let mut quiet = 0;
    while quiet < 4 && Instant::now() < until {
        let before = machine::cpu_ms(server.pid());
        std::thread::sleep(Duration::from_millis(300));
        quiet = if machine::cpu_ms(server.pid()) - before < 15.0 { quiet + 1 } else { 0 };
    }
    Ok(())
}

fn line(case: &Case, sides: &[Vec<Measured>; 3]) -> String {
    let of = |side: usize, get: fn(&Measured) -> f64| wrk::middle(sides[side].iter().map(get).collect());
    let [floor, off, on] = [0, 1, 2].map(|side| of(side, |m| m.slice.cpu_us));
    let mut text = format!(
        "| {} | {floor:.1} | {off:.1} | {:.2} | {on:.1} | {:.2} |",
        case.name,
        off / floor.max(0.1),
        on / floor.max(0.1)
    );
    for side in 0..3 {
        let _ = write!(text, " {:.0} |", of(side, |m| m.slice.rate));
    }
    for side in 0..3 {
        let _ = write!(text, " {:.0} |", of(side, |m| m.database_us));
    }
    text.push('\n');
    text
}
