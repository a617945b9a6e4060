//! What comes after the answer is judged too: jobs that are never done, events that a subscriber never hears of, and
//! answers from a cache that nobody told of a write.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use testkit::checker::judge::{Kind, Verdict, judge};
use testkit::checker::liar::{Liar, Upstream};
use testkit::checker::load::Load;
use testkit::checker::sessions::Sessions;
use testkit::pando::Engine;
use testkit::sse::Event;
use testkit::{Answer, Request};

use super::planted::{LIES, Turns, found, is, told};
use super::{ALLOW_PRIVATE, WAIT, address};
use crate::candidate::Candidate;

/// What is lost is waited for so long.
const LATE: Duration = Duration::from_secs(4);

/// The verdict on an observed load over a server that lies now and then, beside an honest address of the same server.
fn lying<F, T>(lie: F, tells: T) -> Verdict
where
    F: Fn(&Request, Upstream, &Turns) -> io::Result<Answer> + Send + Sync + 'static,
    T: Fn(&Event, &Turns) -> bool + Send + Sync + 'static,
{
    let dir = tempfile::tempdir().unwrap();
    let mut program = Candidate::new(Engine::Sqlite).program;
    program.variables.push(ALLOW_PRIVATE.map(str::to_owned).into());
    let server = program.start(&dir.path().join("data")).unwrap();
    let turns = Turns::default();
    let (liars, tellers) = (turns.clone(), turns.clone());
    let liar = Liar::with_streams(
        address(&server),
        move |request, upstream| lie(request, upstream, &liars),
        move |event| tells(event, &tellers),
    );
    let liar = liar.unwrap();
    let load = Load {
        subscribers: 1,
        outbox: Some(server.dir().join("outbox")),
        hooks: true,
        late: LATE,
        ..Load::on(vec![address(&server), liar.address()])
    };
    let running = load.start(&server.superuser_token().unwrap()).unwrap();
    let until = Instant::now() + WAIT;
    while turns.taken() < LIES {
        assert!(Instant::now() < until, "nothing to lie about");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(running.more(100, 40, WAIT), "the load does not go on");
    let verdict = judge(&running.stop().settle().unwrap());
    println!("{verdict}");
    verdict
}

fn honest(request: &Request, upstream: Upstream, _: &Turns) -> io::Result<Answer> {
    upstream(request)
}

#[test]
fn a_lost_job() {
    let lie = |request: &Request, upstream: Upstream, turns: &Turns| {
        let is_whole = !String::from_utf8_lossy(&request.body).contains(" none");
        match is(request, "POST", "request-verification") && is_whole && turns.each(2) {
            true => told(204),
            false => upstream(request),
        }
    };
    found(&lying(lie, |_, _| true), &[Kind::LostJob]);
}

/// It is taken back by an answer, and done all the same.
#[test]
fn a_job_of_a_refused_write() {
    let lie = |request: &Request, upstream: Upstream, turns: &Turns| {
        let answer = upstream(request)?;
        let is_taken = answer.status == 204 && is(request, "POST", "request-verification");
        if is_taken && turns.each(2) { told(400) } else { Ok(answer) }
    };
    found(&lying(lie, |_, _| true), &[Kind::Phantom, Kind::Unexplained]);
}

/// What a batch wrote that failed is told of, as if its parts had been written one by one.
#[test]
fn a_job_of_a_batch_that_failed() {
    let lie = |request: &Request, upstream: Upstream, turns: &Turns| {
        let answer = upstream(request)?;
        let mut body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let first = body["requests"].get_mut(0).map(serde_json::Value::take).unwrap_or_default();
        let is_hooked = first["url"].as_str().is_some_and(|url| url.contains("check_hooked"));
        if is(request, "POST", "/api/batch") && is_hooked && turns.each(2) {
            let token = token_of(request);
            let alone = Request::json("POST", first["url"].as_str().unwrap(), &first["body"]).token(&token);
            upstream(&alone)?;
        }
        Ok(answer)
    };
    found(&lying(lie, |_, _| true), &[Kind::Phantom]);
}

fn token_of(request: &Request) -> String {
    let token = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    token.map(|(_, value)| value.clone()).unwrap_or_default()
}

#[test]
fn a_lost_event() {
    // The newest of a record's events tells of those before it, so that only the last of all is missed.
    let tells = |event: &Event, turns: &Turns| !(event.data.contains("\"delete\"") && turns.each(2));
    found(&lying(honest, tells), &[Kind::LostEvent]);
    let tells = |event: &Event, turns: &Turns| !(event.name.contains("check_records") && turns.each(3));
    found(&lying(honest, tells), &[Kind::LostEvent]);
}

/// What was acknowledged before a subscriber's stream ended may be missing from it, and it starts anew.
#[test]
fn subscribers_that_are_told_to_start_anew() {
    let dir = tempfile::tempdir().unwrap();
    let server = Candidate::new(Engine::Sqlite).program.start(&dir.path().join("data")).unwrap();
    let turns = Turns::default();
    let tellers = turns.clone();
    let lie = |request: &Request, upstream: Upstream| upstream(request);
    let liar = Liar::with_streams(address(&server), lie, move |event| {
        !(event.name.contains("check_records") && tellers.each(3))
    });
    let liar = liar.unwrap();
    let load = Load { subscribers: 1, ..Load::on(vec![address(&server), liar.address()]) };
    let running = load.start(&server.superuser_token().unwrap()).unwrap();
    assert!(running.more(100, 100, WAIT), "the load does not run");
    let stopped = running.stop();
    liar.end_streams();
    let verdict = judge(&stopped.settle().unwrap());
    assert!(verdict.is_clean(), "{verdict}");
    assert!(verdict.proven.events_excused > 0, "{verdict}");
}

/// A cache that is told of nothing: the first answer to each view is the answer to all of them.
#[test]
fn a_stale_cache() {
    let cache = Mutex::new(HashMap::<String, Answer>::new());
    let lie = move |request: &Request, upstream: Upstream, turns: &Turns| {
        if !is(request, "GET", "check_records/records/r") {
            return upstream(request);
        }
        if let Some(kept) = cache.lock().unwrap().get(&request.target) {
            turns.each(1);
            return Ok(kept.clone());
        }
        let answer = upstream(request)?;
        cache.lock().unwrap().insert(request.target.clone(), answer.clone());
        Ok(answer)
    };
    let verdict = lying(lie, |_, _| true);
    let kinds = verdict.kinds();
    let known = [Kind::StaleOwn, Kind::Stale, Kind::WentBack, Kind::Resurrected];
    assert!(kinds.iter().all(|kind| known.contains(kind)), "{verdict}");
    assert!(kinds.contains(&Kind::StaleOwn) || kinds.contains(&Kind::Stale), "{verdict}");
}

/// The same cache under sessions: whatever it answers, the next write of the record makes it old.
#[test]
fn a_stale_cache_under_sessions() {
    let dir = tempfile::tempdir().unwrap();
    let server = Candidate::new(Engine::Sqlite).program.start(&dir.path().join("data")).unwrap();
    let cache = Mutex::new(HashMap::<String, Answer>::new());
    let liar = Liar::start(address(&server), move |request, upstream| {
        if !is(request, "GET", "check_records/records/s") {
            return upstream(request);
        }
        let kept = cache.lock().unwrap().get(&request.target).cloned();
        kept.map_or_else(
            || {
                let answer = upstream(request)?;
                cache.lock().unwrap().insert(request.target.clone(), answer.clone());
                Ok(answer)
            },
            Ok,
        )
    });
    let nodes = vec![address(&server), liar.unwrap().address()];
    let sessions = Sessions { callers: 4, records: 4, writes_percent: 20, ..Sessions::on(nodes, 600) };
    let found = sessions.run(&server.superuser_token().unwrap()).unwrap();
    assert!(found.stale_own > 0 && found.stale > 0 && found.phantoms == 0, "{found}");
}

#[test]
fn sessions_see_their_writes() {
    let dir = tempfile::tempdir().unwrap();
    let server = Candidate::new(Engine::Sqlite).program.start(&dir.path().join("data")).unwrap();
    let found =
        Sessions::on(vec![address(&server); 2], 2000).run(&server.superuser_token().unwrap()).unwrap();
    println!("{found}");
    assert!(found.is_clean() && found.failed == 0, "{found}");
    assert!(found.caches.iter().any(|(_, hits, _)| *hits > 0.0), "nothing came from a cache: {found}");
}
