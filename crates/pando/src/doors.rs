//! Front doors on the bus: nodes announce themselves there instead of at each door's address, and doors pass purges on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use backing::bus::Options;
use backing::bus::subjects::{Message, Messages, Subjects};
use base::limits::{
    ANNOUNCE_BEAT_MS, ANNOUNCE_DOORS_SILENT_MS, FRONT_LIVES_MAX, FRONT_NODE_SILENT_MS, FRONT_PASS_MS,
};
use bytes::Bytes;
use edge::announce::heard::{Heard, Mark};
use edge::announce::sender::{self, Sender, Unheard};
use edge::announce::{Announcement, Purge};
use edge::control::Control;
use edge::control::passing::{Passes, Told};
use edge::discovery::Discovery;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::config::Config;

/// Where nodes announce themselves.
const ANNOUNCEMENTS: &str = "front";
/// Where front doors speak to each other.
const DOORS: &str = "doors";
/// Where front doors are asked how they do.
pub const STATUS: &str = "doors.status";

/// The bus as a way to all front doors that are there. It confirms nothing: messages are numbered, so that one that is lost
/// is missed.
struct Way {
    subjects: Subjects,
    /// Counts the times that there were front doors after there were none.
    turn: u64,
}

impl sender::Way for Way {
    fn name(&self) -> String {
        format!("bus {}", self.turn)
    }

    fn send<'a>(&'a self, message: &'a Announcement) -> BoxFuture<'a, Result<(), Unheard>> {
        async move {
            let text = serde_json::to_vec(message).map_err(|error| Unheard::Away(error.to_string()))?;
            self.subjects.publish(ANNOUNCEMENTS, text).await.map_err(Unheard::Away)?;
            if message.leaving || message.goodbye {
                self.subjects.flush().await;
            }
            Ok(())
        }
        .boxed()
    }
}

/// Tells the front doors on the bus, for as long as there are any: where there are none, nothing is sent. `nowhere` when they
/// cannot be told where this process answers.
pub async fn tell_all(sender: Sender, bus: &Options, address: &str, nowhere: bool) -> Result<(), String> {
    let subjects = Subjects::open(bus, "front doors hear nothing of this process meanwhile").await?;
    let mut doors = subjects.subscribe(DOORS).await?;
    let mut way = Way { subjects, turn: 0 };
    loop {
        doors.next().await;
        if nowhere && way.turn == 0 {
            tracing::warn!(
                "there are front doors, and they are not told where this process answers, as it listens on every address: \
                 set announce.address to the HOST:PORT that they are to use"
            );
        }
        way.turn += 1;
        let none_left = async {
            let silent = Duration::from_millis(ANNOUNCE_DOORS_SILENT_MS);
            while tokio::time::timeout(silent, doors.next()).await.is_ok() {}
        };
        tokio::select! {
            // It has said goodbye.
            () = sender.tell(&way, address) => return Ok(()),
            () = none_left => {}
        }
    }
}

/// What one front door tells the others.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Word {
    /// The door's own, new at every start.
    door: String,
    name: String,
    /// Empty for a word that only tells that it is there.
    purge: Purge,
    /// The number of the purge among those of the door's life.
    mark: Option<u64>,
}

/// A front door among others on the bus.
pub struct Doors {
    subjects: Subjects,
    door: String,
    name: String,
    /// The others, by what they call themselves, and when they were heard last.
    others: Mutex<HashMap<String, (String, Instant)>>,
}

impl Doors {
    /// `life` is this process's own, by which its purges are numbered.
    pub async fn open(config: &Config, life: &str) -> Result<Arc<Doors>> {
        let meanwhile = "nodes that announce themselves there are not heard meanwhile";
        let subjects = Subjects::open(&config.bus(), meanwhile).await.map_err(anyhow::Error::msg)?;
        let (door, name) = (life.to_owned(), config.node_name());
        Ok(Arc::new(Doors { subjects, door, name, others: Mutex::default() }))
    }

