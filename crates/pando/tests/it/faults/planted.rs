//! The judge is judged: each kind of breach is planted, by a server that lies or by editing the database behind its
//! back, and must be found and called by its name.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use testkit::checker::judge::{Kind, Verdict};
use testkit::checker::liar::{Liar, Upstream};
use testkit::pando::Engine;
use testkit::postgres::Postgres;
use testkit::{Answer, Request};

use super::{WAIT, address, load, verdict};
use crate::candidate::Candidate;

/// How many lies there are before the load ends.
pub const LIES: usize = 3;

/// Says when to lie, and counts.
#[derive(Clone, Default)]
pub struct Turns(Arc<(AtomicUsize, AtomicUsize)>);

impl Turns {
    /// True for every `n`th call.
    pub fn each(&self, n: usize) -> bool {
        let is_turn = self.0.0.fetch_add(1, Ordering::Relaxed) % n == n - 1;
        self.0.1.fetch_add(usize::from(is_turn), Ordering::Relaxed);
        is_turn
    }

    pub fn taken(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }
}

/// The verdict on a load over a server that lies now and then, beside an honest address of the same server.
fn lying<F>(lie: F) -> Verdict
where
    F: Fn(&Request, Upstream, &Turns) -> io::Result<Answer> + Send + Sync + 'static,
{
    let dir = tempfile::tempdir().unwrap();
    let server = Candidate::new(Engine::Sqlite).program.start(&dir.path().join("data")).unwrap();
    let turns = Turns::default();
    let liars = turns.clone();
    let liar =
        Liar::start(address(&server), move |request, upstream| lie(request, upstream, &liars)).unwrap();
    let running = load(vec![address(&server), liar.address()], &server);
    let until = Instant::now() + WAIT;
    while turns.taken() < LIES {
        assert!(Instant::now() < until, "nothing to lie about");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(running.more(100, 40, WAIT), "the load does not go on");
    verdict(running)
}

pub fn is(request: &Request, method: &str, part: &str) -> bool {
    request.method == method && request.target.contains(part)
}

pub fn told(status: u16) -> io::Result<Answer> {
    Ok(Answer { status, body: b"{}".to_vec(), ..Answer::default() })
}

#[track_caller]
pub fn found(verdict: &Verdict, kinds: &[Kind]) {
    assert_eq!(verdict.kinds(), kinds, "{verdict}");
}

#[test]
fn a_forgotten_create() {
    let verdict =
        lying(|request, upstream, turns| match is(request, "POST", "check_entries") && turns.each(4) {
            true => told(200),
            false => upstream(request),
        });
    found(&verdict, &[Kind::Lost]);
}

#[test]
fn a_forgotten_update() {
    let verdict =
        lying(|request, upstream, turns| match is(request, "PATCH", "check_records") && turns.each(8) {
            true => told(200),
            false => upstream(request),
        });
    // What another version followed was late as far as a reader can tell; the last of a record is gone.
    assert!(!verdict.is_clean());
    let others = [Kind::Lost, Kind::Stale, Kind::StaleOwn];
    assert!(verdict.kinds().iter().all(|kind| others.contains(kind)), "{verdict}");
}

#[test]
fn a_create_sent_twice() {
    let verdict = lying(|request, upstream, turns| {
        if is(request, "POST", "check_entries") && turns.each(4) {
            upstream(request)?;
        }
        upstream(request)
    });
    found(&verdict, &[Kind::Doubled]);
}

#[test]
fn an_addition_sent_twice() {
    let verdict = lying(|request, upstream, turns| {
        if is(request, "PATCH", "check_counters") && turns.each(3) {
            upstream(request)?;
        }
        upstream(request)
    });
    found(&verdict, &[Kind::Doubled]);
}

#[test]
fn a_forgotten_addition() {
    let verdict =
        lying(|request, upstream, turns| match is(request, "PATCH", "check_counters") && turns.each(3) {
            true => told(200),
            false => upstream(request),
        });
    found(&verdict, &[Kind::LostUpdate]);
}

/// Whether an older copy misses something that was acknowledged, and whose, is chance: there are a few loads for it.
#[test]
fn an_older_copy() {
    let stale = [Kind::StaleOwn, Kind::Stale];
    for _ in 0..6 {
        let verdict = with_older_copies();
        let known = |kind: &Kind| stale.contains(kind) || *kind == Kind::WentBack;
        assert!(verdict.kinds().iter().all(known), "{verdict}");
        if verdict.kinds().iter().any(|kind| stale.contains(kind)) {
            return;
        }
    }
    panic!("no stale read was found");
}

fn with_older_copies() -> Verdict {
    let copies = Mutex::new(HashMap::<String, Answer>::new());
    lying(move |request, upstream, turns| {
        if !is(request, "GET", "check_entries/records?") {
            return upstream(request);
        }
        // Told once, so that the reads after the load are true.
        let mut copies = copies.lock().unwrap();
        if let Some(copy) = copies.remove(&request.target)
            && turns.each(2)
        {
            return Ok(copy);
        }
        let answer = upstream(request)?;
        copies.insert(request.target.clone(), answer.clone());
        Ok(answer)
    })
}

#[test]
fn a_forgotten_delete() {
    let verdict =
        lying(|request, upstream, turns| match is(request, "DELETE", "check_records") && turns.each(2) {
            true => told(204),
            false => upstream(request),
        });
    found(&verdict, &[Kind::Resurrected]);
}

#[test]
fn half_a_batch() {
    let verdict = lying(|request, upstream, turns| {
        if !is(request, "POST", "/api/batch") || !turns.each(3) {
            return upstream(request);
        }
        let mut body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        body["requests"].as_array_mut().unwrap().pop();
        upstream(&Request { body: body.to_string().into_bytes(), ..request.clone() })
    });
    found(&verdict, &[Kind::Torn]);
}

#[test]
fn a_refusal_that_was_none() {
    let verdict = lying(|request, upstream, turns| {
        let answer = upstream(request)?;
        match is(request, "POST", "check_entries") && turns.each(4) {
            true => told(400),
            false => Ok(answer),
        }
    });
    found(&verdict, &[Kind::Phantom, Kind::Unexplained]);
}

/// The verdict on a load over PostgreSQL, with an edit while it runs and one after it.
fn edited(during: &str, after: &str) -> Verdict {
    let candidate = Candidate::new(Engine::Postgres);
    let Some(postgres) = &candidate.postgres else { panic!("no PostgreSQL") };
    let dir = tempfile::tempdir().unwrap();
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    let running = load(vec![address(&server)], &server);
    edit(postgres, during);
    assert!(running.more(200, 100, WAIT), "the load does not run");
    let stopped = running.stop();
    edit(postgres, after);
    let history = stopped.settle().unwrap();
    let verdict = testkit::checker::judge::judge(&history);
    println!("{verdict}");
    verdict
}

fn edit(postgres: &Postgres, sql: &str) {
    if !sql.is_empty() {
        postgres.sql("test0", sql).unwrap();
    }
}

#[test]
fn a_unique_index_that_is_gone() {
    found(&edited("drop index idx_check_claims_name", ""), &[Kind::NotUnique]);
}

#[test]
fn values_that_nobody_wrote() {
    let verdict = edited("", "update check_records set content = 'planted' where version = 1");
    found(&verdict, &[Kind::Phantom]);
    let verdict = edited(
        "",
        "update check_entries set element = 'planted' where element = (select min(element) from check_entries)",
    );
    // What it was before is gone as well.
    found(&verdict, &[Kind::Lost, Kind::Phantom]);
}

#[test]
fn rows_that_went() {
    found(&edited("", "delete from check_records where version < 4"), &[Kind::Lost]);
    found(&edited("", "delete from check_people where id like 'p%'"), &[Kind::Lost]);
    let ledger =
        edited("", "delete from check_ledger where element = (select min(element) from check_ledger)");
    found(&ledger, &[Kind::Lost, Kind::Torn]);
}

#[test]
fn numbers_that_went_back() {
    found(&edited("", "update check_counters set n = n - 1"), &[Kind::LostUpdate]);
    let moved = "update check_accounts set balance = balance + case id when 'account00000000' then 1 else -1 end \
                 where id in ('account00000000', 'account00000001')";
    // The sum is right and the ledger tells.
    found(&edited("", moved), &[Kind::Torn]);
}
