//! What caches spare the database where several nodes share it: popular records read by their ids, one request in a
//! hundred a write. How often the database was read is asked of PostgreSQL, which counts each row that it fetches.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cluster::Programs;
use serde_json::json;
use testkit::exposition;
use testkit::{Client, Request};

use super::site::{Backing, Caches};
use super::{Options, built, report, wrk};
use crate::scale::rig::{self, Load, Rig, Slice};

const LOAD: Load = Load { name: "popular records", request: "popular()" };
/// One of these is written to, so that what a write takes is seen beside the load.
const PROBE_PAUSE: Duration = Duration::from_millis(50);
/// Clients that ask for a record at once that nobody has asked for before.
const AT_ONCE: usize = 1_000;
/// The table is held for so long while they ask, so that none has its answer before all have asked.
const HELD_S: f64 = 2.0;
/// PostgreSQL's figures may come so late.
const FIGURES_WAIT: Duration = Duration::from_secs(15);
const FIGURES_PAUSE: Duration = Duration::from_millis(1_500);
/// Caches are in use once all nodes know of each other.
const SETTLES: Duration = Duration::from_secs(3);
const ACKNOWLEDGED: &str = "pando_bus_acknowledged_seconds";

struct Row {
    caches: Caches,
    slice: Slice,
    /// Rows that PostgreSQL fetched for each request.
    reads: f64,
    /// Microseconds of NATS and of Redis for each request.
    cpu_us: [f64; 2],
    /// A write's answer, the median and the slow end.
    write_ms: [f64; 2],
    /// From the commit to the last node's acknowledgement.
    told_ms: Option<[f64; 2]>,
    at_once: f64,
}

pub fn run(options: &Options) -> Result<()> {
    let programs = Programs::find(built("pando")?);
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for caches in Caches::ALL.into_iter().filter(|caches| caches.name().contains(&options.only)) {
        match row(options, caches, &programs) {
            Ok(row) => {
                let name = caches.name();
                eprintln!("  {name}: {:.4} reads of the database per request, {:?}", row.reads, row.slice);
                rows.push(row);
            }
            // The other rows are worth being seen.
            Err(error) => failed.push(format!("{}: {error:#}", caches.name())),
        }
    }
    let text = text(options, &rows);
    println!("{text}");
    match options.dry || !failed.is_empty() {
        true if failed.is_empty() => Ok(()),
        true => bail!("{}", failed.join("\n")),
        false => report::section(&super::document(), "Caches of several nodes on PostgreSQL", &text),
    }
}

fn row(options: &Options, caches: Caches, programs: &Programs) -> Result<Row> {
    let backing = Backing::start(caches)?;
    let rig = &Rig::start(&backing.topology("cluster-cache", options.nodes), programs)?;
    std::thread::sleep(SETTLES);
    if caches != Caches::Off {
        warm(rig)?;
    }
    rig.load(&LOAD, 0, options.seconds)?;
    let fetched_before = fetched(rig)?;
    let told_before = acknowledged(rig)?;
    let cpu_before = backing.cpu_ms();
    let stop = AtomicBool::new(false);
    let (slices, mut writes) = std::thread::scope(|scope| -> Result<_> {
        let probe = scope.spawn(|| probe(rig, &stop));
        let slices: Result<Vec<Slice>> =
            (0..options.rounds).map(|round| rig.load(&LOAD, round + 1, options.seconds)).collect();
        stop.store(true, Ordering::Relaxed);
        let writes = probe.join().map_err(|_| anyhow::anyhow!("the probe panicked"))??;
        Ok((slices?, writes))
    })?;
    let cpu_after = backing.cpu_ms();
    let requests: f64 = slices.iter().map(|slice| slice.requests).sum();
    let reads = (fetched(rig)? - fetched_before) / requests.max(1.0);
    let told_ms = match (told_before, acknowledged(rig)?) {
        (Some(before), Some(after)) => {
            Some([0.5, 0.99].map(|share| quantile(&before, &after, share) * 1000.0))
        }
        _ => None,
    };
    writes.sort_by(f64::total_cmp);
    let write = |share: f64| writes.get((writes.len() as f64 * share) as usize).copied().unwrap_or(0.0);
    let at_once = (0..options.rounds).map(|round| at_once(rig, round)).collect::<Result<Vec<f64>>>()?;
    Ok(Row {
        caches,
        slice: Slice::median(&slices),
        reads,
        cpu_us: [0, 1].map(|of| (cpu_after[of] - cpu_before[of]) * 1000.0 / requests.max(1.0)),
        write_ms: [write(0.5), write(0.99)],
        told_ms,
        at_once: wrk::middle(at_once),
    })
}

