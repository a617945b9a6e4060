//! The keys of processes that tell front doors of themselves.

use serde::{Deserialize, Serialize};

use super::described::described;

described! {
    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Announce {
        /// The control addresses of front doors: `http://host:port`, separated by commas. A name may lead to several. Empty
        /// for none, or for those on the bus.
        pub to: String,
        /// What front doors know their nodes by: their `front.secret`.
        pub secret: String,
        /// Where front doors reach this process: `host:port`; empty for where it listens.
        pub address: String,
    }
}
