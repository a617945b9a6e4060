//! Whether so much waits in a group that nothing more is published to it. It is looked for now and then: counting every
//! time would cost more than a publish.

use std::time::{Duration, Instant};

use base::Kind;
use base::limits::{QUEUE_FULL_LOOK_MS, QUEUE_WAITING_MAX};
use query::{Expr, Select};

use super::stream::{Group, Stream};
use super::table::{DELIVERIES, queues, text};
use crate::error::{Error, Result};
use crate::parts::Parts;

pub struct Look {
    at: Instant,
    is_full: bool,
}

pub async fn refuse(parts: &Parts, stream: &Stream) -> Result<()> {
    for group in &stream.groups {
        if is_full(parts, group).await? {
            let message = format!("Too many messages wait in the group {:?}. Try again later.", group.name);
            return Err(Error::new(Kind::TooMany, message));
        }
    }
    Ok(())
}

async fn is_full(parts: &Parts, group: &Group) -> Result<bool> {
    if let Some(look) = parts.queues.full.lock().get(&group.id)
        && look.at.elapsed() < Duration::from_millis(QUEUE_FULL_LOOK_MS)
    {
        return Ok(look.is_full);
    }
    let in_group = Expr::In { left: text("queue"), values: queues(&group.id) };
    let beyond = Select { offset: QUEUE_WAITING_MAX, ..Select::table(DELIVERIES, Vec::new()) };
    let is_full = parts.store.first(&beyond.filter(in_group).limit(1)).await?.is_some();
    parts.queues.full.lock().insert(group.id.clone(), Look { at: Instant::now(), is_full });
    Ok(is_full)
}
