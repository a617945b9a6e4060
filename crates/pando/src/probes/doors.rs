//! Front doors, by what their control API tells of them.

use std::collections::BTreeMap;
use std::time::Duration;

use app::system::{Deed, Element, Link, Probe, Pulse, Seen, State};
use async_trait::async_trait;
use backing::bus::Options;
use backing::bus::subjects::Subjects;
use base::limits::{PULSE_BLOCK_BYTES_MAX, SYSTEM_DEED_BYTES_MAX, SYSTEM_PROBE_MS};
use edge::control::client::{Client, Method};
use edge::discovery::names::Names;
use futures_util::future::join_all;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

use crate::config::Config;
use crate::doors::STATUS;

/// Less than is waited for the probe as a whole, so that one that does not answer takes no other with it.
const WAIT: Duration = Duration::from_millis(SYSTEM_PROBE_MS * 3 / 4);
/// What all on the bus are given, however many there are.
const FIRST_WAIT: Duration = Duration::from_millis(SYSTEM_PROBE_MS / 4);
const KEY_CHARS_MAX: usize = 200;

/// What a door tells of itself. What an older version does not tell is empty.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    name: String,
    role: String,
    version: String,
    zone: String,
    region: String,
    draining: bool,
    nodes: Vec<Node>,
    pulse: Figures,
    deeds: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    id: String,
    kind: String,
    #[serde(default)]
    detail: Box<RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Node {
    address: String,
    state: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Figures {
    key: String,
    started: i64,
    figures: BTreeMap<String, f64>,
    blocks: Vec<Block>,
}

#[derive(Deserialize)]
struct Block {
    step: i64,
    start: i64,
    series: Box<RawValue>,
}

impl Status {
    fn element(&self, address: &str) -> Element {
        let key = if self.pulse.key.is_empty() { &self.name } else { &self.pulse.key };
        let kind = if self.role == "edge" { "edge" } else { "balancer" };
        let down = self.pulse.figures.get("front.nodesUp").is_some_and(|up| *up == 0.0);
        let (state, why) = match () {
            () if self.draining => (State::Leaving, ""),
            () if down => (State::Down, "no_nodes"),
            () => (State::Up, ""),
        };
        Element {
            id: format!("{kind}:{key}"),
            kind,
            name: self.name.clone(),
            address: address.into(),
            version: self.version.clone(),
            zone: self.zone.clone(),
            region: self.region.clone(),
            state,
            since: self.pulse.started,
            figures: self.pulse.figures.clone(),
            why: why.into(),
            within: None,
        }
    }

    fn add_to(self, seen: &mut Seen, address: &str) -> Element {
        let element = self.element(address);
        for node in &self.nodes {
            seen.links.push(Link::new(&element.id, &format!("address:{}", node.address), "requests"));
            if matches!(node.state.as_str(), "leaving" | "drained") {
                seen.leaving.push(node.address.clone());
            }
        }
        if !self.pulse.key.is_empty() && self.pulse.key.chars().count() <= KEY_CHARS_MAX {
            let fits = |block: &&Block| block.series.get().len() <= PULSE_BLOCK_BYTES_MAX;
            let pulses = self.pulse.blocks.iter().filter(fits).map(|block| Pulse {
                key: self.pulse.key.clone(),
                step_s: block.step,
                start_s: block.start,
                text: block.series.get().to_owned(),
            });
            seen.pulses.extend(pulses);
        }
        let is_known = |told: &Told| {
            told.id.len() <= KEY_CHARS_MAX
                && Deed::KINDS.contains(&told.kind.as_str())
                && told.detail.get().len() <= SYSTEM_DEED_BYTES_MAX
        };
        seen.deeds.extend(self.deeds.into_iter().filter(is_known).map(|told| Deed {
            id: told.id,
            kind: told.kind,
            element: element.id.clone(),
            detail: serde_json::from_str(told.detail.get()).unwrap_or_default(),
        }));
        seen.elements.push(element.clone());
        element
    }
}

/// A door as it was when it answered last.
fn gone(known: Option<&Element>, address: &str, why: &str) -> Element {
    let blank = || Element {
        id: format!("balancer:{address}"),
        kind: "balancer",
        name: address.into(),
        address: address.into(),
        ..Element::default()
    };
    let known = known.cloned().unwrap_or_else(blank);
    Element { state: State::Down, why: why.into(), figures: BTreeMap::new(), since: 0, ..known }
}

/// Those that the configuration names.
pub struct Named {
    clients: Vec<Client>,
    known: Mutex<BTreeMap<String, Element>>,
}

impl Named {
    /// None where none are named.
    pub fn open(config: &Config) -> Option<Named> {
        // What is wrong with either is told where this process announces itself.
        let names =
            Names::parse(&config.announce.to, "announce.to").ok().filter(|names| !names.is_empty())?;
        let authorization = edge::control::bearer(&config.announce.secret).ok()?;
        let client = |name: &str| Client::new(name.to_owned(), authorization.clone());
        Some(Named { clients: names.iter().map(client).collect(), known: Mutex::default() })
    }

    fn gone(&self, address: &str, why: &str) -> Element {
        gone(self.known.lock().get(address), address, why)
    }
}

#[async_trait]
impl Probe for Named {
    fn silent(&self) -> Seen {
        let elements = self.clients.iter().map(|client| self.gone(client.address(), "no_answer"));
        Seen { elements: elements.collect(), ..Seen::default() }
    }

    async fn look(&self) -> Seen {
        let answers = join_all(self.clients.iter().map(|client| async move {
            let called = client.call(Method::GET, "/status", Vec::new());
            (client.address(), tokio::time::timeout(WAIT, called).await)
        }));
        let mut seen = Seen::default();
        for (address, answer) in answers.await {
            let why = match answer {
                Ok(Ok((status, text))) if status.is_success() => {
                    match serde_json::from_slice::<Status>(&text) {
                        Ok(told) => {
                            let element = told.add_to(&mut seen, address);
                            self.known.lock().insert(address.to_owned(), element);
                            continue;
                        }
                        Err(_) => "no_answer",
                    }
                }
                Ok(Ok((status, _))) if status == 401 => "unauthorized",
                _ => "no_answer",
            };
            seen.elements.push(self.gone(address, why));
        }
        seen
    }
}

/// Whichever are on the bus.
pub struct OnBus {
    options: Options,
    subjects: OnceCell<Subjects>,
    known: Mutex<BTreeMap<String, Element>>,
}

impl OnBus {
    pub fn new(options: Options) -> Self {
        OnBus { options, subjects: OnceCell::new(), known: Mutex::default() }
    }
}

#[async_trait]
impl Probe for OnBus {
    fn silent(&self) -> Seen {
        let known = self.known.lock();
        let elements = known.values().map(|known| gone(Some(known), &known.address, "no_answer"));
        Seen { elements: elements.collect(), ..Seen::default() }
    }

    async fn look(&self) -> Seen {
        let open = || Subjects::open(&self.options, "front doors are not asked how they do meanwhile");
        let Ok(subjects) = self.subjects.get_or_try_init(open).await else { return self.silent() };
        // Nobody knows how many there are: all are given a moment, and those that were there last are given more.
        let mut answers = subjects.ask(STATUS, Vec::new(), FIRST_WAIT, |_| false).await;
        let missing = self.known.lock().len().saturating_sub(answers.len());
        if missing > 0 {
            let all = answers.len() + missing;
            let again =
                subjects.ask(STATUS, Vec::new(), WAIT - FIRST_WAIT, |answers| answers.len() >= all).await;
            answers.extend(again);
        }
        let mut seen = Seen::default();
        let mut heard = BTreeMap::new();
        for answer in &answers {
            if let Ok(told) = serde_json::from_slice::<Status>(answer) {
                heard.insert(told.element("").id, told);
            }
        }
        for (id, told) in heard {
            let element = told.add_to(&mut seen, "");
            self.known.lock().insert(id, element);
        }
        let here: Vec<String> = seen.elements.iter().map(|element| element.id.clone()).collect();
        self.known.lock().retain(|id, element| here.contains(id) || element.state != State::Leaving);
        for known in self.known.lock().values().filter(|known| !here.contains(&known.id)) {
            seen.elements.push(gone(Some(known), "", "no_answer"));
        }
        seen
    }
}
