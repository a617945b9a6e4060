//! `pando config`: what is in force of file, environment and options. Opens nothing.

use anyhow::Result;

use super::print;
use crate::config::{Config, shown};

pub fn run(config: &Config) -> Result<()> {
    print(&shown(config))
}
