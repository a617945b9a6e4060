//! What a rule watches, and what it finds in the picture of the system.

use serde::{Deserialize, Serialize};

use crate::system::{Element, Picture, State};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    #[serde(skip)]
    pub id: String,
    pub name: String,
    pub kind: RuleKind,
    pub threshold: f64,
    /// For how long it must hold (ms).
    pub for_ms: u64,
    pub severity: Severity,
    pub enabled: bool,
    #[serde(skip)]
    pub builtin: bool,
}

/// The names are what is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    #[default]
    ErrorRate,
    LatencyP99,
    ReplicaLag,
    DiskFree,
    QueueAge,
    NodeLost,
    BackupFailed,
    CertificateExpires,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    #[default]
    Warning,
    Critical,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }

    pub fn read(name: &str) -> Option<Severity> {
        [Severity::Info, Severity::Warning, Severity::Critical].into_iter().find(|one| one.name() == name)
    }
}

impl RuleKind {
    pub const ALL: [RuleKind; 8] = [
        RuleKind::ErrorRate,
        RuleKind::LatencyP99,
        RuleKind::ReplicaLag,
        RuleKind::DiskFree,
        RuleKind::QueueAge,
        RuleKind::NodeLost,
        RuleKind::BackupFailed,
        RuleKind::CertificateExpires,
    ];

    pub fn name(self) -> &'static str {
        match self {
            RuleKind::ErrorRate => "error_rate",
            RuleKind::LatencyP99 => "latency_p99",
            RuleKind::ReplicaLag => "replica_lag",
            RuleKind::DiskFree => "disk_free",
            RuleKind::QueueAge => "queue_age",
            RuleKind::NodeLost => "node_lost",
            RuleKind::BackupFailed => "backup_failed",
            RuleKind::CertificateExpires => "certificate_expires",
        }
    }

    pub fn read(name: &str) -> Option<RuleKind> {
        RuleKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it is little that is bad.
    pub fn is_least(self) -> bool {
        matches!(self, RuleKind::DiskFree | RuleKind::CertificateExpires)
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            RuleKind::ErrorRate => "share of requests that fail",
            RuleKind::LatencyP99 => "99th percentile of the time to answer, in seconds",
            RuleKind::ReplicaLag => "lag of a replica, in seconds",
            RuleKind::DiskFree => "free share of a disk",
            RuleKind::QueueAge => "age of the oldest job that waits, in seconds",
            RuleKind::NodeLost => "parts of the system that are lost",
            RuleKind::BackupFailed => "failed backup",
            RuleKind::CertificateExpires => "days until a certificate ends",
        }
    }
}

impl Default for Rule {
    fn default() -> Self {
        Rule {
            id: String::new(),
            name: String::new(),
            kind: RuleKind::default(),
            threshold: 0.0,
            for_ms: 0,
            severity: Severity::default(),
            enabled: true,
            builtin: false,
        }
    }
}

const MINUTE_MS: u64 = 60_000;
/// Requests in a second below which their errors and their times are no share and no percentile of anything.
const RATE_MIN: f64 = 0.1;
const DAY_SECONDS: f64 = 86_400.0;

/// What was found, and where: the worst value.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub value: f64,
    /// Those beyond the threshold.
    pub elements: Vec<String>,
}

impl Rule {
    /// Those that there are without anybody's doing. Nobody is told before there are receivers.
    pub fn shipped() -> Vec<Rule> {
        use RuleKind::*;
        use Severity::*;
        let rule = |id: &str, kind, threshold, minutes: u64, severity| Rule {
            id: id.into(),
            kind,
            threshold,
            for_ms: minutes * MINUTE_MS,
            severity,
            builtin: true,
            ..Rule::default()
        };
        vec![
            rule("error-rate", ErrorRate, 0.05, 5, Critical),
            rule("latency", LatencyP99, 1.0, 5, Warning),
            rule("replica-lag", ReplicaLag, 10.0, 2, Warning),
            rule("disk-free", DiskFree, 0.1, 1, Critical),
            rule("queue-age", QueueAge, 300.0, 5, Warning),
            rule("node-lost", NodeLost, 1.0, 1, Critical),
            rule("backup-failed", BackupFailed, 1.0, 0, Critical),
            rule("certificate", CertificateExpires, 14.0, 0, Warning),
        ]
    }

    pub fn is_beyond(&self, value: f64) -> bool {
        if self.kind.is_least() { value <= self.threshold } else { value >= self.threshold }
    }

    /// Whether it is better by a tenth: in between, what fires goes on to, and what does not, does not begin to.
    pub fn is_well(&self, value: f64) -> bool {
        let margin = self.threshold.abs() / 10.0;
        if self.kind.is_least() { value > self.threshold + margin } else { value < self.threshold - margin }
    }

