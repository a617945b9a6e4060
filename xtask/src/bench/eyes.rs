//! `--eyes`: what it costs that the system sees itself. One server keeps nothing of what it does; the second one keeps
//! metrics, samples them, and is looked at as by an open dashboard; the third one also keeps the request log. All on one core,
//! one at a time, and compared within each round, so that the machine's moods meet all of them.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use testkit::{Client, Program, Request, Server};

use super::{LOAD_CORE, Options, Pair, SERVER_CORE, cases, chosen, document, report, set_log, wrk};

/// How often a dashboard asks.
const POLL: Duration = Duration::from_secs(2);
const SIDES: [&str; 3] = ["nothing", "figures", "figures and log"];

pub fn run(options: &Options) -> Result<()> {
    let pair = Pair::new(options, options.records)?;
    let how = report::conditions(&format!(
        "Requests a second of one server on core {SERVER_CORE}, {} rounds of {} s a side in turns, medians; what it costs is the median of \
         the rounds, with the quarters in brackets. *Figures*: metrics, samples every 10 s into the store, and `/api/system` asked every \
         {} s. *Nothing*: none of it, and no request log",
        options.rounds,
        options.seconds,
        POLL.as_secs()
    ));
    let mut text = format!(
        "{how}| request | nothing | figures | costs | figures and log | costs |\n\
         | --- | ---: | ---: | ---: | ---: | ---: |\n"
    );
    for case in chosen(options) {
        let mut rates = [Vec::new(), Vec::new(), Vec::new()];
        for round in 0..options.rounds {
            for turn in 0..SIDES.len() {
                // Nobody is always the first.
                let side = (turn + round) % SIDES.len();
                rates[side].push(slice(&pair, options, case, side, round)?);
            }
        }
        let costs = |side: usize| {
            let rounds = rates[side].iter().zip(&rates[0]);
            let mut costs: Vec<f64> =
                rounds.map(|(rate, nothing)| (1.0 - rate / nothing.max(1.0)) * 100.0).collect();
            costs.sort_by(f64::total_cmp);
            let quarter = |n: usize| costs[(costs.len() - 1) * n / 4];
            format!("{:.1} % ({:.1} to {:.1})", quarter(2), quarter(1), quarter(3))
        };
        let (figures, all) = (costs(1), costs(2));
        let [nothing, with_figures, with_all] = rates.clone().map(wrk::middle);
        let line = format!(
            "| {} | {nothing:.0} | {with_figures:.0} | {figures} | {with_all:.0} | {all} |",
            case.name
        );
        eprintln!("{line}");
        let _ = writeln!(text, "{line}");
    }
    println!("{text}");
    if options.dry { Ok(()) } else { report::section(&document(), "What seeing itself costs", &text) }
}

/// A server of its own: what one puts off until it has time would be another's load.
fn slice(pair: &Pair, options: &Options, case: &cases::Case, side: usize, round: usize) -> Result<f64> {
    let dir = pair.fresh(1)?;
    let own = dir.with_file_name(format!("eyes{side}"));
    let _ = std::fs::remove_dir_all(&own);
    super::data::copy(&dir, &own)?;
    let mut program: Program = pair.programs[1].clone();
    program.name = SIDES[side].into();
    program.variables.push(("PANDO_OBSERVE_METRICS".into(), (side > 0).to_string()));
    let server = program.serve(&own)?;
    set_log(&server, side == 2)?;
    let token = cases::token(case, &server)?;
    let script = cases::script(case, server.port(), token, options.records, round, pair.dir.path())?;
    let measure = |seconds| wrk::run(server.port(), &script, seconds, LOAD_CORE, super::CONNECTIONS);
    measure(1)?;
    let slice = match side {
        0 => measure(options.seconds)?,
        _ => looked_at(&server, || measure(options.seconds))?,
    };
    Ok(slice.rate)
}

/// While a dashboard is open.
fn looked_at<T>(server: &Server, measure: impl FnOnce() -> Result<T>) -> Result<T> {
    let token = server.superuser_token()?;
    let (port, over) = (server.port(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let looks = scope.spawn(|| -> Result<()> {
            let client = Client::new(port);
            while !over.load(Ordering::Relaxed) {
                for path in ["/api/system", "/api/system/events?limit=20"] {
                    client.send(&Request::get(path).token(&token)).context(path)?;
                }
                std::thread::park_timeout(POLL);
            }
            Ok(())
        });
        let measured = measure();
        over.store(true, Ordering::Relaxed);
        looks.thread().unpark();
        match looks.join() {
            Ok(looked) => looked.and(measured),
            Err(_) => measured,
        }
    })
}
