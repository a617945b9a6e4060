//! Names of places, looked up again and again. What was found last holds while a name cannot be looked up.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use base::limits::{FRONT_ADDRESSES_MAX, FRONT_RESOLVE_WAIT_MS};

/// `host:port` each, an optional `http://` before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names(Vec<String>);

impl Names {
    /// Of a list with commas. `key` is what the configuration calls it.
    pub fn parse(list: &str, key: &str) -> Result<Names, String> {
        let each = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        let names = each.map(|name| {
            let plain = name.strip_prefix("http://").unwrap_or(name).trim_end_matches('/');
            let port = plain.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            match port.map(|(_, port)| port.parse::<u16>()) {
                Some(Ok(_)) if !plain.contains('/') => Ok(plain.to_owned()),
                _ => Err(format!("{key} is a list of http://HOST:PORT, separated by commas: not {name:?}")),
            }
        });
        names.collect::<Result<_, _>>().map(Names)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Looks names up.
#[derive(Default)]
pub struct Resolver {
    names: Names,
    found: HashMap<String, Vec<SocketAddr>>,
    failing: BTreeSet<String>,
}

impl Resolver {
    pub fn new(names: Names) -> Self {
        Resolver { names, ..Resolver::default() }
    }

    /// Names of which no address is known.
    pub fn lost(&self) -> Vec<String> {
        self.names.0.iter().filter(|name| !self.found.contains_key(*name)).cloned().collect()
    }

    /// All addresses of all names, as known by now.
    pub async fn look(&mut self) -> BTreeSet<SocketAddr> {
        for name in &self.names.0 {
            let wait = Duration::from_millis(FRONT_RESOLVE_WAIT_MS);
            let failed = match tokio::time::timeout(wait, tokio::net::lookup_host(name)).await {
                Ok(Ok(addresses)) => {
                    let addresses: Vec<_> = addresses.take(FRONT_ADDRESSES_MAX).collect();
                    match addresses.is_empty() {
                        true => Some("it has no address".to_owned()),
                        false => {
                            self.found.insert(name.clone(), addresses);
                            None
                        }
                    }
                }
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("no answer in time".to_owned()),
            };
            match failed {
                None => {
                    self.failing.remove(name);
                }
                Some(why) if self.failing.insert(name.clone()) => {
                    let known = self.found.get(name).map_or(0, Vec::len);
                    tracing::warn!(name, known, "a name cannot be looked up: {why}");
                }
                Some(_) => {}
            }
        }
        self.found.values().flatten().copied().take(FRONT_ADDRESSES_MAX).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_checked() {
        let names = Names::parse("http://a:1/, b.internal:80,[::1]:3", "front.dns").unwrap();
        assert_eq!(names.0, ["a:1", "b.internal:80", "[::1]:3"]);
        assert!(Names::parse(" , ", "x").unwrap().is_empty());
        for wrong in ["a", "https://a:1", "a:b", ":1", "a:1/x", "a:99999"] {
            assert!(Names::parse(wrong, "x").is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn what_was_found_last_holds() {
        let mut resolver = Resolver::new(Names::parse("127.0.0.1:1,127.0.0.1:2", "x").unwrap());
        assert_eq!(resolver.look().await.len(), 2);
        resolver.found.insert("nobody.invalid:3".into(), vec![([10, 0, 0, 1], 3).into()]);
        resolver.names.0.push("nobody.invalid:3".into());
        assert_eq!(resolver.look().await.len(), 3);
        assert_eq!(resolver.failing.len(), 1);
    }
}
