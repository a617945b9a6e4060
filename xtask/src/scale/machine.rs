//! Processor time of this process and of the machine.

use std::fs;

/// Kernel ticks per second, as every Linux on common hardware has it.
const TICKS_PER_SECOND: f64 = 100.0;

pub fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64)
}

/// Of this process and of those of its children that have ended, such as load generators.
pub fn own_s() -> f64 {
    crate::bench::machine::cpu_ms(std::process::id()) / 1000.0
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