    /// Hears nodes and other front doors, for ever.
    pub async fn run(self: Arc<Self>, discovery: Arc<Discovery>, heard: Arc<Heard>) -> Result<(), String> {
        let nodes = self.subjects.subscribe(ANNOUNCEMENTS).await?;
        let doors = self.subjects.subscribe(DOORS).await?;
        tokio::join!(hear(nodes, &discovery), self.listen(doors, &heard), self.beat());
        Ok(())
    }

    /// Answers whoever asks all front doors how they do, for ever.
    pub async fn answer_status(&self, control: Arc<Control>) -> Result<(), String> {
        let mut questions = self.subjects.subscribe(STATUS).await?;
        loop {
            let question = questions.next().await;
            question.answer(control.status().to_string()).await;
        }
    }

    async fn beat(&self) {
        let word = Word { door: self.door.clone(), name: self.name.clone(), ..Word::default() };
        loop {
            if let Ok(text) = serde_json::to_vec(&word) {
                // Who is not reached is asked for no confirmation.
                let _ = self.subjects.publish(DOORS, text).await;
            }
            tokio::time::sleep(Duration::from_millis(ANNOUNCE_BEAT_MS)).await;
        }
    }

    async fn listen(&self, mut messages: Messages, heard: &Heard) {
        loop {
            let message = messages.next().await;
            let Ok(word) = serde_json::from_slice::<Word>(&message.text) else { continue };
            if word.door == self.door {
                continue;
            }
            self.hear(word, message, heard).await;
        }
    }

    async fn hear(&self, word: Word, message: Message, heard: &Heard) {
        if !word.purge.is_empty() {
            metrics::counter!("pando_front_purges_total", "from" => "door").increment(1);
            let mark = word.mark.map(|position| Mark { life: word.door.clone(), position });
            heard.passed(mark.as_ref(), &word.purge);
            message.answer(self.door.clone()).await;
        }
        let mut others = self.others.lock().await;
        others.retain(|_, (_, heard)| heard.elapsed() < Duration::from_millis(FRONT_NODE_SILENT_MS));
        if others.len() < FRONT_LIVES_MAX {
            others.insert(word.door, (word.name, Instant::now()));
        }
    }
}

impl Passes for Doors {
    fn pass<'a>(&'a self, purge: &'a Purge, mark: &'a Mark) -> BoxFuture<'a, Vec<Told>> {
        async move {
            let known: Vec<(String, String)> = {
                let others = self.others.lock().await;
                let there = others
                    .iter()
                    .filter(|(_, (_, heard))| heard.elapsed() < Duration::from_millis(FRONT_NODE_SILENT_MS));
                there.map(|(door, (name, _))| (door.clone(), name.clone())).collect()
            };
            let (door, name) = (self.door.clone(), self.name.clone());
            let word = Word { door, name, purge: purge.clone(), mark: Some(mark.position) };
            let Ok(text) = serde_json::to_vec(&word) else { return Vec::new() };
            let within = Duration::from_millis(FRONT_PASS_MS);
            let confirms = |answers: &[Bytes], door: &str| answers.iter().any(|by| by == door.as_bytes());
            let all = |answers: &[Bytes]| known.iter().all(|(door, _)| confirms(answers, door));
            let answers = self.subjects.ask(DOORS, text, within, all).await;
            let told = known.iter().map(|(door, name)| {
                let outcome = match confirms(&answers, door) {
                    true => Ok(()),
                    false => Err("no answer in time".to_owned()),
                };
                Told::by(name.clone(), outcome)
            });
            told.collect()
        }
        .boxed()
    }
}

async fn hear(mut messages: Messages, discovery: &Discovery) {
    loop {
        let message = messages.next().await;
        let heard = match serde_json::from_slice::<Announcement>(&message.text) {
            Ok(said) => discovery.hear(&said).map_err(str::to_owned),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = heard {
            tracing::debug!("an announcement on the bus was not understood: {why}");
        }
    }
}
