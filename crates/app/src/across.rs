//! What nodes ask each other: only what the database does not know. A node that does not answer in time is gone on without.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use backing::bus::Cells;
use base::Kind;
use base::limits::{BUS_FORESIGHT_MS, BUS_QUESTION_BYTES_MAX};
use bytes::Bytes;
use model::Record;
use serde::{Deserialize, Serialize};

use crate::auth::oauth2::redirect;
use crate::auth::token;
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::realtime::{self, Options, Topic, foresight};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Question {
    /// For a realtime client, if it is there.
    HandOver { client: String, data: String },
    /// Records that are about to be deleted: the collection's id, and the record.
    Foresee { records: Vec<(Box<str>, Cells)> },
    /// New subscriptions for a realtime client, if it is there. The token is the caller's, empty for a guest.
    Subscribe { client: String, token: String, topics: Vec<(String, Options)> },
}

/// What a client's node says of its new subscriptions.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Subscribed {
    done: bool,
    /// Why not, for the client.
    refused: Refusal,
    message: String,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Refusal {
    NotFound,
    Forbidden,
    Unavailable,
    #[default]
    #[serde(other)]
    Internal,
}

const YES: &[u8] = b"yes";
const NO: &[u8] = b"no";

/// Answers other nodes, until `stop` completes.
pub async fn run(parts: Arc<Parts>, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    loop {
        let question = tokio::select! {
            () = &mut stop => return,
            question = parts.bus.asked() => question,
        };
        let parts = parts.clone();
        // One that takes long holds up no other.
        tokio::spawn(async move {
            let word = |holds| Bytes::from_static(if holds { YES } else { NO });
            let answer = match serde_json::from_slice(&question.text) {
                Ok(Question::HandOver { client, data }) => {
                    word(redirect::hand_over_here(&parts, &client, data))
                }
                Ok(Question::Foresee { records }) => {
                    foresee_here(&parts, records).await;
                    word(true)
                }
                Ok(Question::Subscribe { client, token, topics }) => {
                    let answer = subscribe_here(&parts, &client, &token, topics).await;
                    answer.map_or_else(|| word(false), Bytes::from)
                }
                // Of a later version.
                Err(_) => word(false),
            };
            question.answer(answer);
        });
    }
}

/// Whether a client of another node took it.
pub async fn hand_over(parts: &Parts, client: &str, data: String) -> bool {
    let question = Question::HandOver { client: client.into(), data };
    let Ok(question) = serde_json::to_vec(&question) else { return false };
    let took = |answers: &[Bytes]| answers.iter().any(|answer| answer == YES);
    took(&parts.bus.ask(question.into(), took).await)
}

/// Replaces the subscriptions of a client that is not here. None when no other node has it, either.
pub async fn subscribe(parts: &Parts, client: &str, token: &str, topics: Vec<Topic>) -> Option<Result<()>> {
    let topics = topics.into_iter().map(|topic| (topic.text.to_string(), topic.options)).collect();
    let question = Question::Subscribe { client: client.into(), token: token.into(), topics };
    let question = serde_json::to_vec(&question).ok()?;
    if question.len() > BUS_QUESTION_BYTES_MAX {
        return Some(Err(Error::new(Kind::Unavailable, "Too many subscriptions. Try again later.")));
    }
    let has_it = |answer: &&Bytes| **answer != NO;
    let answers =
        parts.bus.ask(question.into(), |answers| answers.iter().any(|answer| has_it(&answer))).await;
    let answer: Subscribed = serde_json::from_slice(answers.iter().find(has_it)?).ok()?;
    Some(match (answer.done, answer.refused) {
        (true, _) => Ok(()),
        (false, Refusal::NotFound) => return None,
        (false, Refusal::Forbidden) => Err(Error::new(Kind::Forbidden, answer.message)),
        (false, Refusal::Unavailable) => Err(Error::new(Kind::Unavailable, answer.message)),
        (false, Refusal::Internal) => Err(Error::internal("the client's node could not subscribe it")),
    })
}

/// None when the client is not here.
async fn subscribe_here(
    parts: &Parts,
    client: &str,
    token: &str,
    topics: Vec<(String, Options)>,
) -> Option<Vec<u8>> {
    if !parts.realtime.knows(client) {
        return None;
    }
    let topics = topics.into_iter().map(|(text, options)| Topic { text: text.into(), options }).collect();
    let outcome = async {
        let caller = token::authenticate(parts, token).await?;
        realtime::subscribe_here(parts, client, caller.as_ref(), topics).await
    };
    let answer = match outcome.await {
        Ok(()) => Subscribed { done: true, refused: Refusal::default(), message: String::new() },
        Err(error) => {
            let refused = match error.kind {
                Kind::NotFound => Refusal::NotFound,
                Kind::Forbidden => Refusal::Forbidden,
                Kind::Unavailable => Refusal::Unavailable,
                _ => {
                    let details = error.details.as_deref();
                    tracing::warn!(details, "a client could not be subscribed for another node: {error}");
                    Refusal::Internal
                }
            };
            Subscribed { done: false, refused, message: error.message }
        }
    };
    serde_json::to_vec(&answer).ok()
}

/// Has other nodes find out what their clients will be told of deletes, before the records are gone. Without it an event
/// is judged on what is left.
pub async fn foresee(parts: &Parts, records: &[Record]) {
    let is_followed = |record: &&Record| {
        let collection = &record.collection;
        parts.bus.is_followed(&[&collection.name, &collection.id])
    };
    let told = |record: &Record| ((&*record.collection.id).into(), Cells::of(&record.row));
    let records: Vec<_> = records.iter().filter(is_followed).map(told).collect();
    if records.is_empty() {
        return;
    }
    let Ok(question) = serde_json::to_vec(&Question::Foresee { records }) else { return };
    if question.len() <= BUS_QUESTION_BYTES_MAX {
        let asked = parts.bus.ask(question.into(), |_| false);
        let _ = tokio::time::timeout(Duration::from_millis(BUS_FORESIGHT_MS), asked).await;
    }
}

async fn foresee_here(parts: &Parts, records: Vec<(Box<str>, Cells)>) {
    let schema = parts.catalog.schema();
    let record = |(collection, row): (Box<str>, Cells)| {
        let (collection, row) = (schema.by_id(&collection)?.clone(), Arc::new(row.into_row()));
        // A row of another form is from before or after a change of its collection.
        (row.0.len() == collection.table.columns.len()).then_some(Record { collection, row })
    };
    let records: Vec<Record> = records.into_iter().filter_map(record).collect();
    foresight::foresee_for_others(parts, &records).await;
}
