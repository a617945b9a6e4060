//! Messages of the application's own queues as events, for who is subscribed to `queues/STREAM/PATTERN`. Each process
//! reads the streams by position for its own clients, so it does not matter who published. A client gets what is
//! published while it is subscribed; what it missed it reads by number.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use base::limits::{QUEUE_MESSAGES_MAX, QUEUE_POLL_MS};

use super::Topic;
use super::judge::request;
use super::topic::Class;
use crate::error::Result;
use crate::parts::Parts;
use crate::queues::subject::{is_pattern, matches};
use crate::queues::{Stream, consuming_as, order, window};

const PREFIX: &str = "queues/";

/// Stream and pattern.
fn about(text: &str) -> Option<(&str, &str)> {
    let (stream, pattern) = Topic::key(text).strip_prefix(PREFIX)?.split_once('/')?;
    is_pattern(pattern).then_some((stream, pattern))
}

/// The ids of the streams that somebody wants to follow.
pub(super) fn streams(parts: &Parts, topics: &[Topic]) -> Vec<String> {
    let known = parts.queues.streams();
    let named = topics.iter().filter_map(|topic| about(&topic.text));
    named.filter_map(|(stream, _)| Some(known.find(stream)?.id.clone())).collect()
}

/// From here on their messages are pushed.
pub(super) async fn follow(parts: &Parts, streams: Vec<String>) -> Result<()> {
    for stream in streams {
        if !parts.queues.followed.lock().contains_key(&stream) {
            let next = order(parts, &stream).await?.seq + 1;
            parts.queues.followed.lock().entry(stream).or_insert(next);
            parts.queues.waits.pushes.notify_one();
        }
    }
    Ok(())
}

/// Runs until `stop` completes.
pub async fn run(parts: Arc<Parts>, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    loop {
        let followed: Vec<String> = parts.queues.followed.lock().keys().cloned().collect();
        for id in &followed {
            if let Err(error) = push(&parts, id).await {
                tracing::warn!(details = error.details, "messages cannot be pushed right now: {error}");
            }
        }
        let pause = async {
            match followed.is_empty() {
                true => std::future::pending().await,
                // For what other processes publish.
                false => tokio::time::sleep(Duration::from_millis(QUEUE_POLL_MS)).await,
            }
        };
        tokio::select! {
            () = &mut stop => return,
            () = parts.queues.waits.pushes.notified() => {}
            () = pause => {}
        }
    }
}

fn classes(parts: &Parts, stream: &Stream) -> Vec<Arc<Class>> {
    let registry = parts.realtime.0.registry.lock();
    let mut found = registry.beginning_with(&format!("{PREFIX}{}/", stream.name));
    found.extend(registry.beginning_with(&format!("{PREFIX}{}/", stream.id)));
    found
}

async fn push(parts: &Parts, id: &str) -> Result<()> {
    let Some(stream) = parts.queues.streams().find(id).cloned() else {
        parts.queues.followed.lock().remove(id);
        return Ok(());
    };
    let mut admitted = Vec::new();
    let found = classes(parts, &stream);
    if found.is_empty() {
        let mut followed = parts.queues.followed.lock();
        // Who subscribed just now has looked for the entry after that, or will.
        if classes(parts, &stream).is_empty() {
            followed.remove(id);
        }
        return Ok(());
    }
    let head = order(parts, &stream.id).await?.seq;
    let Some(mut next) = parts.queues.followed.lock().get(id).copied() else { return Ok(()) };
    if head < next {
        return Ok(());
    }
    for class in found {
        let Some((_, pattern)) = about(&class.text) else { continue };
        let pattern = pattern.to_owned();
        let request = request(&class, class.caller.as_ref().map(|caller| caller.record()));
        if consuming_as(parts, &request, &stream, &pattern).await? {
            admitted.push((class, pattern));
        }
    }
    loop {
        let wanted = |subject: &str| admitted.iter().any(|(_, pattern)| matches(pattern, subject));
        let page = window(parts, &stream, next, QUEUE_MESSAGES_MAX, wanted).await?;
        let now_ms = parts.clock.now().0;
        for message in &page.messages {
            let data = (parts.realtime.0.wire.message)(&stream.name, message);
            for (class, _) in admitted.iter().filter(|(_, pattern)| matches(pattern, &message.subject)) {
                // They have numbers of their own, by which clients know what they have.
                class.deliver(&data, (u64::MAX, now_ms));
            }
        }
        if page.next == next {
            return Ok(());
        }
        next = page.next;
        if let Some(position) = parts.queues.followed.lock().get_mut(id) {
            *position = next;
        }
    }
}
