//! What the system tells of this process, under the names that Prometheus' own libraries use.

use std::fmt::Write;

use base::limits::CLOCK_TICKS_PER_SECOND;

/// Adds the lines. Where the system tells nothing, there are none.
pub fn write(text: &mut String) {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return };
    let Some(stat) = Stat::read(&stat) else { return };
    let mut line = |name: &str, kind: &str, help: &str, value: f64| {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
    };
    line(
        "process_cpu_seconds_total",
        "counter",
        "Processor time, of the system included, in seconds.",
        stat.cpu_seconds,
    );
    line("process_virtual_memory_bytes", "gauge", "Virtual memory in bytes.", stat.virtual_bytes);
    line("process_threads", "gauge", "Threads of the process.", stat.threads);
    if let Some(boot) = boot_seconds() {
        let help = "When the process began, in seconds since 1970.";
        line("process_start_time_seconds", "gauge", help, boot + stat.started_seconds);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(bytes) = resident_bytes(&status) {
        line("process_resident_memory_bytes", "gauge", "Resident memory in bytes.", bytes);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        line("process_open_fds", "gauge", "Open file descriptors.", open.count() as f64);
    }
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    if let Some(most) = fds_max(&limits) {
        line("process_max_fds", "gauge", "Open file descriptors that are allowed.", most);
    }
}

#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    /// After the system's start.
    started_seconds: f64,
    virtual_bytes: f64,
}

impl Stat {
    /// In the form of `/proc/PID/stat`.
    fn read(text: &str) -> Option<Stat> {
        // The second field is a name in parentheses, which may hold anything.
        let rest = &text[text.rfind(')')? + 1..];
        let fields: Vec<f64> =
            rest.split_whitespace().skip(1).map(|field| field.parse().unwrap_or(0.0)).collect();
        // Counted from the fourth field on, as the manual page numbers them.
        let field = |number: usize| fields.get(number - 4).copied();
        Some(Stat {
            cpu_seconds: (field(14)? + field(15)?) / CLOCK_TICKS_PER_SECOND,
            threads: field(20)?,
            started_seconds: field(22)? / CLOCK_TICKS_PER_SECOND,
            virtual_bytes: field(23)?,
        })
    }
}

fn boot_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

fn fds_max(limits: &str) -> Option<f64> {
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_system_tells() {
        let stat = "42 (a ) name) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 9 0 1000 4096 77 0";
        let expected = Stat { cpu_seconds: 2.0, threads: 9.0, started_seconds: 10.0, virtual_bytes: 4096.0 };
        assert_eq!(Stat::read(stat), Some(expected));
        assert_eq!(Stat::read("42"), None);
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    2 kB\n"), Some(2048.0));
        assert_eq!(fds_max("Max open files            1024                 4096   files"), Some(1024.0));
    }
}
