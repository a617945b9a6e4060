//! Prometheus' text format, read strictly: what this takes, every scraper takes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};

/// A metric with all of its series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Family {
    pub kind: String,
    pub help: String,
    /// With the name's suffix (`_bucket`, `_sum`, `_count`, or none) and the labels in their order.
    pub series: BTreeMap<(String, Vec<(String, String)>), f64>,
}

pub type Families = BTreeMap<String, Family>;

pub fn parse(text: &str) -> Result<Families> {
    ensure!(text.ends_with('\n'), "the last line does not end");
    let mut families = Families::new();
    let mut current = String::new();
    for (number, line) in text.lines().enumerate() {
        read(line, &mut families, &mut current).with_context(|| format!("line {}: {line}", number + 1))?;
    }
    for (name, family) in &families {
        check(family).with_context(|| name.clone())?;
    }
    Ok(families)
}

fn read(line: &str, families: &mut Families, current: &mut String) -> Result<()> {
    if line.is_empty() {
        return Ok(());
    }
    if let Some(rest) = line.strip_prefix("# HELP ") {
        let (name, help) = rest.split_once(' ').context("no help")?;
        ensure!(!families.contains_key(name), "described twice, or after its values");
        ensure!(is_name(name), "no name");
        families.insert(name.into(), Family { help: help.into(), ..Family::default() });
        *current = name.into();
        return Ok(());
    }
    if let Some(rest) = line.strip_prefix("# TYPE ") {
        let (name, kind) = rest.split_once(' ').context("no type")?;
        ensure!(["counter", "gauge", "histogram"].contains(&kind), "no type that is used here");
        let family = families.get_mut(name).context("no help")?;
        ensure!(name == current && family.kind.is_empty(), "the type is not where it belongs");
        family.kind = kind.into();
        return Ok(());
    }
    ensure!(!line.starts_with('#'), "a comment that is none");
    let (series, value) = line.rsplit_once(' ').context("no value")?;
    let value: f64 = match value {
        "+Inf" => f64::INFINITY,
        value => value.parse().context("no number")?,
    };
    let (name, labels) = match series.split_once('{') {
        None => (series, Vec::new()),
        Some((name, rest)) => (name, self::labels(rest)?),
    };
    let family = families.get_mut(current.as_str()).context("no family")?;
    let suffix = name.strip_prefix(current.as_str()).context("not of the family before it")?;
    let fits = match family.kind.as_str() {
        "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
        "" => bail!("no type"),
        _ => suffix.is_empty(),
    };
    ensure!(fits, "the suffix is not the type's");
    ensure!(family.series.insert((suffix.into(), labels), value).is_none(), "the series is there twice");
    Ok(())
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.bytes().all(plain) && name.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
}

/// What stands between the braces, the closing one included.
fn labels(text: &str) -> Result<Vec<(String, String)>> {
    let mut labels: Vec<(String, String)> = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = rest.split_once("=\"").context("a label without a value")?;
        ensure!(is_name(name), "no label: {name}");
        ensure!(labels.iter().all(|(known, _)| known != name), "the label {name} is there twice");
        let mut value = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next().context("a value without an end")? {
                (at, '"') => break at,
                (_, '\\') => value.push(match letters.next().map(|(_, letter)| letter) {
                    Some('n') => '\n',
                    Some(letter @ ('\\' | '"')) => letter,
                    _ => bail!("an escape that is none"),
                }),
                (_, letter) => value.push(letter),
            }
        };
        labels.push((name.into(), value));
        match &after[end + 1..] {
            "}" => return Ok(labels),
            more => rest = more.strip_prefix(',').context("no comma")?,
        }
    }
}

fn check(family: &Family) -> Result<()> {
    ensure!(!family.kind.is_empty() && !family.series.is_empty(), "it has no type, or no values");
    ensure!(family.series.values().all(|value| value.is_finite()), "a value is none");
    if family.kind != "gauge" {
        ensure!(family.series.values().all(|value| *value >= 0.0), "a count is negative");
    }
    if family.kind != "histogram" {
        return Ok(());
    }
    let mut keys = BTreeSet::new();
    for (suffix, labels) in family.series.keys() {
        keys.insert(labels.iter().filter(|(name, _)| name != "le").cloned().collect::<Vec<_>>());
        let bounds = labels.iter().filter(|(name, _)| name == "le").count();
        ensure!(bounds == usize::from(suffix == "_bucket"), "a bound where none belongs");
    }
    for key in keys {
        let of = |suffix: &str| family.series.get(&(suffix.to_owned(), key.clone())).copied();
        let (count, _) = (of("_count").context("no count")?, of("_sum").context("no sum")?);
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for ((_, labels), value) in family.series.iter().filter(|((suffix, _), _)| suffix == "_bucket") {
            let rest: Vec<_> = labels.iter().filter(|(name, _)| name != "le").cloned().collect();
            let bound = labels.iter().find(|(name, _)| name == "le").map(|(_, bound)| bound.as_str());
            match bound {
                Some("+Inf") if rest == key => buckets.push((f64::INFINITY, *value)),
                Some(bound) if rest == key => buckets.push((bound.parse()?, *value)),
                _ => {}
            }
        }
        buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
        ensure!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "buckets are not sums");
        ensure!(buckets.last() == Some(&(f64::INFINITY, count)), "the last bucket is not the count");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_sound_passes() {
        let good = "# HELP a_total what\n# TYPE a_total counter\na_total{x=\"1\",y=\"a\\\"b\"} 2\na_total 3\n\n\
            # HELP h what\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n";
        let families = parse(good).unwrap();
        let labels = vec![("x".to_owned(), "1".to_owned()), ("y".to_owned(), "a\"b".to_owned())];
        assert_eq!(families["a_total"].series[&(String::new(), labels)], 2.0);
        for (from, to) in [
            ("# HELP a_total what\n", ""),
            ("# TYPE a_total counter\n", ""),
            ("a_total 3\n", "a_total 3\na_total 3\n"),
            ("a_total 3", "a_total -3"),
            ("a_total 3", "a_total NaN"),
            ("a_total 3", "b_total 3"),
            ("a\\\"b", "a\\b"),
            ("a\\\"b", "a\"b"),
            ("h_count 2", "h_count 3"),
            ("h_sum 3\n", ""),
            ("h_bucket{le=\"1\"} 1", "h_bucket{le=\"1\"} 4"),
            ("h_count 2\n", "h_count 2"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert!(parse(&bad).is_err(), "{bad}");
        }
    }
}
