//! What the kernel says of processes and of the machine.

use std::fs;
use std::process::Command;

use anyhow::Result;

/// Kernel ticks per second, as every Linux on common hardware has it.
const TICKS_PER_SECOND: f64 = 100.0;

/// Fields of `/proc/PID/stat` after the name, which may hold anything.
fn stat(pid: u32) -> Option<Vec<f64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().skip(1).map(|v| v.parse().unwrap_or(0.0)).collect())
}

/// Processor time that a process has taken, its ended children included, in milliseconds.
pub fn cpu_ms(pid: u32) -> f64 {
    // utime, stime, cutime and cstime are the fields 14 to 17; the first one kept here is field 4.
    stat(pid).map_or(0.0, |f| f.iter().skip(10).take(4).sum::<f64>() * 1000.0 / TICKS_PER_SECOND)
}

/// The same for a process and its living children.
pub fn family_cpu_ms(parent: u32) -> f64 {
    cpu_ms(parent) + children(parent).map(cpu_ms).sum::<f64>()
}

/// Resident memory of a process and its living children, in MiB. What they share counts for each.
pub fn family_rss_mib(parent: u32) -> f64 {
    rss_mib(parent) + children(parent).map(rss_mib).sum::<f64>()
}

fn children(parent: u32) -> impl Iterator<Item = u32> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok())
        .filter(move |pid| stat(*pid).is_some_and(|f| f.first() == Some(&f64::from(parent))))
}

/// Resident memory in MiB.
pub fn rss_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.split_whitespace().next()).and_then(|v| v.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// Confines a process, and the children that it will have, to one core.
pub fn pin(pid: u32, core: usize) -> Result<()> {
    let mut taskset = Command::new("taskset");
    testkit::tools::run(taskset.args(["-a", "-p", "-c", &core.to_string(), &pid.to_string()])).map(drop)
}

/// Processor, cores and kernel in one line.
pub fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|l| l.strip_prefix("model name")).unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, |n| n.get());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{}, {cores} cores, Linux {}", model.trim_start_matches(['\t', ' ', ':']), kernel.trim())
}
