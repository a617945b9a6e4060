//! `pando serve`: every role in one process.

use anyhow::Result;
use observe::RequestLog;

use super::node;
use crate::assemble::Purpose;
use crate::config::Config;

pub async fn run(config: Config, log: RequestLog) -> Result<()> {
    node::run(&config, Purpose::Serve, log).await
}
