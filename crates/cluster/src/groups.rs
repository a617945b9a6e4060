//! Control groups: how much processor a node may take, and how much it took. Knows both of the kernel's interfaces.
//!
//! A group's name holds the pid and start time of who made it, so that whoever comes next can tell which ones are left
//! over, without any note of them.

mod usage;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Result;
use crate::error::{Doing, Error, write};
use crate::process::Identity;
use crate::topology::Share;

pub use usage::Usage;

const PREFIX: &str = "pando";
/// How often a quota is given out. Short, so that a node that has used its own waits a little often, and not long.
const PERIOD_US: f64 = 20_000.0;
/// The kernel gives out no less, and at no longer intervals.
const QUOTA_US_MIN: f64 = 1_000.0;
const PERIOD_US_MAX: f64 = 1_000_000.0;
/// How long a group may hold on to processes that have ended.
const REMOVE_MAX: Duration = Duration::from_secs(2);

/// Where the kernel's control groups are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mounts {
    One { cpu: PathBuf, account: PathBuf, set: Option<PathBuf> },
    Two { root: PathBuf },
}

/// The groups of one cluster.
pub(crate) struct Groups {
    mounts: Mounts,
    prefix: String,
}

/// One node's group; gone when dropped.
pub(crate) struct Group {
    mounts: Mounts,
    name: String,
}

impl Groups {
    /// For the cluster in `dir`, if there are control groups that may be written.
    pub fn find(dir: &Path) -> Result<Groups> {
        let text = std::fs::read_to_string("/proc/mounts").doing(|| "cannot read /proc/mounts".into())?;
        let mounts = mounts(&text, |root| {
            std::fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default()
        });
        let mounts = mounts
            .ok_or_else(|| Error::Refused("the kernel offers no control group for processors".into()))?;
        if let Mounts::Two { root } = &mounts {
            // What a group's children may be limited in is said by the group itself.
            write(&root.join("cgroup.subtree_control"), "+cpu +cpuset")?;
        }
        let own = Identity::own().ok_or_else(|| Error::Refused("/proc does not show this process".into()))?;
        let groups =
            Groups { mounts, prefix: format!("{PREFIX}.{}.{}.{:08x}", own.pid, own.start, hash(dir)) };
        sweep_in(&groups.mounts);
        Ok(groups)
    }

    /// A group for one node.
    pub fn make(&self, node: &str, share: &Share) -> Result<Group> {
        let group = Group { mounts: self.mounts.clone(), name: format!("{}.{node}", self.prefix) };
        for dir in group.dirs() {
            std::fs::create_dir_all(&dir).doing(|| format!("cannot make {}", dir.display()))?;
        }
        group.limit(share)?;
        Ok(group)
    }
}

/// Removes the groups of those that are gone.
pub(crate) fn sweep() {
    if let Some(mounts) = found() {
        sweep_in(&mounts);
    }
}

fn sweep_in(mounts: &Mounts) {
    for root in mounts.roots() {
        for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let owner = name.to_str().and_then(owner);
            // A group with processes in it is not removed, whoever made it.
            if owner.is_some_and(|owner| !owner.is_alive()) {
                let _ = std::fs::remove_dir(entry.path());
            }
        }
    }
}

fn found() -> Option<Mounts> {
    let text = std::fs::read_to_string("/proc/mounts").ok()?;
    mounts(&text, |root| std::fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default())
}

/// Who made a group or a network of this name.
pub(crate) fn owner(name: &str) -> Option<Identity> {
    let mut parts = name.split('.');
    if parts.next() != Some(PREFIX) {
        return None;
    }
    Some(Identity { pid: parts.next()?.parse().ok()?, start: parts.next()?.parse().ok()? })
}

/// Tells the clusters of one process apart.
pub(crate) fn hash(dir: &Path) -> u32 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    dir.hash(&mut hasher);
    hasher.finish() as u32
}

impl Group {
    /// The files that a process writes its pid to, to be in it.
    pub fn entrances(&self) -> Vec<PathBuf> {
        self.dirs().into_iter().map(|dir| dir.join("cgroup.procs")).collect()
    }

    pub fn usage(&self) -> Option<Usage> {
        match &self.mounts {
            Mounts::One { cpu, account, .. } => usage::one(&cpu.join(&self.name), &account.join(&self.name)),
            Mounts::Two { root } => usage::two(&root.join(&self.name)),
        }
    }

