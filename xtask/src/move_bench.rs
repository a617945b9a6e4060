//! `cargo xtask move-bench`: how long a move of a million records takes while a client writes, and how long it waits.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use testkit::postgres::{Options, Postgres};
use testkit::{Client, Program, Request, Server, tools};

/// What one statement of the console makes.
const CHUNK: u64 = 50_000;
const AUTHORS: u64 = 1_000;

struct Wanted {
    records: u64,
    writes_per_second: u64,
    release: bool,
    build: bool,
}

fn wanted(args: &[String]) -> Result<Wanted> {
    let mut wanted = Wanted { records: 1_000_000, writes_per_second: 100, release: true, build: true };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--records" => wanted.records = value()?.parse()?,
            "--writes" => wanted.writes_per_second = value()?.parse()?,
            "--debug" => wanted.release = false,
            "--no-build" => wanted.build = false,
            other => bail!("no option {other}"),
        }
    }
    Ok(wanted)
}

pub fn run(args: &[String]) -> Result<()> {
    let wanted = wanted(args)?;
    let profile = if wanted.release { "release" } else { "debug" };
    if wanted.build {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(tools::workspace()).args(["build", "-p", "pando"]);
        if !cargo.args(wanted.release.then_some("--release")).status()?.success() {
            bail!("the build failed");
        }
    }
    let path = tools::root().with_file_name(profile).join("pando");
    let program = Program {
        name: "pando".into(),
        path: path.clone(),
        role: "serve",
        data: None,
        core: None,
        options: Vec::new(),
        variables: Vec::new(),
    };
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let postgres = Postgres::start(Options { fsync: true })?;
    let url = postgres.database()?;
    let server = program.start(&data)?;
    fill(&server, wanted.records)?;
    println!(
        "{profile} build, {} records, one client with {} writes a second",
        wanted.records, wanted.writes_per_second
    );
    for (name, to) in [("to PostgreSQL", url), ("back to SQLite", data.display().to_string())] {
        let writer = Writer::start(server.port(), wanted.writes_per_second);
        let begun = Instant::now();
        let said = moved(&path, &data, &to)?;
        let took = begun.elapsed();
        let (writes, longest) = writer.end()?;
        println!(
            "{name}: {:.1} s in all; {writes} writes meanwhile, the slowest took {} ms",
            took.as_secs_f64(),
            longest.as_millis()
        );
        for line in said.lines().filter(|line| {
            line.starts_with("Moved") || line.contains("meanwhile") || line.contains("articles")
        }) {
            println!("  {}", line.trim());
        }
    }
    Ok(())
}

fn moved(program: &Path, data: &PathBuf, to: &str) -> Result<String> {
    let out = Command::new(program).args(["move", "--dir"]).arg(data).args(["--to", to]).output()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    match out.status.success() {
        true => Ok(text),
        false => bail!("{text}{}", String::from_utf8_lossy(&out.stderr)),
    }
}

fn fill(server: &Server, records: u64) -> Result<()> {
    let (token, client) = (server.superuser_token()?, server.client().with_timeout(Duration::from_secs(120)));
    let post = |path: &str, body: serde_json::Value| -> Result<()> {
        let answer = client.send(&Request::json("POST", path, &body).token(&token))?;
        if answer.status >= 300 {
            bail!("{path}: {}", answer.text());
        }
        Ok(())
    };
    post(
        "/api/collections",
        json!({"id": "fauthors0000001", "name": "authors", "type": "base", "fields": [{"name": "name", "type": "text"}]}),
    )?;
    post(
        "/api/collections",
        json!({"name": "articles", "type": "base", "listRule": "", "viewRule": "", "createRule": "", "fields": [
        {"name": "title", "type": "text"}, {"name": "n", "type": "number"}, {"name": "ok", "type": "bool"},
        {"name": "author", "type": "relation", "collectionId": "fauthors0000001"}, {"name": "at", "type": "date"},
    ], "indexes": ["CREATE INDEX idx_articles_n ON articles (n)", "CREATE INDEX idx_articles_author ON articles (author)"]}),
    )?;
    let numbers = |from: u64, to: u64| {
        format!("WITH RECURSIVE c(x) AS (SELECT {from} UNION ALL SELECT x+1 FROM c WHERE x<{})", to - 1)
    };
    post(
        "/api/sql",
        json!({"query": format!("INSERT INTO authors (id, name) {} SELECT printf('a%014d', x), 'Author ' || x FROM c", numbers(0, AUTHORS))}),
    )?;
    let mut from = 0;
    while from < records {
        let to = (from + CHUNK).min(records);
        post(
            "/api/sql",
            json!({"query": format!(
                "INSERT INTO articles (id, title, n, ok, author, at) {} SELECT printf('r%014d', x*7919%{records}), 'An article with the number ' || x, x*37%1000, x%2, \
                 printf('a%014d', x%{AUTHORS}), '2024-01-01 00:00:00.000Z' FROM c",
                numbers(from, to)
            )}),
        )?;
        from = to;
    }
    Ok(())
}

/// Creates records at a bounded rate, and knows how long the slowest took.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Result<(u64, Duration)>>,
}

impl Writer {
    fn start(port: u16, per_second: u64) -> Writer {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let pause = Duration::from_micros(1_000_000 / per_second.max(1));
        let thread = std::thread::spawn(move || {
            let (client, mut writes, mut longest) = (Client::new(port), 0, Duration::ZERO);
            while !stopped.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let body = json!({"title": "written meanwhile", "n": writes});
                let answer =
                    client.send(&Request::json("POST", "/api/collections/articles/records", &body))?;
                if answer.status != 200 {
                    bail!("a write failed: {} {}", answer.status, answer.text());
                }
                let took = begun.elapsed();
                (writes, longest) = (writes + 1, longest.max(took));
                std::thread::sleep(pause.saturating_sub(took));
            }
            Ok((writes, longest))
        });
        Writer { stop, thread }
    }

    fn end(self) -> Result<(u64, Duration)> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|_| bail!("the writer panicked"))
    }
}
