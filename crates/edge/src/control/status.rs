//! How a front door is doing, in one look.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use serde_json::{Value as Json, json};

use super::Control;
use crate::cache::compress::Compress;

/// None when nothing is compressed here.
fn compress(compress: &Compress) -> Option<Json> {
    let figures = compress.figures()?;
    Some(json!({
        "codings": compress.codings().iter().map(|coding| coding.name()).collect::<Vec<_>>(),
        "waiting": figures.waiting.load(Relaxed),
        "waitingBytes": figures.waiting_bytes.load(Relaxed),
        "made": figures.made.load(Relaxed),
        "refused": figures.refused.load(Relaxed),
        "savedBytes": compress.saved_bytes(),
    }))
}

pub fn of(control: &Control) -> Json {
    let members = control.discovery.members();
    let member = |address: &str| members.iter().find(|member| member.address == address);
    let nodes = control.front.nodes.load();
    let nodes: Vec<Json> = nodes
        .iter()
        .map(|node| {
            let member = member(&node.address);
            let state = match member {
                Some(member) if member.drained => "drained",
                _ if node.is_draining() => "leaving",
                _ if node.is_up() => "up",
                _ => "down",
            };
            let (open, idle) = node.connections();
            json!({
                "name": node.name,
                "address": node.address,
                "zone": node.zone(),
                "life": member.map(|member| member.life.as_str()).unwrap_or_default(),
                "state": state,
                "healthy": node.is_up(),
                "busy": node.busy(),
                "connections": {"open": open, "idle": idle},
                "latencyMs": node.latency.load(Relaxed) as f64 / 1e6,
            })
        })
        .collect();
    let now = Instant::now();
    let positions = control.heard.positions();
    let lives: Vec<Json> = control
        .discovery
        .lives()
        .into_iter()
        .map(|(id, life)| {
            let silent_ms = now.saturating_duration_since(life.heard).as_millis() as u64;
            json!({
                "life": id,
                "name": life.name,
                "address": life.address,
                "state": life.state.name(),
                "sequence": life.sequence,
                "position": positions.get(&id).copied().unwrap_or_default(),
                "silentMs": silent_ms,
            })
        })
        .collect();
    let shields: Vec<Json> = control
        .front
        .shields
        .iter()
        .flat_map(|shields| shields.states())
        .map(|shield| {
            let state = if shield.away { "away" } else { "up" };
            json!({"address": shield.address, "state": state, "busy": shield.busy})
        })
        .collect();
    let cache = control.front.cache.as_ref().map(|cache| {
        json!({
            "bytes": cache.storage.bytes(),
            "entries": cache.storage.entries(),
            "compress": compress(&cache.compress),
        })
    });
    json!({
        "name": control.name,
        "role": control.role,
        "version": control.version,
        "zone": control.zone,
        "region": control.region,
        "draining": *control.stopping.borrow(),
        "nodes": nodes,
        "lives": lives,
        "shields": shields,
        "cache": cache,
        "pulse": (control.pulse)(),
        "deeds": control.deeds.all(),
    })
}
