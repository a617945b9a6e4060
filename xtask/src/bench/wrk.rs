//! Runs `wrk` for a short slice and reads what its script printed at the end.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

#[derive(Clone, Debug, Default)]
pub struct Slice {
    pub requests: f64,
    pub rate: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub failed: f64,
    /// Processor time of the server per request, in microseconds.
    pub cpu_us: f64,
}

/// From one core.
pub fn run(port: u16, script: &Path, seconds: u64, core: usize, connections: usize) -> Result<Slice> {
    let mut taskset = Command::new("taskset");
    taskset.args(["-c", &core.to_string(), "wrk"]);
    run_as(taskset, port, script, seconds, connections)
}

/// From wherever there is room.
pub fn run_anywhere(port: u16, script: &Path, seconds: u64, connections: usize) -> Result<Slice> {
    run_as(Command::new("wrk"), port, script, seconds, connections)
}

fn run_as(mut wrk: Command, port: u16, script: &Path, seconds: u64, connections: usize) -> Result<Slice> {
    wrk.args(["-t1", "-c", &connections.to_string()]);
    wrk.args(["-d", &format!("{seconds}s"), "--timeout", "10s", "-s"]).arg(script);
    let printed = testkit::tools::run(wrk.arg(format!("http://127.0.0.1:{port}")))?;
    let result = printed.lines().find_map(|l| l.strip_prefix("result "));
    let result = result.with_context(|| format!("wrk printed no result:\n{printed}"))?;
    let n: Vec<f64> = result.split(' ').map(|v| v.parse().unwrap_or(0.0)).collect();
    let [requests, duration_us, p50_us, p99_us, failed] = n[..] else {
        anyhow::bail!("wrk printed an odd result: {result}");
    };
    Ok(Slice {
        requests,
        rate: (requests - failed) * 1e6 / duration_us.max(1.0),
        p50_ms: p50_us / 1000.0,
        p99_ms: p99_us / 1000.0,
        failed,
        cpu_us: 0.0,
    })
}

/// The middle value; of an even number, the lower one.
pub fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

/// Medians of each measure over the slices; failures add up.
pub fn median(slices: Vec<Slice>) -> Slice {
    let of = |get: fn(&Slice) -> f64| middle(slices.iter().map(get).collect());
    Slice {
        requests: slices.iter().map(|s| s.requests).sum(),
        rate: of(|s| s.rate),
        p50_ms: of(|s| s.p50_ms),
        p99_ms: of(|s| s.p99_ms),
        failed: slices.iter().map(|s| s.failed).sum(),
        cpu_us: of(|s| s.cpu_us),
    }
}
