//! How the parts of the system that are no processes on the database are asked: front doors, at their control addresses or by the
//! bus.

mod doors;

use std::sync::Arc;

use app::system::Probe;

use crate::config::Config;

pub fn of(config: &Config) -> Vec<Arc<dyn Probe>> {
    let mut probes: Vec<Arc<dyn Probe>> = Vec::new();
    if let Some(named) = doors::Named::open(config) {
        probes.push(Arc::new(named));
    } else if !config.bus.url.is_empty() {
        probes.push(Arc::new(doors::OnBus::new(config.bus())));
    }
    probes
}
