//! Where the servers are, as one URL.

use fred::types::config::Config;

use super::Error;

/// Reads `redis://host:port`, `rediss://` for TLS, `redis-cluster://h1:7000,h2:7000` and
/// `redis-sentinel://h1:26379,h2:26379/NAME`; `valkey` for `redis` and fred's own spellings (`?node=`) work as well.
pub fn parse(url: &str) -> Result<Config, Error> {
    let mut config = Config::from_url(&respell(url)?).map_err(|error| Error::Url(error.details().into()))?;
    // A server that is not there yet is tried again, like one that has gone.
    config.fail_fast = false;
    Ok(config)
}

/// Several hosts and the name of a Sentinel's service in the way that fred has them.
fn respell(url: &str) -> Result<String, Error> {
    let malformed = || Error::Url("it is not of the form redis://host:port".into());
    let (scheme, rest) = url.split_once("://").ok_or_else(malformed)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (format!("{login}@"), hosts),
        None => (String::new(), authority),
    };
    let is_sentinel = scheme.ends_with("-sentinel");
    let port = if is_sentinel { "26379" } else { "6379" };
    let mut hosts = hosts.split(',').map(|host| match host.rsplit_once(':') {
        Some((_, digits)) if digits.bytes().all(|digit| digit.is_ascii_digit()) => host.to_string(),
        _ => format!("{host}:{port}"),
    });
    let first = hosts.next().filter(|host| !host.starts_with(':')).ok_or_else(malformed)?;
    let mut parameters: Vec<String> =
        query.split('&').filter(|part| !part.is_empty()).map(Into::into).collect();
    parameters.extend(hosts.map(|host| format!("node={host}")));
    let mut path = path.to_string();
    if is_sentinel && !query.contains("sentinelServiceName=") {
        let (name, database) = path.split_once('/').unwrap_or((&path, ""));
        if name.is_empty() {
            return Err(Error::Url("it does not name the service: redis-sentinel://host:port/NAME".into()));
        }
        parameters.push(format!("sentinelServiceName={name}"));
        path = database.to_string();
    }
    let query = if parameters.is_empty() { String::new() } else { format!("?{}", parameters.join("&")) };
    Ok(format!("{scheme}://{login}{first}/{path}{query}"))
}

#[cfg(test)]
mod tests {
    use fred::types::config::ServerConfig;

    use super::*;

    fn hosts(url: &str) -> String {
        let config = parse(url).unwrap();
        let list = |hosts: &[fred::types::config::Server]| {
            let mut list: Vec<_> = hosts.iter().map(|host| format!("{}:{}", host.host, host.port)).collect();
            // A cluster's come in any order.
            list.sort();
            list.join(" ")
        };
        let login = config.password.map(|password| format!("{password}@")).unwrap_or_default();
        let database = config.database.map(|number| format!("/{number}")).unwrap_or_default();
        let tls = if config.tls.is_some() { "tls " } else { "" };
        match config.server {
            ServerConfig::Centralized { server } => format!("{tls}{login}{}{database}", list(&[server])),
            ServerConfig::Clustered { hosts, .. } => format!("{tls}{login}cluster {}", list(&hosts)),
            ServerConfig::Sentinel { hosts, service_name, .. } => {
                format!("{tls}{login}{service_name} {}{database}", list(&hosts))
            }
        }
    }

    #[test]
    fn every_kind_of_url_is_read() {
        assert_eq!(hosts("redis://one"), "one:6379");
        assert_eq!(hosts("redis://one:7000/2"), "one:7000/2");
        assert_eq!(hosts("redis://user:se%40cret@one:7000"), "se@cret@one:7000");
        assert_eq!(hosts("redis-cluster://one:7000,two:7001,three"), "cluster one:7000 three:6379 two:7001");
        assert_eq!(hosts("redis-sentinel://one,two:5/main"), "main one:26379 two:5");
        assert_eq!(hosts("redis-sentinel://:pw@one,two:5/main/3"), "pw@main one:26379 two:5/3");
        assert_eq!(hosts("redis-sentinel://one:1?sentinelServiceName=main&node=two:2"), "main one:1 two:2");
        for wrong in ["", "one:6379", "redis://", "redis-sentinel://one", "http//one"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