    /// Once all of its processes have ended.
    pub fn remove(&self) {
        let until = Instant::now() + REMOVE_MAX;
        for dir in self.dirs() {
            while std::fs::remove_dir(&dir).is_err() && dir.exists() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    fn dirs(&self) -> Vec<PathBuf> {
        self.mounts.roots().into_iter().map(|root| root.join(&self.name)).collect()
    }

    fn limit(&self, share: &Share) -> Result<()> {
        let (quota, period) = match share.cpu {
            Some(cores) => quota(cores),
            None => (-1, PERIOD_US as i64),
        };
        match &self.mounts {
            Mounts::One { cpu, set, .. } => {
                let dir = cpu.join(&self.name);
                write(&dir.join("cpu.cfs_period_us"), period.to_string())?;
                write(&dir.join("cpu.cfs_quota_us"), quota.to_string())?;
                if let Some(set) = set {
                    // A new group has neither, and takes no process before it has both.
                    let dir = set.join(&self.name);
                    for (name, own) in [("cpuset.cpus", &share.cpus), ("cpuset.mems", &None)] {
                        let inherited = || crate::error::read(set.join(name));
                        let value = own.clone().map_or_else(inherited, Ok)?;
                        write(&dir.join(name), value.trim())?;
                    }
                } else if share.cpus.is_some() {
                    return Err(Error::Refused(
                        "cpus is set, and the kernel's cpuset groups are not mounted".into(),
                    ));
                }
            }
            Mounts::Two { root } => {
                let dir = root.join(&self.name);
                let quota = if quota < 0 { "max".to_owned() } else { quota.to_string() };
                write(&dir.join("cpu.max"), format!("{quota} {period}"))?;
                if let Some(cpus) = &share.cpus {
                    write(&dir.join("cpuset.cpus"), cpus)?;
                }
            }
        }
        Ok(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.remove();
    }
}

impl Mounts {
    fn roots(&self) -> Vec<PathBuf> {
        let mut roots: Vec<PathBuf> = match self {
            Mounts::One { cpu, account, set } => [cpu, account].into_iter().chain(set).cloned().collect(),
            Mounts::Two { root } => vec![root.clone()],
        };
        // Several controllers may be mounted in one place.
        roots.sort();
        roots.dedup();
        roots
    }
}

/// Quota and period for so many cores, in microseconds.
fn quota(cores: f64) -> (i64, i64) {
    let period = (QUOTA_US_MIN / cores).clamp(PERIOD_US, PERIOD_US_MAX);
    ((cores * period).round() as i64, period.round() as i64)
}

/// Finds them in the text of `/proc/mounts`. `controllers` reads which ones a unified hierarchy has: where both kinds are
/// mounted, each controller is in one of them only.
fn mounts(text: &str, controllers: impl Fn(&Path) -> String) -> Option<Mounts> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [_, place, kind, options, ..] = words[..] {
            lines.push((PathBuf::from(place), kind, options.split(',').collect::<Vec<_>>()));
        }
    }
    let one = |name: &str| {
        lines
            .iter()
            .find(|(_, kind, options)| *kind == "cgroup" && options.contains(&name))
            .map(|(path, ..)| path.clone())
    };
    if let (Some(cpu), Some(account)) = (one("cpu"), one("cpuacct")) {
        return Some(Mounts::One { cpu, account, set: one("cpuset") });
    }
    let two = lines.into_iter().filter(|(_, kind, _)| *kind == "cgroup2").map(|(path, ..)| path);
    let mut two = two.filter(|path| controllers(path).split_whitespace().any(|name| name == "cpu"));
    two.next().map(|root| Mounts::Two { root })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_interfaces_are_found() {
        let both = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
                    cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n\
                    cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0\n\
                    cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let place = PathBuf::from("/sys/fs/cgroup/cpu,cpuacct");
        let found = mounts(both, |_| String::new()).unwrap();
        let set = Some("/sys/fs/cgroup/cpuset".into());
        assert_eq!(found, Mounts::One { cpu: place.clone(), account: place.clone(), set });
        assert_eq!(found.roots().len(), 2);
        let unified = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
        let found = mounts(unified, |_| "cpuset cpu io memory".into());
        assert_eq!(found, Some(Mounts::Two { root: "/sys/fs/cgroup".into() }));
        assert_eq!(mounts(unified, |_| "io memory".into()), None);
        assert_eq!(mounts("", |_| String::new()), None);
    }

    #[test]
    fn quotas_are_what_the_kernel_takes() {
        assert_eq!(quota(1.0), (20_000, 20_000));
        assert_eq!(quota(0.5), (10_000, 20_000));
        assert_eq!(quota(4.0), (80_000, 20_000));
        // A small share keeps the smallest quota, and waits longer for it.
        assert_eq!(quota(0.01), (1_000, 100_000));
    }

    #[test]
    fn names_tell_who_made_them() {
        let own = Identity::own().unwrap();
        let name = format!("pando.{}.{}.0011aabb.db-1", own.pid, own.start);
        assert!(owner(&name).unwrap().is_alive());
        assert!(!owner(&format!("pando.{}.{}.0011aabb.db-1", own.pid, own.start + 1)).unwrap().is_alive());
        for other in ["pando", "pando.x.1.y", "docker.1.2.3", "user.slice"] {
            assert_eq!(owner(other), None, "{other}");
        }
    }

    /// Needs root and writable control groups, which not every place has.
    #[test]
    fn a_group_limits_counts_and_goes() {
        let groups = match Groups::find(Path::new("/a")) {
            Ok(groups) => groups,
            Err(error) => return println!("skipped: {error}"),
        };
        let share = Share { cpu: Some(0.2), cpus: Some("0".into()) };
        let group = groups.make("web-1", &share).unwrap();
        let dirs = group.dirs();
        let enter = group
            .entrances()
            .iter()
            .map(|file| format!("echo $$ > {}; ", file.display()))
            .collect::<String>();
        let mut shell = std::process::Command::new("sh");
        let mut shell = shell.args(["-c", &format!("{enter} while :; do :; done")]).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        while group.usage().unwrap().throttled.is_zero() {
            assert!(Instant::now() < until, "{:?}", group.usage());
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(group.usage().unwrap().cpu > Duration::ZERO);
        shell.kill().unwrap();
        shell.wait().unwrap();
        drop(group);
        assert!(dirs.iter().all(|dir| !dir.exists()));
    }
}