/// Reads every record that is asked for once at each node, as nodes have that have run for a while.
fn warm(rig: &Rig) -> Result<()> {
    std::thread::scope(|scope| {
        let read = |client: Client| -> Result<()> {
            for n in 1..=rig::POPULAR {
                let path = format!("/api/collections/posts/records/p{n:014}");
                let status = client.send(&Request::get(&path))?.status;
                if status != 200 {
                    bail!("a view was answered with {status}");
                }
            }
            Ok(())
        };
        let running: Vec<_> =
            clients(rig).into_iter().map(|client| scope.spawn(move || read(client))).collect();
        let ended =
            running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a reader panicked")));
        ended.collect::<Result<Vec<()>>>().map(drop)
    })
}

/// Writes at a steady pace, to one node after the other, and says what each took in milliseconds.
fn probe(rig: &Rig, stop: &AtomicBool) -> Result<Vec<f64>> {
    let clients = clients(rig);
    let mut took = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(PROBE_PAUSE);
        let path = format!("/api/collections/posts/records/p{:014}", 1 + took.len() % 100);
        let request = Request::json("PATCH", &path, &json!({"views": took.len()}));
        let began = Instant::now();
        let answer = clients[took.len() % clients.len()].send(&request)?;
        if answer.status != 200 {
            bail!("a write was answered with {}: {}", answer.status, answer.text());
        }
        took.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(took)
}

fn clients(rig: &Rig) -> Vec<Client> {
    rig.cluster().web().iter().map(|node| Client::to(node.address())).collect()
}

/// How many rows of the table PostgreSQL has fetched so far, by whatever plan. Sessions hand their figures in late, so
/// they are asked for until they stand still.
fn fetched(rig: &Rig) -> Result<f64> {
    let until = Instant::now() + FIGURES_WAIT;
    let mut last = -1.0;
    loop {
        let text = rig.cluster().sql(
            rig::PRIMARY,
            "select coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0) from pg_stat_user_tables where relname = 'posts'",
        )?;
        let now: f64 = text.trim().parse().context("PostgreSQL counts nothing")?;
        if now == last || Instant::now() > until {
            return Ok(now);
        }
        last = now;
        std::thread::sleep(FIGURES_PAUSE);
    }
}

/// How many rows are fetched when many clients of all nodes ask at once for a record that nobody has.
fn at_once(rig: &Rig, round: usize) -> Result<f64> {
    // Of the last tenth, which the load does not ask for.
    let path = format!("/api/collections/posts/records/p{:014}", rig::RECORDS - round);
    let ports: Vec<u16> = rig.cluster().web().iter().map(|node| node.address().port()).collect();
    let open = |n: usize| -> Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", ports[n % ports.len()]))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(stream)
    };
    let mut streams = (0..AT_ONCE).map(open).collect::<Result<Vec<TcpStream>>>()?;
    let before = fetched(rig)?;
    std::thread::scope(|scope| -> Result<()> {
        let hold = format!("lock table posts in access exclusive mode; select pg_sleep({HELD_S})");
        let held = scope.spawn(move || rig.cluster().sql(rig::PRIMARY, &hold));
        std::thread::sleep(Duration::from_millis(300));
        let began = Instant::now();
        for stream in &mut streams {
            stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").as_bytes())?;
        }
        if began.elapsed().as_secs_f64() > HELD_S / 2.0 {
            bail!("{AT_ONCE} requests could not be sent at once: the machine is too busy");
        }
        held.join().map_err(|_| anyhow::anyhow!("holding the table panicked"))??;
        Ok(())
    })?;
    for stream in &mut streams {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk)?;
        if !chunk[..read].starts_with(b"HTTP/1.1 200") {
            bail!("a view was answered with {}", String::from_utf8_lossy(&chunk[..read.min(200)]));
        }
    }
    Ok(fetched(rig)? - before)
}

