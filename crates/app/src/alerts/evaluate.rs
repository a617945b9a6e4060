//! Judging the rules, every few seconds, by the process that looks after the system.

use std::collections::HashMap;
use std::time::Instant;

use base::Value;
use base::limits::PULSE_MS;
use query::{Assign, Batch, Guard, Op, Select};
use serde_json::json;

use super::notify::{self, Notice};
use super::progress::{Progress, Turn};
use super::receivers::{self, Receivers};
use super::{Rule, TABLE, all, insertion, is, text};
use crate::error::Result;
use crate::parts::Parts;
use crate::system::{self, events};

/// What is known between two looks.
#[derive(Default)]
pub(crate) struct Evaluator {
    last: Option<Instant>,
    progress: HashMap<String, Progress>,
}

impl Evaluator {
    pub async fn tick(&mut self, parts: &Parts) {
        if let Err(error) = self.judge(parts).await {
            tracing::warn!(details = error.details, "alerts cannot be judged: {error}");
        }
    }

    async fn judge(&mut self, parts: &Parts) -> Result<()> {
        // After a pause of the whole machine it is not known what was in between.
        let elapsed_ms = self.last.map_or(0, |last| (last.elapsed().as_millis() as u64).min(3 * PULSE_MS));
        self.last = Some(Instant::now());
        let receivers = receivers::load(parts).await?;
        if receivers.is_empty() {
            self.progress.clear();
            return Ok(());
        }
        let rules = all(parts).await?;
        let picture = system::picture(parts).await;
        let last = events::list(parts, 0, &[events::BACKUP_DONE, events::BACKUP_FAILED], 1).await?;
        let backup_failed = last.first().map(|event| event.kind == events::BACKUP_FAILED);
        let now = parts.clock.now().0;
        self.progress.retain(|id, _| rules.iter().any(|(rule, _)| rule.id == *id));
        for (rule, stored) in rules.into_iter().filter(|(rule, _)| rule.enabled) {
            let mut progress = match self.progress.remove(&rule.id) {
                // Nobody has changed it since.
                Some(known) if known.stored == stored.stored => known,
                _ => stored.resumed(now),
            };
            let before = progress.status;
            let found = rule.measure(&picture, backup_failed);
            let turn = progress.step(&rule, found.as_ref(), elapsed_ms, now);
            if (turn.is_some() || before != progress.status)
                && !store(parts, &rule, &mut progress, turn, &receivers).await?
            {
                // Another process was faster: what it wrote is read the next time.
                continue;
            }
            self.progress.insert(rule.id, progress);
        }
        Ok(())
    }
}

/// Writes how the rule stands now, with the jobs that tell of it, unless it stands otherwise than was seen.
async fn store(
    parts: &Parts,
    rule: &Rule,
    progress: &mut Progress,
    turn: Option<Turn>,
    receivers: &Receivers,
) -> Result<bool> {
    let state = text(progress)?;
    let now = parts.clock.now();
    let own = Select::by_ids(TABLE, Vec::new(), vec![rule.id.as_str().into()]);
    let (guard, op) = match progress.has_row {
        true => {
            let set = vec![("state".into(), Assign::Set(Value::from(state.as_str())))];
            let op = Op::Update { table: TABLE.into(), id: rule.id.as_str().into(), set };
            (Guard::Exists(own.filter(is("state", &progress.stored))), op)
        }
        false => {
            let values = vec![("state".into(), Value::from(state.as_str()))];
            (Guard::Absent(own), insertion(&rule.id, &now.to_string(), values))
        }
    };
    let notice = turn.map(|turn| Notice::of(rule, progress, turn, now));
    let jobs = match &notice {
        Some(notice) => notify::jobs(parts, notice, receivers).await?,
        None => Vec::new(),
    };
    match parts.store.commit(Batch { guards: vec![guard], ops: vec![op], jobs, ..Batch::default() }).await {
        Ok(_) => {}
        Err(store::Error::Guard(_)) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    (progress.stored, progress.has_row) = (state, true);
    if let Some(notice) = notice {
        tracing::warn!(rule = rule.id, value = notice.value, elements = ?notice.elements, "alert {}", notice.turn);
        let kind = match turn {
            Some(Turn::Fired) => events::ALERT_FIRED,
            Some(Turn::Resolved) => events::ALERT_RESOLVED,
            _ => return Ok(true),
        };
        let detail = json!({
            "kind": rule.kind.name(), "severity": rule.severity.name(), "threshold": rule.threshold,
            "value": notice.value, "elements": notice.elements,
        });
        events::tell(parts, kind, &rule.id, detail).await;
    }
    Ok(true)
}