    /// `None` where nothing of the kind is known. `backup_failed` is what came of the last backup, if there was any.
    pub fn measure(&self, picture: &Picture, backup_failed: Option<bool>) -> Option<Measured> {
        match self.kind {
            RuleKind::NodeLost => {
                let is_lost = |element: &&Element| match element.kind {
                    "replica" => matches!(element.state, State::Down | State::Silent),
                    _ => element.state == State::Down,
                };
                let lost: Vec<String> =
                    picture.elements.iter().filter(is_lost).map(|element| element.id.clone()).collect();
                Some(Measured { value: lost.len() as f64, elements: lost })
            }
            RuleKind::BackupFailed => {
                let value = f64::from(u8::from(backup_failed?));
                Some(Measured { value, elements: Vec::new() })
            }
            _ => {
                let found =
                    picture.elements.iter().filter_map(|element| Some((element, self.figure(element)?)));
                let found: Vec<(&Element, f64)> = found.collect();
                let worse = |one: &f64, other: &f64| match self.kind.is_least() {
                    true => other.total_cmp(one),
                    false => one.total_cmp(other),
                };
                let value = found.iter().map(|(_, value)| *value).max_by(worse)?;
                let beyond = found.iter().filter(|(_, value)| self.is_beyond(*value));
                Some(Measured { value, elements: beyond.map(|(element, _)| element.id.clone()).collect() })
            }
        }
    }

    fn figure(&self, element: &Element) -> Option<f64> {
        let figure = |name: &str| element.figures.get(name).copied();
        let rate = figure("http.requests").or(figure("front.requests")).filter(|rate| *rate >= RATE_MIN);
        match self.kind {
            RuleKind::ErrorRate => {
                let errors = figure("http.errors").or(figure("front.errors")).unwrap_or(0.0);
                Some(errors / rate?)
            }
            RuleKind::LatencyP99 => rate.and(figure("http.p99").or(figure("front.p99"))),
            RuleKind::ReplicaLag => figure("replica.lag").filter(|_| element.kind == "replica"),
            RuleKind::DiskFree => {
                let all = figure("host.diskMax").filter(|all| *all > 0.0)?;
                Some(figure("host.diskFree")? / all)
            }
            RuleKind::QueueAge => figure("jobs.oldest").filter(|_| element.kind == "queue"),
            RuleKind::CertificateExpires => figure("front.certificate").map(|seconds| seconds / DAY_SECONDS),
            RuleKind::NodeLost | RuleKind::BackupFailed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(id: &str, kind: &'static str, state: State, figures: &[(&str, f64)]) -> Element {
        let figures = figures.iter().map(|(name, value)| ((*name).into(), *value)).collect();
        Element { id: id.into(), kind, state, figures, ..Element::default() }
    }

    fn rule(id: &str) -> Rule {
        Rule::shipped().into_iter().find(|rule| rule.id == id).unwrap()
    }

    #[test]
    fn each_kind_finds_what_it_is_for() {
        let picture = Picture {
            elements: vec![
                element(
                    "web:a",
                    "web",
                    State::Up,
                    &[("http.requests", 10.0), ("http.errors", 1.0), ("http.p99", 2.0)],
                ),
                element(
                    "web:b",
                    "web",
                    State::Up,
                    &[("http.requests", 10.0), ("host.diskFree", 5.0), ("host.diskMax", 100.0)],
                ),
                element("web:c", "web", State::Down, &[]),
                element("database:r", "replica", State::Up, &[("replica.lag", 30.0)]),
                element("queue:jobs", "queue", State::Up, &[("jobs.oldest", 400.0)]),
                element("edge:e", "edge", State::Up, &[("front.certificate", 86_400.0)]),
            ],
            ..Picture::default()
        };
        for (id, value, elements) in [
            ("error-rate", 0.1, vec!["web:a"]),
            ("latency", 2.0, vec!["web:a"]),
            ("replica-lag", 30.0, vec!["database:r"]),
            ("disk-free", 0.05, vec!["web:b"]),
            ("queue-age", 400.0, vec!["queue:jobs"]),
            ("node-lost", 1.0, vec!["web:c"]),
            ("certificate", 1.0, vec!["edge:e"]),
            ("backup-failed", 1.0, vec![]),
        ] {
            let (rule, quiet) = (rule(id), Picture::default());
            let found = rule.measure(&picture, Some(true)).unwrap();
            assert_eq!(
                (found.value, found.elements),
                (value, elements.into_iter().map(String::from).collect()),
                "{id}"
            );
            assert!(rule.is_beyond(value) && !rule.is_well(value), "{id}");
            let nothing = rule.measure(&quiet, Some(false));
            assert!(nothing.is_none_or(|found| rule.is_well(found.value)), "{id}");
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for kind in RuleKind::ALL {
            assert_eq!(RuleKind::read(kind.name()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        assert_eq!(Severity::read("critical"), Some(Severity::Critical));
        assert_eq!(Severity::read("x"), None);
    }
}
