//! docs/configuration.md: made of the keys, and of who reads them.

use super::described::{Described, Key, SECTION, by_table};
use super::given::variable;
use super::{Config, Cron, cache};

const INTRODUCTION: &str = "# Configuration\n\n\
    Every key there is. This list is made from the comments in `crates/pando/src/config`;\n\
    `PANDO_WRITE_DOCS=1 cargo test -p pando --bin pando` writes it anew, and a test fails where it is not the same.\n\n\
    한국어: [설정](ko/configuration.md)\n\n\
    The command line wins over the environment, that over `pando.toml` in the working directory (or `--config FILE`), that over\n\
    the defaults. A key or variable that does not exist is an error that names the nearest one. `pando config` shows what is in\n\
    force, as a file with comments, without secrets: `pando config > new.toml` is a way to begin one, under another name than that of\n\
    the file in use, which the shell would empty before it is read.\n\n\
    Lists in a text are separated by commas. Times end with `_ms` and are milliseconds, sizes end with `_bytes`. A switch is `true` or\n\
    `false`. What PocketBase keeps in its settings (mail server, S3 for files and backups, rate limits, the request log, and so on) is\n\
    kept there, and changed over the API or in the dashboard.\n\n\
    **Options** of the command line: `--dir` is `dir`, `--data` is `data.url`, `--encryption-env` is `encryption_env`; of `serve` and\n\
    `web`, `--http` is `http`, `--public-dir` is `public_dir`, `--index-fallback` is `index_fallback`; of `balance` and `edge`, `--http`\n\
    is `front.http` and `--to` is `front.nodes`; of `worker`, `--http` is `observe.http`.\n\n\
    **Read by**: *API* is `pando serve` and `pando web`; *worker*, *balance* and *edge* are those roles; *commands* are `pando move`,\n\
    `superuser` and `types`; *all* are all of these. A key that a role does not read does no harm there, so that one file can serve all.\n";

/// Who reads what, by the beginning of a key's path; the longest counts.
const READERS: [(&str, &str); 31] = [
    ("announce", "API, worker"),
    ("bus", "API, worker, balance, edge; commands tell it what they wrote"),
    ("cache", "API, worker"),
    ("cache.collections", "API, worker"),
    ("crons", "API, worker"),
    ("dashboard", "API"),
    ("data", "API, worker, commands"),
    ("dir", "API, worker, commands"),
    ("drain_ms", "API"),
    ("edge", "edge"),
    ("encryption_env", "API, worker, commands"),
    ("files", "API, worker, `move --files`"),
    ("front", "balance, edge"),
    ("front.secret", "balance, edge, `purge`, `front-status`"),
    ("http", "API"),
    ("index_fallback", "API"),
    ("jobs", "`web`"),
    ("log", "all"),
    ("mail", "API, worker"),
    ("node", "all"),
    ("observe.http", "API, worker"),
    ("observe.metrics", "API, worker, balance, edge"),
    ("otlp", "API, worker"),
    ("outbound", "API, worker"),
    ("passkeys", "API"),
    ("public_dir", "API"),
    ("queue", "API, worker"),
    ("queues", "API, worker"),
    ("trusted_proxies", "API"),
    ("cache.redis", "API, worker"),
    ("edge.peers", "balance, edge"),
];

fn readers(path: &str) -> &'static str {
    let under = |at: &str| path == at || path.strip_prefix(at).is_some_and(|rest| rest.starts_with('.'));
    let of = READERS.iter().filter(|(at, _)| under(at)).max_by_key(|(at, _)| at.len());
    of.unwrap_or_else(|| panic!("READERS does not say who reads {path}")).1
}

/// With one of each thing that users name.
fn tables() -> Vec<(String, Vec<Key>)> {
    let mut config = Config::default();
    config.cache.collections.insert("NAME".into(), cache::Collection::default());
    by_table(&config)
}

fn document() -> String {
    const HEAD: &str = "\n| key | environment | kind | default | read by | what it is |\n| --- | --- | --- | --- | --- | --- |\n";
    let mut text = String::from(INTRODUCTION);
    for (table, keys) in tables() {
        text += &match table.as_str() {
            "" => "\n## At the top\n".to_owned(),
            table => format!("\n## `{table}`\n"),
        };
        for about in keys.iter().filter(|key| key.kind == SECTION) {
            text += &format!("\n{}\n", about.help);
        }
        let rows: String = keys.iter().filter(|key| key.kind != SECTION).map(row).collect();
        if !rows.is_empty() {
            text += &format!("{HEAD}{rows}");
        }
    }
    text
}

fn row(key: &Key) -> String {
    let variable = match key.path.contains("NAME") {
        true => "in `PANDO_CACHE_COLLECTIONS`".to_owned(),
        false => format!("`{}`", variable(&key.path)),
    };
    let default = match &key.value {
        None => "–".to_owned(),
        Some(toml::Value::String(text)) if text.is_empty() => "empty".to_owned(),
        Some(toml::Value::Array(list)) if list.is_empty() => "none".to_owned(),
        Some(toml::Value::Integer(number)) => format!("{number}{}", human(&key.path, *number)),
        Some(value) => format!("`{}`", value.to_string().trim_matches('"')),
    };
    let help = key.help.replace('|', "\\|");
    format!("| `{}` | {variable} | {} | {default} | {} | {help} |\n", key.path, key.kind, readers(&key.path))
}

/// A large number once more, as people say it.
fn human(path: &str, number: i64) -> String {
    let units: &[(i64, &str)] = match path {
        path if path.contains("_bytes") => &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")],
        path if path.ends_with("_ms") => {
            &[(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")]
        }
        _ => &[],
    };
    let fits = units.iter().find(|(unit, _)| number >= *unit && number % unit == 0);
    fits.map_or_else(String::new, |(unit, name)| format!(" ({} {name})", number / unit))
}

#[test]
fn the_document_lists_all_keys() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let text = document();
    if std::env::var_os("PANDO_WRITE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == text,
        "docs/configuration.md is of other keys"
    );
}

#[test]
fn what_is_said_of_keys_is_whole_and_is_about_keys() {
    let keys: Vec<Key> = tables().into_iter().flat_map(|(_, keys)| keys).collect();
    for key in &keys {
        assert!(key.help.ends_with('.'), "what {} is, is no sentence: {}", key.path, key.help);
    }
    for (at, _) in READERS {
        assert!(keys.iter().any(|key| key.path.starts_with(at)), "READERS: there is no {at}");
    }
    // A list is written as one in TOML, and needs a whole element to be looked at.
    let cron = Cron { id: "a".into(), schedule: "@daily".into(), url: "https://example.com".into() };
    let config = Config { crons: vec![cron], ..Config::default() };
    let mut with = Vec::new();
    config.describe("", "", &mut with);
    assert!(
        with.iter().any(|key| key.path == "crons" && key.value.as_ref().is_some_and(toml::Value::is_array))
    );
}
