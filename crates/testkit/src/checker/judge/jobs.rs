//! Jobs, by what they do outside: what an acknowledged write caused is done at least once, what a refused one would have
//! caused never.

use std::collections::{BTreeMap, HashSet};

use super::{Found, Kind, by};
use crate::checker::history::{Action, Event, History, Instant, Name, Outcome};

/// Each job's write, and when its effect was seen.
fn jobs(history: &History) -> BTreeMap<&Name, (Option<&Event>, Vec<Instant>)> {
    let mut jobs: BTreeMap<&Name, (Option<&Event>, Vec<Instant>)> = BTreeMap::new();
    for event in &history.events {
        if let Action::Cause { job, .. } = &event.action {
            jobs.entry(job).or_default().0 = Some(event);
        }
    }
    for effect in &history.effects {
        jobs.entry(&effect.job).or_default().1.push(effect.at);
    }
    jobs
}

pub fn judge(history: &History, found: &mut Found) {
    for (job, (cause, effects)) in jobs(history) {
        let first = effects.iter().min();
        let Some(cause) = cause else {
            found.breach(Kind::Phantom, job, first.copied().unwrap_or(0), || {
                "was done, and nobody caused it".into()
            });
            continue;
        };
        let doomed = matches!(cause.action, Action::Cause { doomed: true, .. });
        match (&cause.outcome, first) {
            (Outcome::Refused(status), Some(at)) => {
                let what =
                    || format!("was done, and its write had been refused with {status}, by {}", by(cause));
                found.breach(Kind::Phantom, job, *at, what);
            }
            (_, Some(at)) if *at < cause.start => {
                found.breach(Kind::Phantom, job, *at, || "was done before it was caused".into());
            }
            (Outcome::Done, None) if !doomed => {
                let what = || format!("was never done, and its write had been acknowledged by {}", by(cause));
                found.breach(Kind::LostJob, job, cause.end, what);
            }
            (Outcome::Done, Some(_)) => found.proven.jobs += 1,
            _ => {}
        }
        match (&cause.outcome, doomed) {
            (Outcome::Done, true) => {
                let what = || format!("must have been refused and was acknowledged by {}", by(cause));
                found.breach(Kind::Unexplained, job, cause.end, what);
            }
            (Outcome::Refused(status), false) => {
                let what = || format!("was refused with {status}, by {}", by(cause));
                found.breach(Kind::Unexplained, job, cause.end, what);
            }
            _ => {}
        }
        found.proven.jobs_repeated += effects.len().saturating_sub(1);
    }
}

pub fn awaited(history: &History) -> usize {
    let done: HashSet<&Name> = history.effects.iter().map(|effect| &effect.job).collect();
    let is_awaited = |event: &&Event| match &event.action {
        Action::Cause { job, doomed: false } => event.is_done() && !done.contains(job),
        _ => false,
    };
    history.events.iter().filter(is_awaited).count()
}
