//! The project's chores, one command each. Never part of what ships.

mod bench;
mod faults;
mod http_cache;
mod licences;
mod move_bench;
mod needs;
mod queue_bench;
mod scale;
mod test;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask COMMAND

  test       check the tools, then format, tidy, licences, lint and every test
             [--tests] [substring of test names]
  tidy       layering, purity, file length, forbidden words, unused dependencies
  licences   every dependency's licence against deny.toml
  bench      Pando against PocketBase on one core; writes docs/benchmarks.md
             [--postgres] [--floor] [--growth] [--cluster-cache] [--realtime-nodes] [--purge] [--nodes N] [--records N] [--seconds S] [--rounds R] [--only CASE] [--no-build] [--dry]
             --edge: an edge's hits beside Varnish and nginx
             --eyes: what figures, the system page and the request log cost
             --balance: the balancer beside HAProxy and nginx
             --queue: jobs with each engine of the queue, and with workers killed [--jobs N] [--killed N] [--debug]
             --http-cache: what Pando, Varnish and nginx do with the rules of HTTP, test by test [--no-build]
  scale      what more web nodes and more replicas buy, in small shares of a core; writes docs/benchmarks.md
             [--only nodes|replicas] [--most N] [--node-cpu C] [--database-cpu C] [--seconds S] [--rounds R] [--no-build] [--dry]
  move-bench a move of a million records to PostgreSQL and back while a client writes
             [--records N] [--writes N] [--debug] [--no-build]
  faults     processes of a cluster under load killed, frozen and cut off in turn; proves that nothing is lost
             [--minutes N] [--only primary/kill] [--replicas N] [--patroni] [--no-network] [--release] [--no-build]
             [--front N]: N balancers and N edges before the web nodes; what happens to either while clients count failures
             [--sessions REQUESTS]: no faults, but callers that read what they wrote through other nodes' caches
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<()> {
    match args.first().map(String::as_str) {
        Some("test") => test::run(&args[1..]),
        Some("tidy") => tidy(),
        Some("bench") if args.iter().any(|arg| arg == "--queue") => queue_bench::run(&args[1..]),
        Some("bench") if args.iter().any(|arg| arg == "--http-cache") => http_cache::run(&args[1..]),
        Some("bench") => bench::run(&args[1..]),
        Some("scale") => scale::run(&args[1..]),
        Some("move-bench") => move_bench::run(&args[1..]),
        Some("faults") => faults::run(&args[1..]),
        Some("licences") => licences::run(),
        Some("help" | "--help" | "-h") | None => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => bail!("no command `{other}`\n\n{HELP}"),
    }
}

fn tidy() -> Result<()> {
    let found = testkit::tidy::check(&testkit::tools::workspace());
    if found.is_empty() {
        return Ok(());
    }
    for breach in &found {
        println!("{breach}");
    }
    bail!("{} breaches of the house rules", found.len())
}
