//! `--edge`: answers that an edge keeps, beside Varnish and nginx's cache. Each server alone on one core, in turn; the load and
//! the origin share the other one.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, ensure};
use tempfile::TempDir;
use testkit::http::{Client, Request};
use testkit::tools;

use super::peers::{self, Peer};
use super::{CONNECTIONS, LOAD_CORE, Options, SERVER_CORE, cases, report, wrk};

const CASES: [(&str, usize); 2] = [("1 KiB", 1 << 10), ("64 KiB", 64 << 10)];

pub fn run(options: &Options) -> Result<()> {
    let dir = TempDir::with_prefix("pando-edge-")?;
    let files = dir.path().join("files");
    std::fs::create_dir_all(&files)?;
    // Workers of nginx may run as another user.
    tools::run(std::process::Command::new("chmod").arg("-R").arg("755").arg(dir.path()))?;
    for (_, bytes) in CASES {
        std::fs::write(files.join(bytes.to_string()), vec![b'x'; bytes])?;
    }
    let origin = peers::nginx("origin", &dir.path().join("origin"), LOAD_CORE, |port| {
        format!(
            "server {{ listen 127.0.0.1:{port}; root {}; default_type application/json; \
             add_header Cache-Control 'public, max-age=86400'; }}",
            files.display()
        )
    })?;
    let sides = [pando(dir.path(), origin.port)?, varnish(dir.path(), &origin)?, nginx(dir.path(), &origin)?];
    let mut text = report::conditions(&format!(
        "Hits of {CONNECTIONS} kept connections, medians of {} slices of {} s in turn; each server alone on one core, load and origin \
         on the other; memory after all of it; nginx {}, Varnish {}",
        options.rounds, options.seconds, "1.22 proxy_cache", "7.1"
    ));
    text += "| object | server | requests/s | to the best peer | p50, ms | p99, ms | CPU, µs per request | memory, MiB |\n\
             | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n";
    for (name, bytes) in CASES.into_iter().filter(|(name, _)| name.contains(&options.only)) {
        let script = dir.path().join(format!("{bytes}.lua"));
        let request =
            format!("request = function() return wrk.format('GET', '/{bytes}') end\n{}", cases::DONE);
        std::fs::write(&script, request)?;
        let mut slices: [Vec<wrk::Slice>; 3] = Default::default();
        for round in 0..options.rounds {
            for (peer, slices) in sides.iter().zip(&mut slices) {
                if round == 0 {
                    warm(peer, bytes)?;
                    wrk::run(peer.port, &script, 1, LOAD_CORE, CONNECTIONS)?;
                }
                let before = peer.cpu_ms();
                let mut slice = wrk::run(peer.port, &script, options.seconds, LOAD_CORE, CONNECTIONS)?;
                slice.cpu_us = (peer.cpu_ms() - before) * 1_000.0 / slice.requests.max(1.0);
                ensure!(slice.failed == 0.0, "{}: {} requests failed", peer.name, slice.failed);
                eprintln!("  {name}: {}: {:.0}/s, {:.1} µs", peer.name, slice.rate, slice.cpu_us);
                slices.push(slice);
            }
        }
        let slices = slices.map(wrk::median);
        let best = slices[1].rate.max(slices[2].rate);
        for (peer, slice) in sides.iter().zip(&slices) {
            writeln!(
                text,
                "| {name} | {} | {:.0} | {:.2} | {:.2} | {:.2} | {:.1} | {:.0} |",
                peer.name,
                slice.rate,
                slice.rate / best.max(1.0),
                slice.p50_ms,
                slice.p99_ms,
                slice.cpu_us,
                peer.rss_mib()
            )?;
        }
    }
    println!("{text}");
    match options.dry {
        true => Ok(()),
        false => report::section(&super::document(), "Hits of an edge", &text),
    }
}

/// It is kept, and answered whole.
fn warm(peer: &Peer, bytes: usize) -> Result<()> {
    for _ in 0..3 {
        let answer = Client::new(peer.port).send(&Request::get(&format!("/{bytes}")))?;
        ensure!(answer.status == 200, "{} answers {}: {}", peer.name, answer.status, answer.text());
        ensure!(answer.text().len() == bytes, "{} answers {} bytes", peer.name, answer.text().len());
    }
    Ok(())
}

fn pando(dir: &Path, origin: u16) -> Result<Peer> {
    let pando = super::built("pando")?.display().to_string();
    let port = tools::free_port();
    let command = [
        "env",
        "PANDO_FRONT_THREADS=1",
        &pando,
        "edge",
        "--http",
        &format!("127.0.0.1:{port}"),
        "--to",
        &format!("127.0.0.1:{origin}"),
    ];
    let command = command.iter().map(|part| (*part).to_owned()).collect();
    Peer::start("Pando", port, SERVER_CORE, &dir.join("pando"), command)
}

fn varnish(dir: &Path, origin: &Peer) -> Result<Peer> {
    peers::varnish(&dir.join("varnish"), SERVER_CORE, origin.port)
}

fn nginx(dir: &Path, origin: &Peer) -> Result<Peer> {
    let own = dir.join("nginx");
    let kept = own.join("kept");
    peers::nginx("nginx", &own, SERVER_CORE, |port| {
        format!(
            "proxy_cache_path {} keys_zone=edge:16m max_size=256m inactive=1d; open_file_cache max=1000; \
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_cache edge; proxy_pass http://127.0.0.1:{}; }} }}",
            kept.display(),
            origin.port
        )
    })
}
