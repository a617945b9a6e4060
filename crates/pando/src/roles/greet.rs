//! What a server says at its start.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Result;
use app::{Parts, auth};

use crate::assemble::Assembled;
use crate::config::Config;

pub async fn greet(config: &Config, assembled: &Assembled, address: SocketAddr) -> Result<()> {
    println!("Pando {} serves {}", env!("CARGO_PKG_VERSION"), assembled.place);
    println!("  API: http://{address}/api/");
    if config.dashboard {
        println!("  Dashboard: http://{address}/_/");
    }
    warn(config, assembled);
    Ok(())
}

/// Says how the first superuser is made, while there is none. Apart from the greeting, as a password that nobody knows is hashed
/// for it, and no request need wait for that.
pub async fn invite(config: Config, parts: Arc<Parts>, address: SocketAddr) {
    if let Err(error) = invited(&config, &parts, address).await {
        tracing::warn!(%error, "cannot tell whether there is a superuser");
    }
}

async fn invited(config: &Config, parts: &Parts, address: SocketAddr) -> app::Result<()> {
    if auth::superuser::any(parts).await? {
        return Ok(());
    }
    let program = std::env::args().next().unwrap_or_else(|| "pando".into());
    let data = match config.data.url.is_empty() {
        true => format!("--dir {}", config.dir.display()),
        false => "--data URL".into(),
    };
    if config.dashboard {
        let token = auth::superuser::installer_token(parts).await?;
        println!("  There is no superuser yet. Make the first one here, within half an hour:");
        println!("    http://{}/_/#/pbinstall/{token}", reachable(address));
        println!("  or in another terminal, with:");
    } else {
        println!("  There is no superuser yet. Make the first one, in another terminal, with:");
    }
    println!("    {program} superuser create EMAIL PASSWORD {data}");
    Ok(())
}

/// An address that a browser on this machine can open.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}

/// Says at the start what requests would be refused for later.
fn warn(config: &Config, assembled: &Assembled) {
    let parts = &assembled.parts;
    let settings = parts.settings.load();
    let schema = parts.catalog.schema();
    for name in config.cache.collections.keys().filter(|name| schema.find(name).is_none()) {
        tracing::warn!("cache.collections.{name} is about no collection there is");
    }
    for (name, within) in &parts.keeping.behind {
        tracing::warn!(
            "updates of {name} are acknowledged before they are written: a crash may lose those of the last {} ms \
             (cache.collections.{name}.strategy = \"write-behind\")",
            within.as_millis()
        );
    }
    if !parts.files.has_place(&settings.s3) {
        tracing::warn!(
            "uploads are refused: files need a place that all nodes share. Set s3 in the settings, files.s3 in the \
             configuration, or files.shared = true for a directory (storage in {}) that every node mounts",
            config.dir.display()
        );
    }
    if !config.data.url.is_empty() && !parts.bus.crosses() {
        tracing::info!(
            "caches are off, and events stay on their node: nothing tells one node of what another writes. Set bus.url to a \
             NATS server that all nodes reach"
        );
    }
    if !config.cache.redis.url.is_empty() && parts.keeping.shared.is_none() {
        tracing::warn!(
            "cache.redis is not used: nodes share records only while they agree on it, and that takes a bus. Set bus.url"
        );
    }
    if !settings.smtp.enabled && !parts.mailer.has_outbox() {
        tracing::warn!(
            "mails wait in the database: there is no SMTP server. Set smtp in the settings, or mail.outbox to a \
             directory that every node mounts"
        );
    }
}
