//! What is shipped for Prometheus and Grafana speaks of metrics that there are.

use std::collections::BTreeSet;
use std::process::Command;

use testkit::tools;

/// Every name of a metric in the text that is Pando's own or a process's.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter: char| !is_part(letter));
    words
        .filter(|word| word.starts_with("pando_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn rules_and_dashboards_name_metrics_that_there_are() {
    let root = tools::workspace();
    let documented = std::fs::read_to_string(root.join("docs/metrics.md")).unwrap();
    for file in ["deploy/prometheus/alerts.yml", "deploy/grafana/pando.json"] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let names = named(&text);
        assert!(names.len() >= 8, "{file}: {names:?}");
        for name in names {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let is_known = |name: &str| documented.contains(&format!("`{name}`"));
            assert!(is_known(&name) || base.is_some_and(is_known), "{file}: {name} is no metric");
        }
    }
    let dashboard = std::fs::read_to_string(root.join("deploy/grafana/pando.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids: Vec<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), panels.len());
}

#[test]
fn prometheus_takes_the_rules() {
    let rules = tools::workspace().join("deploy/prometheus/alerts.yml");
    match Command::new("promtool").args(["check", "rules"]).arg(rules).output() {
        Ok(checked) => assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr)),
        // It is Debian's `prometheus`, which not every machine has.
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}"),
    }
}
