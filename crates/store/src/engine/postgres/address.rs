//! Where PostgreSQL is: one address may name several hosts, as libpq writes them, that hold copies of one database.

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::connect;
use crate::error::{Error, Result};

const PORT: u16 = 5432;

/// One host with all that is needed to connect to it.
#[derive(Clone)]
pub struct Address {
    /// `host:port` as the address spells it, which is also what other processes know the host by.
    pub name: String,
    pub(super) config: Config,
}

impl Address {
    /// The hosts of an address, in its order, each once.
    pub fn all(url: &str) -> Result<Vec<Address>> {
        let unreadable = |why: &str| Error::Refused(format!("the PostgreSQL address cannot be read: {why}"));
        let given: Config = url.parse().map_err(|error| unreadable(&format!("{error}")))?;
        let (hosts, numeric, ports) = (given.get_hosts(), given.get_hostaddrs(), given.get_ports());
        if hosts.len() < 2 {
            let name = hosts.first().map_or_else(String::new, |host| spelled(host, port(ports, 0)));
            return Ok(vec![Address { name, config: connect::prepared(given) }]);
        }
        if ports.len() > 1 && ports.len() != hosts.len() {
            return Err(unreadable("there are as many ports as hosts, or one for all"));
        }
        let mut out: Vec<Address> = Vec::with_capacity(hosts.len());
        for (index, host) in hosts.iter().enumerate() {
            let port = port(ports, index);
            let name = spelled(host, port);
            if out.iter().any(|other| other.name == name) {
                return Err(unreadable(&format!("{name} is named twice")));
            }
            let mut config = without_hosts(&given);
            match host {
                Host::Tcp(host) => config.host(host),
                #[cfg(unix)]
                Host::Unix(path) => config.host_path(path),
            };
            if let Some(address) = numeric.get(index) {
                config.hostaddr(*address);
            }
            config.port(port);
            out.push(Address { name, config: connect::prepared(config) });
        }
        Ok(out)
    }
}

fn port(ports: &[u16], index: usize) -> u16 {
    ports.get(index).or(ports.first()).copied().unwrap_or(PORT)
}

fn spelled(host: &Host, port: u16) -> String {
    match host {
        Host::Tcp(host) => format!("{host}:{port}"),
        #[cfg(unix)]
        Host::Unix(path) => format!("{}:{port}", path.display()),
    }
}

/// Everything that holds for all hosts. What the address says of the session it wants is not among it: which host is
/// the primary is found out otherwise.
fn without_hosts(given: &Config) -> Config {
    let mut out = Config::new();
    given.get_user().map(|user| out.user(user));
    given.get_password().map(|password| out.password(password));
    given.get_dbname().map(|name| out.dbname(name));
    given.get_options().map(|options| out.options(options));
    given.get_application_name().map(|name| out.application_name(name));
    given.get_connect_timeout().map(|timeout| out.connect_timeout(*timeout));
    out.ssl_mode(given.get_ssl_mode());
    out.ssl_negotiation(given.get_ssl_negotiation());
    out.channel_binding(given.get_channel_binding());
    out.keepalives(given.get_keepalives());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(url: &str) -> Result<Vec<String>> {
        Ok(Address::all(url)?.into_iter().map(|address| address.name).collect())
    }

    #[test]
    fn hosts_of_an_address() {
        assert_eq!(names("postgres://app:pw@db/x").unwrap(), ["db:5432"]);
        assert_eq!(names("postgres://a:1,b:2,c:3/x").unwrap(), ["a:1", "b:2", "c:3"]);
        assert_eq!(names("postgres://u@a,b/x?application_name=me").unwrap(), ["a:5432", "b:5432"]);
        assert_eq!(names("postgres://a,b:7/x").unwrap(), ["a:5432", "b:7"]);
        for wrong in ["postgres://a:1,a:1/x", "postgres://a:x,b/x", "mysql://a"] {
            assert!(matches!(names(wrong), Err(Error::Refused(_))), "{wrong}");
        }
    }

    #[test]
    fn what_holds_for_all_hosts_is_kept() {
        let all =
            Address::all("postgres://app:secret@a,b/shop?options=-c%20geqo%3Doff&connect_timeout=3").unwrap();
        let config = &all[1].config;
        assert_eq!((config.get_user(), config.get_dbname()), (Some("app"), Some("shop")));
        assert_eq!(config.get_password(), Some(&b"secret"[..]));
        assert!(config.get_options().unwrap().ends_with("-c geqo=off"));
        assert_eq!(config.get_connect_timeout().unwrap().as_secs(), 3);
        assert_eq!(config.get_hosts().len(), 1);
    }
}
