//! How the queues stand, as people look at them: what waits, runs, is put off and was given up in each.

use backing::queue::{DEAD, TABLE};
use query::{Expr, Select};

use super::attend::{State, in_state, is};
use super::{DEFAULT, backlog};
use crate::error::Result;
use crate::parts::Parts;

pub struct Standing {
    pub queue: &'static str,
    pub waiting: u64,
    pub delayed: u64,
    pub running: u64,
    pub dead: u64,
    /// How long the oldest one that waits does so.
    pub oldest_ms: i64,
}

pub async fn standing(parts: &Parts) -> Result<Vec<Standing>> {
    let now = parts.clock.now().0;
    let count =
        async |filter: Expr| parts.store.count(&Select::table(TABLE, Vec::new()).filter(filter)).await;
    let mut all = Vec::new();
    for depth in backlog(parts).await?.queues {
        let queue = depth.queue;
        let running = count(Expr::and([is("queue", queue), in_state(State::Running, now)])).await?;
        let mut dead = count(Expr::and([is("queue", DEAD), is("origin", queue)])).await?;
        if queue == DEFAULT {
            // Older versions did not note where one came from.
            dead += count(Expr::and([is("queue", DEAD), is("origin", "")])).await?;
        }
        all.push(Standing {
            queue,
            waiting: depth.due,
            // One that began in between is counted once.
            delayed: depth.later.saturating_sub(running),
            running,
            dead,
            oldest_ms: depth.oldest_ms,
        });
    }
    Ok(all)
}
