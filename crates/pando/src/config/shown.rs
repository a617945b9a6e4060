//! The configuration as it is in force, written as a file: each key under its comment, what is as it is by default commented
//! out. Secrets are left away.

use super::Config;
use super::described::{Key, SECTION, by_table};
use super::given::known_keys;

/// Where a line of a comment ends.
const COLUMNS: usize = 110;

pub fn shown(config: &Config) -> String {
    let defaults = known_keys();
    let is_default = |key: &Key| defaults.iter().any(|it| it.path == key.path && it.value == key.value);
    let mut text =
        String::from("# The configuration in force. What is commented out is so by default, or a secret.\n");
    for (table, keys) in by_table(config) {
        if let Some(about) = keys.iter().find(|key| key.kind == SECTION) {
            text.push('\n');
            comment(&mut text, &about.help);
        }
        if !table.is_empty() {
            text += &format!("[{table}]\n");
        }
        for key in keys.iter().filter(|key| key.kind != SECTION) {
            let name = key.path.rsplit('.').next().unwrap_or_default();
            text.push('\n');
            comment(&mut text, &key.help);
            text += &match &key.value {
                None => format!("# {name} =\n"),
                Some(value) if is_default(key) => format!("# {name} = {value}\n"),
                Some(_) if is_secret(key) => format!("# {name} is set, and not shown\n"),
                Some(value) => format!("{name} = {value}\n"),
            };
        }
    }
    text
}

/// Whether a value lets in who knows it, as a password in an address does.
fn is_secret(key: &Key) -> bool {
    let name = key.path.rsplit('.').next().unwrap_or_default();
    let text = key.value.as_ref().and_then(toml::Value::as_str).unwrap_or_default();
    match name {
        "secret" => !text.is_empty(),
        "headers" => key.path.starts_with("otlp."),
        "url" => text.contains('@') || text.contains("password"),
        _ => false,
    }
}

fn comment(text: &mut String, help: &str) {
    let mut line = String::from("#");
    for word in help.split_whitespace() {
        if line.len() + word.len() >= COLUMNS {
            *text += &format!("{line}\n");
            line = "#".into();
        }
        line.push(' ');
        line += word;
    }
    *text += &format!("{line}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_says_the_same_when_it_is_read() {
        let text = "http = ':80'\ntrusted_proxies = '10.0.0.0/8'\n[cache.collections.posts]\nwarm = 5\n\
                    [[crons]]\nid = 'a'\nschedule = '@daily'\nurl = 'https://example.com'\n\
                    [front.tls]\ncertificates = [{ cert = 'a', key = 'b' }]\n[queue]\nengine = 'nats'\n";
        let config: Config = toml::from_str(text).unwrap();
        let again: Config = toml::from_str(&shown(&config)).unwrap();
        assert_eq!(toml::Value::try_from(&again).unwrap(), toml::Value::try_from(&config).unwrap());
        // What is commented out says what holds without it.
        let is_key = |line: &str| line.split_once(" = ").is_some_and(|(name, _)| !name.contains(' '));
        let shown = shown(&Config::default());
        let lines =
            shown.lines().map(|line| line.strip_prefix("# ").filter(|line| is_key(line)).unwrap_or(line));
        let read: Config = toml::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap();
        assert_eq!(toml::Value::try_from(&read).unwrap(), toml::Value::try_from(Config::default()).unwrap());
    }

    #[test]
    fn secrets_are_not_shown() {
        let text = "data.url = 'postgres://a:hidden@b/c'\nfront.secret = 'hidden'\notlp.headers = 'k=hidden'\n\
                    bus.url = 'nats://a:hidden@b'\nfiles.s3.secret = 'hidden'\ncache.redis.url = 'redis://:hidden@b'\n\
                    queue.url = 'nats://open:4222'\n[edge.key]\nheaders = 'X-Plan'\n";
        let shown = shown(&toml::from_str(text).unwrap());
        assert!(!shown.contains("hidden"), "{shown}");
        assert!(shown.contains("\nurl = \"nats://open:4222\"\n"), "{shown}");
        assert!(shown.contains("# secret is set"), "{shown}");
    }
}
