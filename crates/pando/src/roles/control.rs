//! `pando purge` and `pando front-status`: what operators ask of a front door.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use base::limits::FRONT_COMMAND_MS;
use edge::announce;
use edge::control::client::{Client, Method};
use edge::control::passing::Asked;
use edge::discovery::names::Names;

use super::print;
use crate::cli::{At, Purge};
use crate::config::Config;

pub async fn purge(config: Config, given: Purge) -> Result<()> {
    let Purge { at, tags, urls, prefixes, all, soft } = given;
    let purge = announce::Purge { tags, urls, prefixes, all, soft };
    if purge.is_empty() {
        bail!("name what is to be purged: --tag, --url, --prefix, or --all");
    }
    let text = serde_json::to_vec(&Asked::of(purge, false))?;
    let told = call(&config, &at, Method::POST, "/purge", text).await?;
    println!("{}", told["message"].as_str().unwrap_or("Purged."));
    Ok(())
}

pub async fn status(config: Config, at: At) -> Result<()> {
    let told = call(&config, &at, Method::GET, "/status", Vec::new()).await?;
    print(&(serde_json::to_string_pretty(&told)? + "\n"))
}

async fn call(
    config: &Config,
    at: &At,
    method: Method,
    path: &str,
    text: Vec<u8>,
) -> Result<serde_json::Value> {
    let names = Names::parse(&at.at, "--at").map_err(anyhow::Error::msg)?;
    let address = names.iter().next().context("--at names a front door: http://HOST:PORT")?;
    let authorization = edge::control::bearer(&config.front.secret).map_err(anyhow::Error::msg)?;
    let client = Client::new(address.to_owned(), authorization);
    let called =
        tokio::time::timeout(Duration::from_millis(FRONT_COMMAND_MS), client.call(method, path, text));
    let (status, answer) = called
        .await
        .with_context(|| format!("{address} does not answer"))?
        .map_err(|error| anyhow::anyhow!("{address} cannot be asked: {error}"))?;
    let told: serde_json::Value = serde_json::from_slice(&answer).unwrap_or_default();
    if !status.is_success() {
        bail!("{address}: {status}: {}", told["message"].as_str().unwrap_or_default());
    }
    Ok(told)
}
