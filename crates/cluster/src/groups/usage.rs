//! What a group has used so far.

use std::path::Path;
use std::time::Duration;

/// Processor time of a node, of all its processes, also of those that have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub cpu: Duration,
    /// How long it had work and no quota left.
    pub throttled: Duration,
    /// In how many periods that was so.
    pub throttled_periods: u64,
}

impl std::ops::Sub for Usage {
    type Output = Usage;

    /// What was used since an earlier look.
    fn sub(self, before: Usage) -> Usage {
        Usage {
            cpu: self.cpu.saturating_sub(before.cpu),
            throttled: self.throttled.saturating_sub(before.throttled),
            throttled_periods: self.throttled_periods.saturating_sub(before.throttled_periods),
        }
    }
}

pub(super) fn one(cpu: &Path, account: &Path) -> Option<Usage> {
    let used = std::fs::read_to_string(account.join("cpuacct.usage")).ok()?;
    let stat = std::fs::read_to_string(cpu.join("cpu.stat")).ok()?;
    Some(Usage {
        cpu: Duration::from_nanos(used.trim().parse().ok()?),
        throttled: Duration::from_nanos(field(&stat, "throttled_time")?),
        throttled_periods: field(&stat, "nr_throttled")?,
    })
}

pub(super) fn two(dir: &Path) -> Option<Usage> {
    let stat = std::fs::read_to_string(dir.join("cpu.stat")).ok()?;
    Some(Usage {
        cpu: Duration::from_micros(field(&stat, "usage_usec")?),
        throttled: Duration::from_micros(field(&stat, "throttled_usec")?),
        throttled_periods: field(&stat, "nr_throttled")?,
    })
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_interfaces_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write(
            "cpu.stat",
            "usage_usec 1500\nuser_usec 1000\nnr_periods 9\nnr_throttled 4\nthrottled_usec 250\n",
        );
        let expected = Usage {
            cpu: Duration::from_micros(1500),
            throttled: Duration::from_micros(250),
            throttled_periods: 4,
        };
        assert_eq!(two(dir.path()), Some(expected));
        write("cpu.stat", "nr_periods 9\nnr_throttled 4\nthrottled_time 250000\n");
        write("cpuacct.usage", "1500000\n");
        assert_eq!(one(dir.path(), dir.path()), Some(expected));
        assert_eq!(two(&dir.path().join("gone")), None);
    }
}
