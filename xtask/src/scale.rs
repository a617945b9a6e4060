//! `cargo xtask scale`: what another web node, and another replica of the database, buys. Every node has the same
//! small share of a core, so that one machine can hold eight of them without any being in another's way. Measures and
//! reports; asserts nothing.

mod machine;
pub mod rig;

use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use cluster::topology::{Database, Engine, Web};
use cluster::{Programs, Topology};
use testkit::tools;

use crate::bench::{conditions, section, wrk};
use rig::{Load, Rig, Slice};

/// Web nodes of each row.
const NODES: [u32; 4] = [1, 2, 4, 8];
/// Standbys of each row.
const REPLICAS: [u32; 3] = [1, 2, 3];
/// Web nodes in front of the standbys, which may take what they need.
const FRONT: u32 = 2;
/// Connections to each web node.
pub const CONNECTIONS: usize = 16;
/// A tier that uses this much of its share is what bounds the row.
const FULL: f64 = 0.85;

/// What is asked of the nodes.
const NODE_LOADS: [Load; 2] = [
    Load { name: "view under a rule", request: "view()" },
    Load { name: "8 views, 1 list of 30, 1 create", request: "mixed()" },
];
/// What is asked of the databases: counting is nearly all theirs.
const DATABASE_LOAD: Load = Load { name: "list of 30 with total", request: "total()" };

pub struct Options {
    /// The share of a core that each web node has where nodes are counted,
    node_cpu: f64,
    /// and each database where replicas are.
    database_cpu: f64,
    /// The most nodes or replicas.
    most: u32,
    seconds: u64,
    rounds: usize,
    only: String,
    build: bool,
    dry: bool,
}

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options {
        node_cpu: 0.06,
        database_cpu: 0.15,
        most: 8,
        seconds: 6,
        rounds: 3,
        only: String::new(),
        build: true,
        dry: false,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--node-cpu" => options.node_cpu = value()?.parse()?,
            "--database-cpu" => options.database_cpu = value()?.parse()?,
            "--most" => options.most = value()?.parse()?,
            "--seconds" => options.seconds = value()?.parse()?,
            "--rounds" => options.rounds = value()?.parse()?,
            "--only" => options.only = value()?.clone(),
            "--no-build" => options.build = false,
            "--dry" => options.dry = true,
            other => bail!("no option {other}"),
        }
    }
    if !["", "nodes", "replicas"].contains(&&*options.only) {
        bail!("--only is nodes or replicas");
    }
    Ok(options)
}

pub fn run(args: &[String]) -> Result<()> {
    let options = options(args)?;
    if tools::run(std::process::Command::new("which").arg("wrk")).is_err() {
        bail!("scale needs wrk (apt-get install wrk)");
    }
    if options.build {
        crate::bench::build()?;
    }
    let programs = Programs::find(crate::bench::built("pando")?);
    if options.only != "replicas" {
        let text = nodes(&options, &programs)?;
        println!("{text}");
        write(&options, "Web nodes on PostgreSQL", &text)?;
    }
    if options.only != "nodes" {
        let text = replicas(&options, &programs)?;
        println!("{text}");
        write(&options, "Replicas of PostgreSQL", &text)?;
    }
    Ok(())
}

fn write(options: &Options, name: &str, text: &str) -> Result<()> {
    match options.dry {
        true => Ok(()),
        false => section(&crate::bench::document(), name, text),
    }
}

fn nodes(options: &Options, programs: &Programs) -> Result<String> {
    let how = format!(
        "Web nodes of {} core each (a cgroup's quota) on one PostgreSQL, which may take what it needs; {CONNECTIONS} \
         connections to each node; medians of {} slices of {} s",
        options.node_cpu, options.rounds, options.seconds
    );
    let mut rows: Vec<Row> = Vec::new();
    for count in NODES.into_iter().filter(|count| *count <= options.most) {
        let rig = Rig::start(&topology("nodes", count, Some(options.node_cpu), 0, None), programs)?;
        for load in &NODE_LOADS {
            rows.push(row(options, &rig, load, count)?);
        }
    }
    let mut text = conditions(&how);
    text.push_str(
        "| load | nodes | requests/s | of n times one | p50 ms | p99 ms | CPU µs per request: node | database | share used: \
         nodes | database, cores | load, cores | machine | bound by |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n",
    );
    for load in &NODE_LOADS {
        table(&mut text, rows.iter().filter(|row| row.load == load.name), Tier::Nodes, options.node_cpu);
    }
    Ok(text)
}

