//! Processes as `/proc` tells of them: who descends from whom, since when, and signals that reach the right one.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Clock ticks of `/proc` in a second. The kernel's interface to programs has had this number on every architecture that
/// Linux still runs on.
pub(crate) const TICKS: f64 = 100.0;

/// One line of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub pid: u32,
    pub parent: u32,
    pub state: char,
    /// Processor time of its own, in ticks.
    pub ticks: u64,
    /// When it began, in ticks since the machine did. With the pid, this tells one process from a later one.
    pub start: u64,
    pub resident_bytes: u64,
}

pub(crate) fn stat(pid: u32) -> Option<Stat> {
    parse(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(pid: u32, text: &str) -> Option<Stat> {
    // The name may hold spaces and brackets: what follows begins after the last one.
    let rest = &text[text.rfind(')')? + 1..];
    let words: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| words.get(at)?.parse::<u64>().ok();
    Some(Stat {
        pid,
        state: words.first()?.chars().next()?,
        parent: number(1)? as u32,
        ticks: number(11)? + number(12)?,
        start: number(19)?,
        resident_bytes: number(21)? * rustix::param::page_size() as u64,
    })
}

/// A process that must not be taken for another one: a pid is given again once its process is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Identity {
    pub pid: u32,
    pub start: u64,
}

impl Identity {
    pub fn of(pid: u32) -> Option<Identity> {
        stat(pid).map(|stat| Identity { pid, start: stat.start })
    }

    pub fn own() -> Option<Identity> {
        Identity::of(std::process::id())
    }

    /// Its entry, if it is still this very process and no mere remains of it.
    pub fn find(self) -> Option<Stat> {
        stat(self.pid).filter(|stat| stat.start == self.start && !matches!(stat.state, 'Z' | 'X'))
    }

    pub fn is_alive(self) -> bool {
        self.find().is_some()
    }

    pub fn signal(self, signal: Signal) -> bool {
        self.is_alive() && send(self.pid, signal)
    }

    /// Waits until it is gone, at most `wait`.
    pub fn gone_within(self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        while self.is_alive() {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

fn send(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// The processes of these roots: themselves and all that descend from them.
pub(crate) fn family(roots: &[Identity]) -> Vec<Stat> {
    let all: Vec<Stat> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?))
        .collect();
    let mut found: Vec<Stat> = roots.iter().filter_map(|root| root.find()).collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|stat| stat.pid) {
        let known = |pid: u32| found.iter().any(|stat| stat.pid == pid);
        let children: Vec<Stat> =
            all.iter().filter(|stat| stat.parent == parent && !known(stat.pid)).copied().collect();
        found.extend(children);
        next += 1;
    }
    found.retain(|stat| !matches!(stat.state, 'Z' | 'X'));
    found
}

/// Stops a family where it is. Parents first, and again until none is left that was born meanwhile.
pub(crate) fn freeze(roots: &[Identity]) {
    loop {
        let running: Vec<Stat> = family(roots).into_iter().filter(|stat| stat.state != 'T').collect();
        if running.is_empty() {
            return;
        }
        for stat in running {
            Identity { pid: stat.pid, start: stat.start }.signal(Signal::STOP);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn thaw(roots: &[Identity]) {
    for stat in family(roots).iter().rev() {
        Identity { pid: stat.pid, start: stat.start }.signal(Signal::CONT);
    }
}

/// SIGKILL to a whole family, and waits until it is gone.
pub(crate) fn kill(roots: &[Identity]) {
    // A stopped parent has no more children.
    freeze(roots);
    let family: Vec<Identity> =
        family(roots).iter().map(|stat| Identity { pid: stat.pid, start: stat.start }).collect();
    for member in &family {
        member.signal(Signal::KILL);
    }
    for member in family {
        member.gone_within(Duration::from_secs(5));
    }
}

/// The postmaster that holds this data directory, if one does. Its file may be a leftover, and its pid another's by
/// now: a postmaster works in its data directory, and nothing else does.
pub(crate) fn postmaster(data: &Path) -> Option<Identity> {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let identity = Identity::of(text.lines().next()?.trim().parse().ok()?)?;
    let works_in = std::fs::read_link(format!("/proc/{}/cwd", identity.pid)).ok()?;
    (works_in == data.canonicalize().ok()?).then_some(identity)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn names_with_brackets_are_read() {
        let text = "7 (a) b (c)) S 3 7 7 0 -1 4194304 95 0 0 0 11 22 0 0 20 0 1 0 4242 8192000 25 184467440";
        let stat = parse(7, text).unwrap();
        assert_eq!((stat.state, stat.parent, stat.ticks, stat.start), ('S', 3, 33, 4242));
        assert!(parse(7, "7 (a) S 3").is_none());
    }

    #[test]
    fn a_pid_that_was_given_again_is_left_alone() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();
        let older = Identity { start: identity.start - 1, ..identity };
        assert!(!older.is_alive() && !older.signal(Signal::KILL));
        assert!(identity.is_alive());
        freeze(&[identity]);
        assert_eq!(identity.find().unwrap().state, 'T');
        thaw(&[identity]);
        assert!(identity.is_alive());
        kill(&[identity]);
        assert!(!identity.is_alive());
        child.wait().unwrap();
    }

    #[test]
    fn children_go_with_their_parent() {
        let mut shell = Command::new("sh").args(["-c", "sleep 60 & sleep 60"]).spawn().unwrap();
        let root = Identity::of(shell.id()).unwrap();
        while family(&[root]).len() < 3 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let members = family(&[root]);
        kill(&[root]);
        shell.wait().unwrap();
        for member in members {
            assert!(!Identity { pid: member.pid, start: member.start }.is_alive());
        }
    }
}
