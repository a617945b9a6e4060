//! Pebble, an ACME authority for tests, with a DNS that leads every name to this machine: Debian's package `pebble`.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use serde_json::json;

use crate::daemon::Daemon;
use crate::tls::Issued;
use crate::tools;

pub struct Pebble {
    pub daemon: Daemon,
    _dns: Daemon,
    port: u16,
    ca: PathBuf,
}

impl Pebble {
    /// It asks for tokens on that port.
    pub fn start(dir: &Path, http_port: u16) -> Result<Pebble> {
        for program in ["pebble", "pebble-challtestsrv"] {
            if !Path::new("/usr/bin").join(program).exists() {
                bail!("/usr/bin/{program} is missing: install Debian's package pebble");
            }
        }
        let [dns, dns_control, port, control, tls] = [(); 5].map(|()| tools::free_port());
        let own = Issued::for_names(&["localhost"])?;
        own.write(dir, "authority")?;
        let ca = dir.join("authority.pem");
        let config = json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{control}"),
            "certificate": ca,
            "privateKey": dir.join("authority.key"),
            "httpPort": http_port,
            "tlsPort": tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        let config_file = dir.join("pebble.json");
        std::fs::write(&config_file, config.to_string())?;
        let names = move || {
            let mut command = Command::new("/usr/bin/pebble-challtestsrv");
            command.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]);
            command.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
            command.args(["-dns01", &format!("127.0.0.1:{dns}")]);
            command.args(["-management", &format!("127.0.0.1:{dns_control}")]);
            Ok(command)
        };
        let answers = |port: u16| move || TcpStream::connect(("127.0.0.1", port)).is_ok();
        let names = Daemon::start(&dir.join("dns"), names, answers(dns))?;
        let authority = move || {
            let mut command = Command::new("/usr/bin/pebble");
            command.arg("-config").arg(&config_file).args(["-dnsserver", &format!("127.0.0.1:{dns}")]);
            // Without its random waits; it refuses some requests as real ones do.
            command.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "20");
            Ok(command)
        };
        let daemon = Daemon::start(&dir.join("pebble"), authority, answers(port))?;
        Ok(Pebble { daemon, _dns: names, port, ca })
    }

    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.port)
    }

    /// What vouches for its own TLS.
    pub fn ca(&self) -> String {
        self.ca.display().to_string()
    }
}
