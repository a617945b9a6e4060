//! From text to a topology. A key that is not known is an error that names the nearest one that is.

use std::path::Path;

use super::Topology;
use crate::error::{Error, read};

/// How alike a wrong key must be to a right one to be named.
const SIMILARITY_MIN: f64 = 0.6;

impl Topology {
    pub fn read(path: impl AsRef<Path>) -> Result<Topology, Error> {
        let path = path.as_ref();
        let text = read(path.to_path_buf())?;
        let located = |message: String| Error::Topology(format!("{}: {message}", path.display()));
        Topology::parse(&text).map_err(|error| located(error.to_string()))
    }

    pub fn parse(text: &str) -> Result<Topology, Error> {
        let parsed = toml::from_str::<Topology>(text);
        let topology = parsed.map_err(|error| Error::Topology(explain(text, &error)))?;
        topology.check()?;
        Ok(topology)
    }

    pub fn render(&self) -> Result<String, Error> {
        toml::to_string_pretty(self).map_err(|error| Error::Topology(error.to_string()))
    }
}

fn explain(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
    let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let message = error.message();
    // Serde names the key and what it could have been, each in backticks.
    let mut names = message.split('`').skip(1).step_by(2);
    match names.next() {
        Some(wrong) if message.starts_with("unknown field") || message.starts_with("unknown variant") => {
            let known: Vec<&str> = names.collect();
            format!("{place}unknown {wrong:?}{}", suggestion(wrong, &known))
        }
        _ => format!("{place}{message}"),
    }
}

fn suggestion(wrong: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match nearest {
        Some((similarity, name)) if similarity >= SIMILARITY_MIN => format!("; did you mean {name:?}?"),
        _ => format!("; there is {}", known.join(", ")),
    }
}
