//! What was given in the file and in the environment: read, and refused where no key is called so.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::Config;
use super::described::{Described, Key, SECTION};

const FILE: &str = "pando.toml";
const ENV_PREFIX: &str = "PANDO_";
/// How alike a wrong key must be to a right one to be named.
const SIMILARITY_MIN: f64 = 0.6;

/// The file and, over it, the environment.
pub fn table(path: Option<&Path>, vars: impl Iterator<Item = (String, String)>) -> Result<toml::Table> {
    let known = known_keys();
    let mut table = match read_file(path)? {
        Some((path, text)) => {
            let table: toml::Table =
                toml::from_str(&text).with_context(|| format!("{} is not valid TOML", path.display()))?;
            check_keys(&table, "", &known).with_context(|| format!("in {}", path.display()))?;
            table
        }
        None => toml::Table::new(),
    };
    overlay(&mut table, vars, &known)?;
    Ok(table)
}

/// Every key there is, with its default. One that is an empty table has names of the user's for keys.
pub fn known_keys() -> Vec<Key> {
    let mut keys = Vec::new();
    Config::default().describe("", "", &mut keys);
    keys.retain(|key| key.kind != SECTION);
    keys
}

/// The variable that sets a key.
pub fn variable(path: &str) -> String {
    format!("{ENV_PREFIX}{}", path.replace('.', "_").to_ascii_uppercase())
}

fn read_file(path: Option<&Path>) -> Result<Option<(PathBuf, String)>> {
    let given = path.is_some();
    let path = path.unwrap_or(Path::new(FILE)).to_path_buf();
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !given => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

pub fn check_keys(table: &toml::Table, prefix: &str, known: &[Key]) -> Result<()> {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let is_section = known.iter().any(|known| known.path.starts_with(&format!("{path}.")));
        match value {
            toml::Value::Table(inner) if is_section => check_keys(inner, &path, known)?,
            _ if known.iter().any(|known| known.path == path) => {}
            _ => {
                let paths: Vec<&str> = known.iter().map(|known| known.path.as_str()).collect();
                bail!("unknown key {path:?}{}", suggestion(&path, &paths));
            }
        }
    }
    Ok(())
}

fn suggestion(path: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(path, candidate), candidate))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match nearest {
        Some((similarity, name)) if similarity >= SIMILARITY_MIN => format!("; did you mean {name:?}?"),
        _ => format!("; the keys are {}", known.join(", ")),
    }
}

/// `PANDO_DATA_URL` is `data.url`; `PANDO_DATA` is short for it.
fn overlay(
    table: &mut toml::Table,
    vars: impl Iterator<Item = (String, String)>,
    known: &[Key],
) -> Result<()> {
    for (name, value) in vars {
        if !name.starts_with(ENV_PREFIX) {
            continue;
        }
        let spelled = if name == "PANDO_DATA" { variable("data.url") } else { name.to_ascii_uppercase() };
        let Some(key) = known.iter().find(|key| variable(&key.path) == spelled) else {
            let names: Vec<String> = known.iter().map(|key| variable(&key.path)).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            bail!("unknown environment variable {name}{}", suggestion(&name, &names));
        };
        let value = read(key, &value).with_context(|| format!("in the environment variable {name}"))?;
        let mut at = &mut *table;
        let mut names: Vec<&str> = key.path.split('.').collect();
        let Some(last) = names.pop() else { continue };
        for name in names {
            let entry = at.entry(name).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            let toml::Value::Table(inner) = entry else { bail!("{name} must be a table") };
            at = inner;
        }
        at.insert(last.to_string(), value);
    }
    Ok(())
}

