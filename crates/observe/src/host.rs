//! The machine that the process runs on. What a system does not tell has no figures.

use std::path::{Path, PathBuf};

use metrics::{counter, gauge};

/// What was seen last: processor time is told as sums.
pub struct Host {
    /// Where the data is.
    dir: PathBuf,
    cpu: Option<Cpu>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Cpu {
    busy: f64,
    all: f64,
}

impl Host {
    pub fn of(dir: impl Into<PathBuf>) -> Self {
        Host { dir: dir.into(), cpu: None }
    }

    /// Sets the gauges. Reads four small files, and asks for the disk's free space.
    pub fn sample(&mut self) {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let stat = read("/proc/stat");
        if let Some(now) = cpu(&stat) {
            if let Some(before) = self.cpu
                && now.all > before.all
            {
                gauge!("pando_host_cpu_ratio").set((now.busy - before.busy) / (now.all - before.all));
            }
            self.cpu = Some(now);
            gauge!("pando_host_cpus").set(cpus(&stat) as f64);
        }
        if let Some(load) = read("/proc/loadavg").split(' ').next().and_then(|load| load.parse::<f64>().ok())
        {
            gauge!("pando_host_load1").set(load);
        }
        if let Some((used, all)) = memory(&read("/proc/meminfo")) {
            gauge!("pando_host_memory_used_bytes").set(used);
            gauge!("pando_host_memory_bytes").set(all);
        }
        if let Some(open) =
            read("/proc/sys/fs/file-nr").split_whitespace().next().and_then(|n| n.parse::<f64>().ok())
        {
            gauge!("pando_host_open_files").set(open);
        }
        if let Some((received, sent)) = network(&read("/proc/net/dev")) {
            counter!("pando_host_network_bytes_total", "direction" => "in").absolute(received);
            counter!("pando_host_network_bytes_total", "direction" => "out").absolute(sent);
        }
        if let Some((free, all)) = disk(&self.dir) {
            gauge!("pando_host_disk_free_bytes").set(free);
            gauge!("pando_host_disk_bytes").set(all);
        }
    }
}

/// In the form of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal, and time of guests, which is part
/// of the user's.
fn cpu(stat: &str) -> Option<Cpu> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let times: Vec<f64> = line.split_whitespace().take(8).filter_map(|time| time.parse().ok()).collect();
    let idle = times.get(3)? + times.get(4).unwrap_or(&0.0);
    let all: f64 = times.iter().sum();
    Some(Cpu { busy: all - idle, all })
}

fn cpus(stat: &str) -> usize {
    stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count()
}

/// What cannot be had without swapping, and all there is.
fn memory(meminfo: &str) -> Option<(f64, f64)> {
    let bytes = |name: &str| -> Option<f64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024.0)
    };
    let all = bytes("MemTotal:")?;
    Some((all - bytes("MemAvailable:")?, all))
}

/// Received and sent by all interfaces but the one that leads back.
fn network(dev: &str) -> Option<(u64, u64)> {
    let mut sums = None;
    for line in dev.lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        if name.trim() == "lo" {
            continue;
        }
        let fields: Vec<u64> = rest.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        if let (Some(received), Some(sent)) = (fields.first(), fields.get(8)) {
            let (before_in, before_out) = sums.unwrap_or((0, 0));
            sums = Some((before_in + received, before_out + sent));
        }
    }
    sums
}

/// What a process that is nobody special may still write, and all there is.
#[cfg(unix)]
fn disk(dir: &Path) -> Option<(f64, f64)> {
    let found = rustix::fs::statvfs(dir).ok()?;
    let block = found.f_frsize as f64;
    Some((found.f_bavail as f64 * block, found.f_blocks as f64 * block))
}

#[cfg(not(unix))]
fn disk(_dir: &Path) -> Option<(f64, f64)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_system_tells() {
        let stat = "cpu  10 0 20 60 10 0 0 0 5 0\ncpu0 1 2\ncpu1 1 2\nintr 5\n";
        assert_eq!(cpu(stat), Some(Cpu { busy: 30.0, all: 100.0 }));
        assert_eq!(cpus(stat), 2);
        assert_eq!(memory("MemTotal: 10 kB\nMemFree: 1 kB\nMemAvailable:  4 kB\n"), Some((6144.0, 10240.0)));
        let dev = "Inter-| Receive\n face |bytes\n  lo: 9 0 0 0 0 0 0 0 9 0\neth0: 5 1 0 0 0 0 0 0 7 1\n  w1: 1 1 0 0 0 0 0 0 2 1\n";
        assert_eq!(network(dev), Some((6, 9)));
        for nothing in ["", "cpu", "cpu x", "MemTotal: x kB", "eth0:"] {
            assert_eq!((cpu(nothing), memory(nothing), network(nothing)), (None, None, None), "{nothing}");
        }
    }
}
