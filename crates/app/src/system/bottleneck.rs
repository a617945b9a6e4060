//! Which part of the system is nearest to what it can do. Each bound is a figure over what it may be at most, so that they can
//! be compared; the code says which bound it is, and clients put it in words.

use std::collections::BTreeMap;

use super::picture::{Element, Picture, State};

#[derive(Clone, Debug, PartialEq)]
pub struct Bottleneck {
    /// An element's id.
    pub element: String,
    pub bound: Bound,
    /// From 0 to 1, where there is no more; above where work already waits.
    pub used: f64,
    /// Those that it follows from.
    pub figures: BTreeMap<String, f64>,
}

/// The closed set of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    Down,
    Cpu,
    Memory,
    Disk,
    OpenFiles,
    EventLoop,
    DatabaseConnections,
    DatabaseWriter,
    DatabaseLatency,
    ReplicaLag,
    QueueAge,
    Nodes,
    Latency,
}

impl Bound {
    pub fn code(self) -> &'static str {
        match self {
            Bound::Down => "down",
            Bound::Cpu => "cpu",
            Bound::Memory => "memory",
            Bound::Disk => "disk",
            Bound::OpenFiles => "open_files",
            Bound::EventLoop => "event_loop",
            Bound::DatabaseConnections => "database_connections",
            Bound::DatabaseWriter => "database_writer",
            Bound::DatabaseLatency => "database_latency",
            Bound::ReplicaLag => "replica_lag",
            Bound::QueueAge => "queue_age",
            Bound::Nodes => "nodes",
            Bound::Latency => "latency",
        }
    }
}

/// What a figure is of that has no maximum of its own: where people begin to wait.
const LAG_SECONDS: f64 = 0.1;
const WAIT_SECONDS: f64 = 60.0;
const REPLICA_SECONDS: f64 = 10.0;
const LATENCY_SECONDS: f64 = 1.0;
/// Writes that wait for the writer of a SQLite file: as many as share a transaction.
const WRITES: f64 = 256.0;

/// A figure, and what it is measured by: another figure, or a number.
enum Of {
    Figure(&'static str),
    Number(f64),
    /// What is left of another figure.
    Rest(&'static str),
}

const MEASURES: [(&str, Of, Bound); 13] = [
    ("host.cpu", Of::Number(1.0), Bound::Cpu),
    ("process.cpu", Of::Figure("host.cpus"), Bound::Cpu),
    ("host.memory", Of::Figure("host.memoryMax"), Bound::Memory),
    ("host.diskFree", Of::Rest("host.diskMax"), Bound::Disk),
    ("process.files", Of::Figure("process.filesMax"), Bound::OpenFiles),
    ("process.lag", Of::Number(LAG_SECONDS), Bound::EventLoop),
    ("store.writesWaiting", Of::Number(WRITES), Bound::DatabaseWriter),
    ("store.connectionsWaiting", Of::Figure("store.connectionsMax"), Bound::DatabaseConnections),
    ("store.p99", Of::Number(LATENCY_SECONDS), Bound::DatabaseLatency),
    ("replica.lag", Of::Number(REPLICA_SECONDS), Bound::ReplicaLag),
    ("jobs.oldest", Of::Number(WAIT_SECONDS), Bound::QueueAge),
    ("front.p99", Of::Number(LATENCY_SECONDS), Bound::Latency),
    ("http.p99", Of::Number(LATENCY_SECONDS), Bound::Latency),
];

/// The nearest; none where nobody has a figure.
pub fn of(picture: &Picture) -> Option<Bottleneck> {
    let all = picture.elements.iter().flat_map(measured);
    all.max_by(|left, right| left.used.total_cmp(&right.used))
}

fn measured(element: &Element) -> Vec<Bottleneck> {
    let found = |bound, used: f64, names: &[&str]| {
        let figures =
            names.iter().filter_map(|name| Some(((*name).to_owned(), *element.figures.get(*name)?)));
        Bottleneck { element: element.id.clone(), bound, used, figures: figures.collect() }
    };
    let is_vital = matches!(element.kind, "primary" | "bus" | "queue");
    if element.state == State::Down && is_vital {
        return vec![found(Bound::Down, f64::from(u8::MAX), &[])];
    }
    let figure = |name: &str| element.figures.get(name).copied();
    let mut all = Vec::new();
    for (name, of, bound) in &MEASURES {
        let Some(value) = figure(name) else { continue };
        let (used, names): (f64, Vec<&str>) = match of {
            Of::Number(most) => (value / most, vec![name]),
            Of::Figure(most) => match figure(most).filter(|most| *most > 0.0) {
                Some(at_most) => (value / at_most, vec![name, most]),
                None => continue,
            },
            Of::Rest(most) => match figure(most).filter(|most| *most > 0.0) {
                Some(at_most) => (1.0 - value / at_most, vec![name, most]),
                None => continue,
            },
        };
        // A percentile of few requests says little: one slow export is no bound of the system.
        let rate = figure("http.requests").or(figure("front.requests"));
        if *bound == Bound::Latency && rate.is_none_or(|rate| rate < 1.0) {
            continue;
        }
        all.push(found(*bound, used, &names));
    }
    let (up, down) = (figure("front.nodesUp"), figure("front.nodesDown"));
    if let (Some(up), Some(down)) = (up, down)
        && down > 0.0
    {
        all.push(found(Bound::Nodes, down / (up + down), &["front.nodesUp", "front.nodesDown"]));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(id: &str, kind: &'static str, figures: &[(&str, f64)]) -> Element {
        let figures = figures.iter().map(|(name, value)| ((*name).into(), *value)).collect();
        Element { id: id.into(), kind, figures, ..Element::default() }
    }

    #[test]
    fn the_nearest_bound_is_told() {
        let mut picture = Picture::default();
        assert_eq!(of(&picture), None);
        picture.elements = vec![
            element(
                "web:a",
                "web",
                &[("host.cpu", 0.4), ("process.files", 10.0), ("process.filesMax", 100.0)],
            ),
            element("web:b", "web", &[("host.diskFree", 30.0), ("host.diskMax", 100.0)]),
        ];
        let found = of(&picture).unwrap();
        assert_eq!((found.element.as_str(), found.bound, found.used), ("web:b", Bound::Disk, 0.7));
        assert_eq!(found.figures.len(), 2);
        picture.elements.push(element("queue", "queue", &[("jobs.oldest", 600.0)]));
        assert_eq!(of(&picture).unwrap().bound, Bound::QueueAge);
        picture.elements.push(Element { state: State::Down, ..element("db", "primary", &[]) });
        assert_eq!(of(&picture).unwrap().bound, Bound::Down);
    }

    #[test]
    fn a_slow_request_of_few_is_no_bound() {
        let mut picture = Picture::default();
        picture.elements.push(element(
            "a",
            "web",
            &[("http.p99", 5.0), ("http.requests", 0.1), ("host.cpu", 0.1)],
        ));
        assert_eq!(of(&picture).unwrap().bound, Bound::Cpu);
        picture.elements[0].figures.insert("http.requests".into(), 50.0);
        assert_eq!(of(&picture).unwrap().bound, Bound::Latency);
    }
}
