//! A topology as plain data, and the processes that make it real on one machine. Knows nothing of collections, rules
//! or HTTP beyond a readiness question: a node is a program with arguments, a directory, an address and a log.

pub mod topology;

mod running;
mod status;

mod database;
mod doors;
mod files;
mod nats;
mod patroni;
mod redis;
mod web;

mod groups;
mod network;
mod node;

mod error;
mod ports;
mod probe;
mod process;
mod programs;
mod site;
mod spawn;
mod state;

pub use error::Error;
pub use files::{READY as WEED_READY, weed_arguments};
pub use groups::Usage;
pub use nats::{Server as NatsServer, nats_config, nats_is_ready};
pub use node::{Node, Role};
pub use programs::Programs;
pub use running::{Cluster, Control, Request, ask, down};
pub use status::{Condition, DatabaseStatus, NodeStatus, Standing, Status};
pub use topology::Topology;

pub type Result<T, E = Error> = std::result::Result<T, E>;
