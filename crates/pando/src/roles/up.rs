//! `pando up`, `status`, `down`, `promote`, `rejoin` and `restart`: a topology as processes on this machine. No configuration is read: a
//! topology says everything, and the nodes have theirs by arguments.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cluster::{Cluster, Programs, Request, Status, Topology};
use observe::messages::{Format, Speaker};

use crate::cli::{Cli, Command, Up};

/// Where topologies have their directories unless one is named.
const HOME: &str = "pando_up";
/// How often dead nodes are looked for.
const LOOK: Duration = Duration::from_millis(100);

/// Runs the command if it is one of these.
pub fn run(cli: &Cli) -> Option<Result<()>> {
    let named = cli.common.dir.as_deref();
    match &cli.command {
        Command::Up(command) => Some(up(command, named)),
        Command::Status(which) => Some(dir(which.name.as_deref(), named).and_then(|dir| status(&dir))),
        Command::Down(which) => Some(dir(which.name.as_deref(), named).and_then(|dir| down(&dir))),
        Command::Promote { node } => Some(dir(None, named).and_then(|dir| ask(&dir, Request::Promote(node)))),
        Command::Rejoin { node } => Some(dir(None, named).and_then(|dir| ask(&dir, Request::Rejoin(node)))),
        Command::Restart { node } => Some(dir(None, named).and_then(|dir| ask(&dir, Request::Restart(node)))),
        _ => None,
    }
}

fn ask(dir: &Path, request: Request<'_>) -> Result<()> {
    println!("{}", cluster::ask(dir, request)?);
    Ok(())
}

fn up(command: &Up, dir: Option<&Path>) -> Result<()> {
    let speaker = Speaker { node: "local".into(), role: "up" };
    observe::messages::init("info", Format::Text, speaker, observe::RequestLog::default());
    let mut topology = Topology::read(&command.topology)?;
    if command.no_limits {
        topology = topology.unlimited();
    }
    let dir = dir.map_or_else(|| Path::new(HOME).join(&topology.name), Path::to_path_buf);
    let programs = Programs::find(std::env::current_exe().context("cannot tell which program this is")?);
    let stop = stopped()?;
    println!("Starting {} in {}", topology.name, dir.display());
    let started = Cluster::start_unless(&topology, &dir, &programs, &stop);
    let cluster = match started {
        Err(_) if stop.load(Ordering::Relaxed) => return Ok(()),
        started => started?,
    };
    println!("{}", cluster.status());
    for node in cluster.entrances() {
        println!("API: http://{}/api/", node.address());
    }
    println!("See `pando status --dir {0}`; Ctrl-C or `pando down --dir {0}` stops it.", dir.display());
    let control = cluster.control()?;
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
        if let Some(done) = cluster.answer(&control) {
            tracing::info!("{done}");
        }
        for event in cluster.tend(!command.no_supervise) {
            tracing::warn!("{event}");
        }
    }
    println!("Stopping {}", topology.name);
    cluster.stop()?;
    Ok(())
}

fn status(dir: &Path) -> Result<()> {
    let status = Status::read(dir)?;
    if !status.is_up {
        println!("{} is not running", status.name);
    }
    print!("{status}");
    Ok(())
}

fn down(dir: &Path) -> Result<()> {
    println!("{}", cluster::down(dir)?);
    Ok(())
}

/// True from the first signal to end on.
fn stopped() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = stop.clone();
    let wait = move || {
        runtime.block_on(super::node::signal());
        seen.store(true, Ordering::Relaxed);
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait)?;
    Ok(stop)
}

/// The directory that a command means: named, by its topology's name, or the only one there is.
fn dir(name: Option<&str>, named: Option<&Path>) -> Result<PathBuf> {
    let home = Path::new(HOME);
    match (named, name) {
        (Some(dir), _) => return Ok(dir.to_path_buf()),
        (None, Some(name)) => return Ok(home.join(name)),
        (None, None) => {}
    }
    let entries = std::fs::read_dir(home).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    found.sort();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => bail!("there is no topology in ./{HOME}: name its directory with --dir"),
        several => {
            let names: Vec<String> =
                several.iter().filter_map(|path| Some(path.file_name()?.to_str()?.into())).collect();
            bail!("which one? {}", names.join(", "))
        }
    }
}
