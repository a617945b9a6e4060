//! A front door's own figures over time. It keeps no data, so it tells them to whoever asks how it does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::limits::PULSE_MS;
use base::{Clock, SystemClock};
use observe::pulse::{Reading, Ring};
use observe::{Host, Metrics};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};

use crate::config::Config;

pub struct Pulse {
    key: String,
    started: i64,
    ring: Mutex<Ring>,
}

impl Pulse {
    /// Looks every few seconds, to the end of the process.
    pub fn begin(config: &Config, metrics: Option<Metrics>) -> Arc<Pulse> {
        let key = match config.node.name.is_empty() {
            true => config.node_name(),
            false => config.node.name.clone(),
        };
        let pulse = Arc::new(Pulse { key, started: SystemClock.now().0, ring: Mutex::default() });
        let Some(metrics) = metrics else { return pulse };
        let looks = pulse.clone();
        let mut host = Host::of(if config.dir.is_dir() { config.dir.clone() } else { ".".into() });
        tokio::spawn(async move {
            loop {
                host.sample();
                let reading = Reading::of(&metrics.read());
                looks.ring.lock().push(SystemClock.now().seconds(), Instant::now(), &reading);
                let rest = PULSE_MS as i64 - SystemClock.now().0.rem_euclid(PULSE_MS as i64);
                tokio::time::sleep(Duration::from_millis(rest as u64)).await;
            }
        });
        pulse
    }

    pub fn tell(&self) -> Json {
        let ring = self.ring.lock();
        let blocks = ring.recent().into_iter().filter_map(|block| {
            let series: Json = serde_json::from_str(&block.text()).ok()?;
            Some(json!({"step": block.step_s, "start": block.start_s, "series": series}))
        });
        json!({
            "key": self.key,
            "started": self.started,
            "figures": ring.figures(),
            "blocks": blocks.collect::<Vec<_>>(),
        })
    }
}
