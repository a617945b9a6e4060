//! What clients subscribe to, and who wants the same.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::judge::Known;
use super::standing::Caller;

/// What a client asks for with a topic. The server's words about a collection (`posts/*`, `posts/ID`, `posts`) come
/// before the `?`; anything else is a topic of its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    pub filter: String,
    pub expand: Vec<String>,
    pub fields: String,
    /// For rules that look at the request.
    pub query: FxHashMap<String, String>,
    pub headers: FxHashMap<String, String>,
}

/// A subscription as asked for.
#[derive(Clone, Debug)]
pub struct Topic {
    /// As the client spelled it, which is how its events are named.
    pub text: Arc<str>,
    pub options: Options,
}

impl Topic {
    /// What it is about, without the options.
    pub(super) fn key(text: &str) -> &str {
        text.split_once('?').map_or(text, |(key, _)| key)
    }
}

/// Subscriptions that no event can tell apart: the same words by the same caller. Judged once for all.
pub(super) struct Class {
    pub text: Arc<str>,
    pub options: Options,
    pub caller: Option<Arc<Caller>>,
    /// By their numbers, and since which news.
    members: Mutex<FxHashMap<u64, (Arc<Client>, u64)>>,
    /// The rule as it was resolved last.
    pub known: Mutex<Option<Known>>,
}

impl Class {
    pub fn new(topic: Topic, caller: Option<Arc<Caller>>) -> Self {
        Class {
            text: topic.text,
            options: topic.options,
            caller,
            members: Mutex::default(),
            known: Mutex::default(),
        }
    }

    pub fn join(&self, client: Arc<Client>, since: u64) {
        self.members.lock().insert(client.no, (client, since));
    }

    /// Whether nobody is left.
    pub fn leave(&self, client: &Client) -> bool {
        let mut members = self.members.lock();
        members.remove(&client.no);
        members.is_empty()
    }

    /// An event that follows from the news of that number.
    pub fn deliver(&self, data: &Bytes, (no, now_ms): (u64, i64)) {
        for (client, since) in self.members.lock().values() {
            if *since < no {
                client.push(&self.text, data, now_ms);
            }
        }
    }

    /// For events that could not be judged: whoever might have missed one starts anew.
    pub fn resync(&self, now_ms: i64) {
        for (client, _) in self.members.lock().values() {
            super::resync(client, now_ms);
        }
    }
}
