//! What the chosen metrics are at one moment, read from their own text, and what became of two such moments.

use super::chosen::{CHOSEN, Fold, Of, Source};

/// The values of all sources. Cheap enough to be made every few seconds: one pass over the text.
#[derive(Clone, Default)]
pub struct Reading(Vec<[Raw; 2]>);

#[derive(Clone, Default, PartialEq, Debug)]
enum Raw {
    /// The process keeps no such metric.
    #[default]
    Absent,
    Number(f64),
    /// Upper bounds, and how many observations are not above them.
    Buckets(Vec<(f64, f64)>),
}

impl Reading {
    /// Of Prometheus' text format.
    pub fn of(text: &str) -> Self {
        let mut reading = Reading(vec![Default::default(); CHOSEN.len()]);
        for line in text.lines() {
            if line.starts_with('#') {
                continue;
            }
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let Ok(value) = value.parse::<f64>() else { continue };
            reading.hear(name, labels, value);
        }
        reading
    }

    fn hear(&mut self, name: &str, labels: &str, value: f64) {
        for (chosen, raws) in CHOSEN.iter().zip(&mut self.0) {
            let [first, second] = raws;
            match &chosen.of {
                Of::Rate(source) if fits(source, name, labels) => first.fold(value, Fold::Sum),
                Of::Gauge(source, fold) if fits(source, name, labels) => first.fold(value, *fold),
                Of::Share(part, rest) => {
                    if fits(part, name, labels) {
                        first.fold(value, Fold::Sum);
                    } else if fits(rest, name, labels) {
                        second.fold(value, Fold::Sum);
                    }
                }
                Of::Observations(source) if name.strip_suffix("_count") == Some(source.metric) => {
                    first.fold(value, Fold::Sum);
                }
                Of::Quantile(source, _) => {
                    let is_bucket = name.strip_suffix("_bucket") == Some(source.metric);
                    if is_bucket && let Some(bound) = bound(labels) {
                        first.add_bucket(bound, value);
                    }
                }
                _ => {}
            }
        }
    }

    /// The series' values, of which this reading is the end and the other one the beginning. Not a number where there is
    /// none.
    pub fn since(&self, before: &Reading, seconds: f64) -> Vec<f32> {
        let values = CHOSEN.iter().enumerate().map(|(index, chosen)| {
            let (now, then) = (&self.0[index], &before.0[index]);
            let value = match &chosen.of {
                Of::Rate(_) | Of::Observations(_) => now[0].grown(&then[0]).map(|grown| grown / seconds),
                Of::Gauge(..) => now[0].number(),
                Of::Share(..) => match (now[0].grown(&then[0]), now[1].grown(&then[1])) {
                    (None, None) => None,
                    (part, rest) => {
                        let (part, rest) = (part.unwrap_or(0.0), rest.unwrap_or(0.0));
                        (part + rest > 0.0).then(|| part / (part + rest))
                    }
                },
                Of::Quantile(_, quantile) => now[0].quantile(&then[0], *quantile),
            };
            value.map_or(f32::NAN, |value| value as f32)
        });
        values.collect()
    }

    /// A gauge's value now.
    pub fn gauge(&self, index: usize) -> Option<f64> {
        match CHOSEN[index].of {
            Of::Gauge(..) => self.0[index][0].number(),
            _ => None,
        }
    }
}

/// A metric's values by one of its labels.
pub fn labelled(text: &str, metric: &str, label: &str) -> Vec<(String, f64)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(metric)?.strip_prefix('{'));
    let values = lines.filter_map(|line| {
        let (labels, value) = line.rsplit_once("} ")?;
        let (_, rest) = labels.split_once(&format!("{label}=\""))?;
        Some((rest.split_once('"')?.0.to_owned(), value.parse().ok()?))
    });
    values.collect()
}

fn fits(source: &Source, name: &str, labels: &str) -> bool {
    source.metric == name && (source.label.is_empty() || labels.contains(source.label))
}

fn bound(labels: &str) -> Option<f64> {
    let (_, rest) = labels.split_once("le=\"")?;
    match rest.split_once('"')?.0 {
        "+Inf" => Some(f64::INFINITY),
        bound => bound.parse().ok(),
    }
}

impl Raw {
    fn fold(&mut self, value: f64, fold: Fold) {
        let before = self.number();
        *self = Raw::Number(match (before, fold) {
            (None, _) => value,
            (Some(before), Fold::Sum) => before + value,
            (Some(before), Fold::Max) => before.max(value),
            (Some(before), Fold::Min) => before.min(value),
        });
    }