/// The buckets of all nodes' histogram of how long nodes wait for the others, by their upper bounds.
fn acknowledged(rig: &Rig) -> Result<Option<Vec<(f64, f64)>>> {
    let mut buckets: Vec<(f64, f64)> = Vec::new();
    for client in clients(rig) {
        let answer = client.send(&Request::get("/metrics").token(rig.superuser()))?;
        let families = exposition::parse(&answer.text())?;
        let Some(family) = families.get(ACKNOWLEDGED) else { continue };
        for ((suffix, labels), value) in &family.series {
            let bound = labels.iter().find(|(name, _)| name == "le").map(|(_, bound)| bound.as_str());
            let bound = match bound {
                Some("+Inf") => f64::INFINITY,
                Some(bound) => bound.parse()?,
                None => continue,
            };
            if suffix != "_bucket" {
                continue;
            }
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, sum)) => *sum += value,
                None => buckets.push((bound, *value)),
            }
        }
    }
    buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
    Ok((!buckets.is_empty()).then_some(buckets))
}

/// The value below which this share of what came between lies, by straight lines within the buckets.
fn quantile(before: &[(f64, f64)], after: &[(f64, f64)], share: f64) -> f64 {
    let earlier = |bound: f64| before.iter().find(|(known, _)| *known == bound).map_or(0.0, |(_, sum)| *sum);
    let counts: Vec<(f64, f64)> = after.iter().map(|(bound, sum)| (*bound, sum - earlier(*bound))).collect();
    if counts.last().is_none_or(|(_, sum)| *sum == 0.0) {
        return 0.0;
    }
    let wanted = counts.last().map_or(0.0, |(_, sum)| sum * share);
    let mut low = (0.0, 0.0);
    for (bound, sum) in counts {
        if sum >= wanted && sum > low.1 {
            let high = if bound.is_finite() { bound } else { low.0 };
            return low.0 + (high - low.0) * (wanted - low.1) / (sum - low.1);
        }
        low = (bound, sum);
    }
    low.0
}

fn text(options: &Options, rows: &[Row]) -> String {
    let how = format!(
        "{} web nodes on one PostgreSQL; {} records, asked for by Zipf's law (exponent 0.99), one request in a hundred changes \
         one; {} connections to each node, medians of {} slices of {} s after each node has read every record once; reads of the database are rows \
         that PostgreSQL says it fetched, {AT_ONCE} misses are clients of all nodes that ask for one record while the table is \
         held; everything shares the machine",
        options.nodes,
        rig::POPULAR,
        crate::scale::CONNECTIONS,
        options.rounds,
        options.seconds,
    );
    let mut text = report::conditions(&how);
    text += "| caches | database reads per request | fewer by | requests/s | p50 ms | p99 ms | CPU µs per request: nodes | \
             database | NATS | Redis | write p50 ms | p99 ms | commit to last node p50 ms | p99 ms | reads at 1,000 misses | machine |\n";
    text += "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
    let without = rows.iter().find(|row| row.caches == Caches::Off).map(|row| row.reads);
    for row in rows {
        let s = &row.slice;
        let fewer = without.map_or("".into(), |all| format!("{:.1} %", 100.0 * (1.0 - row.reads / all)));
        let told = row.told_ms.map_or(["".into(), "".into()], |told| told.map(|ms| format!("{ms:.2}")));
        let _ = writeln!(
            text,
            "| {} | {:.4} | {fewer} | {:.0} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {} | {:.0} | {:.0} % |",
            row.caches.name(),
            row.reads,
            s.rate,
            s.p50_ms,
            s.p99_ms,
            s.nodes * 1e6 / s.rate.max(1.0),
            s.databases * 1e6 / s.rate.max(1.0),
            row.cpu_us[0],
            row.cpu_us[1],
            row.write_ms[0],
            row.write_ms[1],
            told[0],
            told[1],
            row.at_once,
            s.machine * 100.0,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_lie_within_their_buckets() {
        let before = [(1.0, 5.0), (2.0, 5.0), (f64::INFINITY, 5.0)];
        let after = [(1.0, 15.0), (2.0, 25.0), (f64::INFINITY, 25.0)];
        assert_eq!(quantile(&before, &after, 0.25), 0.5);
        assert_eq!(quantile(&before, &after, 0.5), 1.0);
        assert_eq!(quantile(&before, &after, 0.75), 1.5);
        assert_eq!(quantile(&after, &after, 0.5), 0.0);
    }
}
