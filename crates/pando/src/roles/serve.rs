//! `pando serve`: every role in one process.

use anyhow::Result;

use super::node;
use crate::assemble::Purpose;
use crate::config::Config;

pub async fn run(config: Config) -> Result<()> {
    node::run(&config, Purpose::Serve).await
}