/// What a text means for a key, by what its default is.
fn read(key: &Key, text: &str) -> Result<toml::Value> {
    match key.value {
        Some(toml::Value::Integer(_)) => match text.trim().parse::<i64>() {
            Ok(number) => Ok(number.into()),
            Err(_) => bail!("{} is a number, not {text:?}", key.path),
        },
        Some(toml::Value::Boolean(_)) => match text {
            "true" | "1" => Ok(true.into()),
            "false" | "0" | "" => Ok(false.into()),
            _ => bail!("{} is true or false, not {text:?}", key.path),
        },
        Some(toml::Value::Table(_) | toml::Value::Array(_)) => {
            let inline: toml::Table = toml::from_str(&format!("it = {text}")).with_context(|| {
                format!("{} is written as in TOML: {{ name = {{ … }} }} or [{{ … }}]", key.path)
            })?;
            Ok(inline.into_iter().next().map_or_else(|| toml::Table::new().into(), |(_, value)| value))
        }
        _ => Ok(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use app::crons::OwnCron;

    use super::*;

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let table: toml::Table = toml::from_str("[data]\nurk = 'x'").unwrap();
        let message = check_keys(&table, "", &known_keys()).unwrap_err().to_string();
        assert!(message.contains("data.urk") && message.contains("data.url"), "{message}");
        check_keys(&toml::from_str("dir = 'x'\n[cache]\nrecord_bytes = 1").unwrap(), "", &known_keys())
            .unwrap();
        check_keys(&toml::from_str("[cache.collections.posts]\nwarm = 1").unwrap(), "", &known_keys())
            .unwrap();
    }

    #[test]
    fn own_crons_are_checked() {
        let load = |text: &str| -> Result<Vec<OwnCron>> {
            let table: toml::Table = toml::from_str(text)?;
            check_keys(&table, "", &known_keys())?;
            let config: Config = table.try_into()?;
            config.crons()
        };
        let cron = |id: &str, schedule: &str, url: &str| {
            format!("[[crons]]\nid = '{id}'\nschedule = '{schedule}'\nurl = '{url}'\n")
        };
        let good = cron("a", "*/5 * * * *", "https://example.com/x");
        assert_eq!(load(&good).unwrap().len(), 1);
        for bad in [
            cron("", "* * * * *", "https://x"),
            cron("__pbOTPCleanup__", "* * * * *", "https://x"),
            cron("a", "every day", "https://x"),
            cron("a", "@daily", "ftp://x"),
            format!("{good}{good}"),
            format!("{good}body = 'x'"),
        ] {
            assert!(load(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_environment_reaches_nested_keys() {
        let mut table = toml::Table::new();
        let collections = "{ posts = { strategy = 'cache-aside' } }";
        let vars = [
            ("PANDO_DATA", "postgres://x"),
            ("PANDO_CACHE_QUERY_BYTES", "5"),
            ("PANDO_CACHE_COLLECTIONS", collections),
            ("PANDO_FRONT_CHECK_RISE", "3"),
            ("PANDO_FRONT_FORWARDED", "1"),
            ("PANDO_CRONS", "[{ id = 'a', schedule = '@daily', url = 'https://example.com' }]"),
            ("OTHER", "1"),
        ];
        overlay(&mut table, given(&vars), &known_keys()).unwrap();
        let config: Config = table.try_into().unwrap();
        assert_eq!(config.data.url, "postgres://x");
        assert_eq!(config.cache.query_bytes, 5);
        assert_eq!((config.front.balance.check_rise, config.front.guard.forwarded), (3, true));
        assert_eq!(config.crons().unwrap().len(), 1);
        assert_eq!(config.cache.collections["posts"].strategy, "cache-aside");
        for (wrong, named) in [
            (("PANDO_DATA_ULR", ""), "PANDO_DATA_URL"),
            (("PANDO_FRONT_CHECK_RISE", "two"), "front.check_rise is a number"),
            (("PANDO_OBSERVE_METRICS", "maybe"), "observe.metrics is true or false"),
            (("PANDO_CRONS", "x"), "crons is written"),
        ] {
            let error = overlay(&mut toml::Table::new(), given(&[wrong]), &known_keys()).unwrap_err();
            assert!(format!("{error:#}").contains(named), "{error:#}");
        }
    }

    fn given(vars: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        vars.iter().map(|(name, value)| (name.to_string(), value.to_string()))
    }
}
