//! Where the log goes besides.

use anyhow::{Result, bail};
use backing::otlp::{Options, Resource};
use serde::{Deserialize, Serialize};

use super::Config;
use super::described::described;

described! {
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Otlp {
        /// The collector's address for OTLP over HTTP, such as `http://localhost:4318`; empty for none.
        pub endpoint: String,
        /// Headers that it wants, as `name=value`, separated by commas.
        pub headers: String,
        /// What the collector knows all processes by.
        pub service: String,
    }
}

impl Default for Otlp {
    fn default() -> Self {
        Otlp { endpoint: String::new(), headers: String::new(), service: "pando".into() }
    }
}

impl Config {
    /// None where nothing is sent.
    pub fn otlp(&self, role: &str) -> Result<Option<Options>> {
        let Otlp { endpoint, headers, service } = &self.otlp;
        if endpoint.is_empty() {
            return Ok(None);
        }
        if !["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
            bail!("otlp.endpoint is http://HOST:PORT or https://…, not {endpoint:?}");
        }
        let each = headers.split(',').map(str::trim).filter(|header| !header.is_empty());
        let headers = each.map(|header| match header.split_once('=') {
            Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
            None => bail!("otlp.headers is name=value, separated by commas"),
        });
        let resource = Resource {
            service: service.clone(),
            instance: self.node_name(),
            role: role.into(),
            zone: self.node.zone.clone(),
            region: self.node.region.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
        };
        Ok(Some(Options { endpoint: endpoint.clone(), headers: headers.collect::<Result<_>>()?, resource }))
    }
}