    fn add_bucket(&mut self, bound: f64, value: f64) {
        if !matches!(self, Raw::Buckets(_)) {
            *self = Raw::Buckets(Vec::new());
        }
        let Raw::Buckets(buckets) = self else { return };
        match buckets.iter_mut().find(|(known, _)| *known == bound) {
            Some((_, sum)) => *sum += value,
            None => buckets.push((bound, value)),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Raw::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A counter that is lower than before began anew.
    fn grown(&self, before: &Raw) -> Option<f64> {
        let now = self.number()?;
        let before = before.number().unwrap_or(0.0);
        Some(if now < before { now } else { now - before })
    }

    fn quantile(&self, before: &Raw, quantile: f64) -> Option<f64> {
        let Raw::Buckets(buckets) = self else { return None };
        let earlier = |bound: f64| match before {
            Raw::Buckets(before) => {
                before.iter().find(|(known, _)| *known == bound).map_or(0.0, |(_, sum)| *sum)
            }
            _ => 0.0,
        };
        let grown: Vec<(f64, f64)> =
            buckets.iter().map(|(bound, sum)| (*bound, (sum - earlier(*bound)).max(0.0))).collect();
        let all = grown.last().map_or(0.0, |(_, sum)| *sum);
        if all <= 0.0 {
            return None;
        }
        let rank = quantile * all;
        let mut below = (0.0, 0.0);
        for (bound, sum) in grown {
            if sum >= rank {
                // Nothing is known of what lies above the last bound but that it does.
                if bound.is_infinite() {
                    return Some(below.0);
                }
                let within = if sum > below.1 { (rank - below.1) / (sum - below.1) } else { 1.0 };
                return Some(below.0 + (bound - below.0) * within);
            }
            below = (bound, sum);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::chosen::position;
    use super::*;

    fn value(values: &[f32], name: &str) -> f32 {
        values[position(name).unwrap()]
    }

    #[test]
    fn rates_shares_and_quantiles_are_of_what_is_new() {
        let text = |requests: u32, failed: u32, fast: u32, slow: u32| {
            let all = fast + slow;
            format!(
                "# TYPE pando_http_requests_total counter\n\
                 pando_http_requests_total{{route=\"a\",method=\"GET\",status=\"2xx\"}} {requests}\n\
                 pando_http_requests_total{{route=\"b\",method=\"GET\",status=\"5xx\"}} {failed}\n\
                 pando_http_request_duration_seconds_bucket{{route=\"a\",le=\"0.01\"}} {fast}\n\
                 pando_http_request_duration_seconds_bucket{{route=\"a\",le=\"0.1\"}} {all}\n\
                 pando_http_request_duration_seconds_bucket{{route=\"a\",le=\"+Inf\"}} {all}\n\
                 pando_cache_hits_total{{cache=\"a\",tier=\"memory\"}} {fast}\n\
                 pando_cache_misses_total{{cache=\"a\",tier=\"memory\"}} {slow}\n\
                 pando_http_connections 7\n"
            )
        };
        let before = Reading::of(&text(100, 1, 50, 50));
        let now = Reading::of(&text(190, 11, 140, 60));
        let values = now.since(&before, 10.0);
        assert_eq!(value(&values, "http.requests"), 10.0);
        assert_eq!(value(&values, "http.errors"), 1.0);
        assert_eq!(value(&values, "http.connections"), 7.0);
        assert_eq!(value(&values, "cache.hits"), 0.9);
        assert!((value(&values, "http.p50") - 0.01 * 50.0 / 90.0).abs() < 1e-4);
        assert!((value(&values, "http.p99") - (0.01 + 0.09 * 0.9)).abs() < 1e-4);
        assert!(
            value(&values, "jobs.due").is_nan(),
            "a process that keeps no such figure has no such series"
        );
        let quiet = now.since(&now, 10.0);
        assert_eq!(value(&quiet, "http.requests"), 0.0);
        assert!(value(&quiet, "http.p99").is_nan());
        assert_eq!(value(&before.since(&now, 10.0), "http.requests"), 10.1, "began anew");
    }

    #[test]
    fn values_are_told_by_a_label() {
        let text = "# TYPE lag gauge\nlag{host=\"a:1\"} 2\nlag{host=\"b\",x=\"y\"} 0.5\nlagged{host=\"c\"} 1\nlag 3\n";
        assert_eq!(labelled(text, "lag", "host"), [("a:1".to_owned(), 2.0), ("b".to_owned(), 0.5)]);
    }

    #[test]
    fn what_is_no_metric_is_passed_over() {
        for text in ["", "\n", "x", "pando_http_connections", "pando_http_connections x", "{ 1", "a{le=\"} 1"]
        {
            assert!(Reading::of(text).since(&Reading::of(""), 1.0).iter().all(|value| value.is_nan()));
        }
    }
}
