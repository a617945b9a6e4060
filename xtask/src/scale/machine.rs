//! Processor time of processes and of the machine, and what quotas did.

use std::fs;

/// Kernel ticks per second, as every Linux on common hardware has it.
const TICKS_PER_SECOND: f64 = 100.0;

/// Periods of a cgroup's quota, and those in which it ran out.
#[derive(Clone, Copy, Default)]
pub struct Quota {
    pub periods: f64,
    pub throttled: f64,
}

impl std::ops::AddAssign for Quota {
    fn add_assign(&mut self, other: Quota) {
        self.periods += other.periods;
        self.throttled += other.throttled;
    }
}

pub fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64)
}

/// Of this process and of those of its children that have ended, such as load generators.
pub fn own_s() -> f64 {
    crate::bench::machine::cpu_ms(std::process::id()) / 1000.0
}

/// Of a process, its children and theirs.
pub fn tree_s(pid: u32) -> f64 {
    crate::bench::machine::tree_cpu_ms(pid) / 1000.0
}

/// All processor time that was not idle.
pub fn busy_s() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let fields: Vec<f64> = line.split_whitespace().skip(1).map(|v| v.parse().unwrap_or(0.0)).collect();
    // user, nice, system, idle, iowait, irq, softirq; the others are none of this machine's.
    fields.iter().take(7).enumerate().filter(|(at, _)| ![3, 4].contains(at)).map(|(_, v)| v).sum::<f64>()
        / TICKS_PER_SECOND
}

/// The counters of the process's quota, in whichever hierarchy it is.
pub fn quota(pid: u32) -> Quota {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let stat = text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let root = match controllers {
            "" => "/sys/fs/cgroup".to_owned(),
            named if named.split(',').any(|name| name == "cpu") => format!("/sys/fs/cgroup/{named}"),
            _ => return None,
        };
        fs::read_to_string(format!("{root}{path}/cpu.stat")).ok().filter(|stat| stat.contains("nr_periods"))
    });
    let stat = stat.unwrap_or_default();
    let field = |name: &str| {
        let line = stat.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|v| v.trim().parse().ok()).unwrap_or(0.0)
    };
    Quota { periods: field("nr_periods"), throttled: field("nr_throttled") }
}
