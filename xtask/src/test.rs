//! `cargo xtask test`: everything that must hold, in the order in which it fails fastest.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{licences, needs};

/// Arguments are handed to the test runner, for example a substring of test names; `--tests` as the first one
/// leaves out all that comes before the tests.
pub fn run(args: &[String]) -> Result<()> {
    let started = Instant::now();
    step("tools", needs::check)?;
    let (only_tests, args) = match args.split_first() {
        Some((first, rest)) if first == "--tests" => (true, rest),
        _ => (false, args),
    };
    if !only_tests {
        checks()?;
    }
    let mut summary = Vec::new();
    let outcome = step("tests", || tests(args, &mut summary));
    println!();
    for line in summary {
        println!("{line}");
    }
    outcome?;
    println!("all of it in {} s", started.elapsed().as_secs());
    Ok(())
}

/// What needs no test to run.
fn checks() -> Result<()> {
    step("format", || cargo(&["fmt", "--all", "--check"]))?;
    step("tidy", crate::tidy)?;
    step("licences", licences::run)?;
    step("clippy", || cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
}

fn step(name: &str, run: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("== {name}");
    run().with_context(|| name.to_owned())
}

fn cargo(args: &[&str]) -> Result<()> {
    let root = testkit::tools::workspace();
    let status = Command::new(env!("CARGO")).current_dir(root).args(args).status()?;
    if !status.success() {
        bail!("cargo {} failed", args.join(" "));
    }
    Ok(())
}

/// Runs the tests, shows their output as it comes, and keeps the lines that sum it up.
fn tests(args: &[String], summary: &mut Vec<String>) -> Result<()> {
    let nextest = needs::runs("cargo-nextest");
    let runner: &[&str] = match nextest {
        true => &["nextest", "run", "--workspace", "--no-fail-fast"],
        false => &["test", "--workspace", "--no-fail-fast"],
    };
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(testkit::tools::workspace()).args(runner).args(args);
    // nextest reports on stderr, cargo test on stdout: both go through one pipe here.
    let (reader, writer) = std::io::pipe()?;
    let mut child = cargo.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).spawn()?;
    drop(cargo);
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        let plain = line.trim();
        // Failures are named twice: as they happen, and at the end.
        let again = plain.starts_with("FAIL ") && summary.iter().any(|known| known == plain);
        if sums_up(plain, nextest) && !again {
            summary.push(plain.to_owned());
        }
    }
    if !child.wait()?.success() {
        bail!("tests failed");
    }
    Ok(())
}

/// The runner's own summary, each test that failed, and how many steps of a comparison did.
fn sums_up(line: &str, nextest: bool) -> bool {
    let failed = ["FAIL ", "TIMEOUT ", "SIG", "Summary "].iter().any(|word| line.starts_with(word));
    let compared = line.ends_with(" differ") && line.contains(" steps, ");
    match nextest {
        true => failed || compared,
        false => compared || line.starts_with("test result:") || line.ends_with("... FAILED"),
    }
}

#[cfg(test)]
mod tests {
    use super::sums_up;

    #[test]
    fn lines_of_the_summary() {
        for line in [
            "Summary [ 203.189s] 127 tests run: 107 passed, 20 failed, 0 skipped",
            "FAIL [   0.245s] (  7/127) base time::tests::reads_what_it_writes",
            "filters: 700 steps, 3 differ",
        ] {
            assert!(sums_up(line, true), "{line}");
        }
        assert!(!sums_up("test result: FAILED. 0 passed; 1 failed", true));
        assert!(sums_up("test result: FAILED. 0 passed; 1 failed", false));
        assert!(!sums_up("PASS [   0.245s] (  8/127) base id::tests::alphabet", true));
    }
}
