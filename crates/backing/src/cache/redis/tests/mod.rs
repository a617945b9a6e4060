//! Two processes' tiers over real servers, with a database and a bus that are made up.

mod cluster;
mod fixture;
mod sentinel;
mod single;
