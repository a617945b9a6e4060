//! `pando web`: one of any number of nodes on one PostgreSQL. Whatever a node must know of another's requests is in the
//! database; its own disk holds nothing that is missed when the node goes.

use anyhow::{Result, bail};

use observe::RequestLog;

use super::node;
use crate::assemble::Purpose;
use crate::config::Config;

pub async fn run(config: Config, log: RequestLog) -> Result<()> {
    if config.data.url.is_empty() {
        bail!(
            "a web node works on PostgreSQL, which all nodes share: name it with --data postgres://USER:PASSWORD@HOST/DATABASE, \
             or PANDO_DATA, or data.url in pando.toml. For SQLite in a directory, start `pando serve`"
        );
    }
    node::run(&config, Purpose::Web, log).await
}