fn replicas(options: &Options, programs: &Programs) -> Result<String> {
    let how = format!(
        "Databases of {} core each (a cgroup's quota), the primary among them, behind {FRONT} web nodes that may \
         take what they need; {CONNECTIONS} connections to each node; medians of {} slices of {} s; load: {}",
        options.database_cpu, options.rounds, options.seconds, DATABASE_LOAD.name
    );
    let mut rows = Vec::new();
    for count in REPLICAS.into_iter().filter(|count| *count <= options.most) {
        let rig =
            Rig::start(&topology("replicas", FRONT, None, count, Some(options.database_cpu)), programs)?;
        rows.push(row(options, &rig, &DATABASE_LOAD, count)?);
    }
    let mut text = conditions(&how);
    text.push_str(
        "| load | replicas | requests/s | of n times one | p50 ms | p99 ms | CPU µs per request: node | database | nodes, \
         cores | share used: replicas | load, cores | machine | bound by |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n",
    );
    table(&mut text, rows.iter(), Tier::Replicas, options.database_cpu);
    Ok(text)
}

fn topology(name: &str, nodes: u32, node: Option<f64>, replicas: u32, database: Option<f64>) -> Topology {
    Topology {
        name: format!("scale-{name}"),
        web: Web { nodes, port: 0, cpu: node, ..Web::default() },
        database: Database { engine: Engine::Postgres, replicas, cpu: database, ..Database::default() },
        ..Topology::default()
    }
}

/// Which tier has quotas.
#[derive(Clone, Copy, PartialEq)]
enum Tier {
    Nodes,
    Replicas,
}

struct Row {
    load: &'static str,
    count: u32,
    slice: Slice,
}

fn row(options: &Options, rig: &Rig, load: &'static Load, count: u32) -> Result<Row> {
    rig.load(load, 0, 3)?;
    let mut slices = Vec::new();
    for round in 0..options.rounds {
        slices.push(rig.load(load, round + 1, options.seconds)?);
    }
    let slice = Slice::median(&slices);
    eprintln!("  {}: {count}: {slice:?}", load.name);
    Ok(Row { load: load.name, count, slice })
}

/// The rows of one load; the first one is what the others are measured against.
fn table<'r>(text: &mut String, rows: impl Iterator<Item = &'r Row>, tier: Tier, cpu: f64) {
    let mut first = None;
    for Row { load, count, slice: s } in rows {
        let one = *first.get_or_insert(s.rate / f64::from(*count));
        let (nodes, databases) = match tier {
            Tier::Nodes => (percent(s.nodes / (cpu * f64::from(*count))), format!("{:.2}", s.databases)),
            Tier::Replicas => (format!("{:.2}", s.nodes), percent(s.replicas / (cpu * f64::from(*count)))),
        };
        let _ = writeln!(
            text,
            "| {load} | {count} | {:.0} | {:.2} | {:.1} | {:.1} | {:.1} | {:.1} | {nodes} | {databases} | {:.2} | {} | {} |",
            s.rate,
            s.rate / (one * f64::from(*count)),
            s.p50_ms,
            s.p99_ms,
            s.nodes * 1e6 / s.rate.max(1.0),
            s.databases * 1e6 / s.rate.max(1.0),
            s.load,
            percent(s.machine),
            bound(s, tier, *count, cpu)
        );
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// The first tier that has nothing left.
fn bound(slice: &Slice, tier: Tier, count: u32, cpu: f64) -> &'static str {
    let full = |used: f64, nodes: u32| used >= cpu * f64::from(nodes) * FULL;
    match tier {
        _ if slice.machine >= 0.95 => "the machine",
        Tier::Nodes if full(slice.nodes, count) => "the nodes",
        Tier::Replicas if full(slice.replicas, count) => "the replicas",
        Tier::Replicas if full(slice.primary, 1) => "the primary",
        _ => "waiting",
    }
}
