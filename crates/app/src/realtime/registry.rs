//! Who is connected, as whom, and subscribed to what; indexed so that an event looks at those only whom it may
//! interest.

use std::collections::BTreeSet;
use std::sync::Arc;

use base::Name;
use model::{Collection, Record};
use rustc_hash::FxHashMap;

use super::client::{Client, State};
use super::standing::{Caller, Identity, Standing, identity};
use super::topic::{Class, Topic};

/// By the text of the topic, and by whose it is.
type Classes = FxHashMap<(Arc<str>, u64), Arc<Class>>;

#[derive(Default)]
pub(super) struct Registry {
    pub clients: FxHashMap<Box<str>, Arc<Client>>,
    pub callers: FxHashMap<Identity, KnownCaller>,
    /// By what a topic is about.
    topics: FxHashMap<Box<str>, Classes>,
    /// When which client's token ends.
    expiries: BTreeSet<(i64, u64)>,
    by_no: FxHashMap<u64, Arc<Client>>,
    /// What all subscriptions' texts take.
    pub topic_bytes: usize,
    last_no: u64,
    pub closed: bool,
}

pub(super) struct KnownCaller {
    pub caller: Arc<Caller>,
    clients: FxHashMap<u64, Arc<Client>>,
}

impl Registry {
    fn next_no(&mut self) -> u64 {
        self.last_no += 1;
        self.last_no
    }

    /// How many different ones somebody is subscribed to.
    pub fn topics_len(&self) -> usize {
        self.topics.values().map(FxHashMap::len).sum()
    }

    pub fn add(&mut self, make: impl FnOnce(u64) -> Client) -> Arc<Client> {
        let client = Arc::new(make(self.next_no()));
        self.clients.insert(client.id.clone(), client.clone());
        self.by_no.insert(client.no, client.clone());
        client
    }

    pub fn remove(&mut self, client: &Arc<Client>) {
        self.assign(client, None, Default::default());
        self.clients.remove(&client.id);
        self.by_no.remove(&client.no);
    }

    /// The one caller that stands for a record, so that all of its clients share what is judged.
    pub fn caller(&mut self, record: &Arc<Record>) -> Arc<Caller> {
        let key = identity(record);
        if let Some(known) = self.callers.get(&key) {
            return known.caller.clone();
        }
        let caller = Arc::new(Caller::new(self.next_no(), record.clone()));
        let known = KnownCaller { caller: caller.clone(), clients: FxHashMap::default() };
        self.callers.insert(key, known);
        caller
    }

    /// Replaces whose the client is, and its subscriptions. Those that it had go on, the others begin after the news
    /// of that number.
    pub fn assign(
        &mut self,
        client: &Arc<Client>,
        standing: Option<Standing>,
        (topics, since): (Vec<Topic>, u64),
    ) {
        let state = std::mem::take(&mut *client.state.lock());
        let before = state.standing.as_ref().map(|standing| standing.caller.clone());
        for text in state.topics.keys() {
            self.leave_class(client, text, before.as_deref());
        }
        if let Some(standing) = &state.standing {
            self.expiries.remove(&(standing.expires, client.no));
        }
        let caller = standing.as_ref().map(|standing| standing.caller.clone());
        if let Some(standing) = &standing {
            self.expiries.insert((standing.expires, client.no));
            if let Some(known) = self.callers.get_mut(&identity(&standing.caller.record())) {
                known.clients.insert(client.no, client.clone());
            }
        }
        let stays =
            |caller: &Arc<Caller>| standing.as_ref().is_some_and(|now| Arc::ptr_eq(&now.caller, caller));
        if let Some(before) = before.filter(|before| !stays(before)) {
            self.leave_caller(client, &before);
        }
        let mut now = State { standing, ..State::default() };
        for topic in topics {
            let since = state.topics.get(&topic.text).copied().unwrap_or(since);
            let text = self.join_class(client, topic, caller.as_ref(), since);
            now.topics.insert(text, since);
        }
        *client.state.lock() = now;
    }

    fn leave_caller(&mut self, client: &Client, caller: &Caller) {
        let key = identity(&caller.record());
        let Some(known) = self.callers.get_mut(&key).filter(|known| known.caller.no == caller.no) else {
            return;
        };
        known.clients.remove(&client.no);
        if known.clients.is_empty() {
            self.callers.remove(&key);
        }
    }

    /// The client keeps its subscriptions, as nobody.
    fn demote(&mut self, client: &Arc<Client>) {
        let topics: Vec<Topic> = {
            let state = client.state.lock();
            let no = state.standing.as_ref().map_or(0, |standing| standing.caller.no);
            let class =
                |text: &Arc<str>| Some(self.topics.get(Topic::key(text))?.get(&(text.clone(), no))?.clone());
            let classes = state.topics.keys().filter_map(class);
            classes.map(|class| Topic { text: class.text.clone(), options: class.options.clone() }).collect()
        };
        // All of them go on.
        self.assign(client, None, (topics, 0));
    }

    pub fn dismiss(&mut self, caller: &Caller) {
        let key = identity(&caller.record());
        let Some(known) = self.callers.get(&key).filter(|known| known.caller.no == caller.no) else { return };
        let clients: Vec<_> = known.clients.values().cloned().collect();
        clients.iter().for_each(|client| self.demote(client));
        self.callers.remove(&key);
    }

    pub fn expire(&mut self, now: i64) {
        while let Some((expires, no)) = self.expiries.first().copied()
            && expires <= now
        {
            self.expiries.pop_first();
            if let Some(client) = self.by_no.get(&no).cloned() {
                self.demote(&client);
            }
        }
    }

    pub fn leave(&mut self, client: &Client, text: &str) {
        let (known, caller) = {
            let mut state = client.state.lock();
            let known = state.topics.remove_entry(text);
            (known, state.standing.as_ref().map(|standing| standing.caller.clone()))
        };
        if let Some((text, _)) = known {
            self.leave_class(client, &text, caller.as_deref());
        }
    }

    fn join_class(
        &mut self,
        client: &Arc<Client>,
        topic: Topic,
        caller: Option<&Arc<Caller>>,
        since: u64,
    ) -> Arc<str> {
        let no = caller.map_or(0, |caller| caller.no);
        let of_key = self.topics.entry(Topic::key(&topic.text).into()).or_default();
        let class = match of_key.get(&(topic.text.clone(), no)) {
            Some(class) => class.clone(),
            None => {
                let class = Arc::new(Class::new(topic, caller.cloned()));
                of_key.insert((class.text.clone(), no), class.clone());
                class
            }
        };
        self.topic_bytes += class.text.len();
        class.join(client.clone(), since);
        class.text.clone()
    }

    fn leave_class(&mut self, client: &Client, text: &Arc<str>, caller: Option<&Caller>) {
        let key = Topic::key(text);
        let Some(of_key) = self.topics.get_mut(key) else { return };
        let class_key = (text.clone(), caller.map_or(0, |caller| caller.no));
        let Some(class) = of_key.get(&class_key) else { return };
        self.topic_bytes = self.topic_bytes.saturating_sub(text.len());
        if class.leave(client) {
            of_key.remove(&class_key);
            if of_key.is_empty() {
                self.topics.remove(key);
            }
        }
    }

    pub fn classes(&self, key: &str) -> Vec<Arc<Class>> {
        self.topics.get(key).map(|classes| classes.values().cloned().collect()).unwrap_or_default()
    }

    /// The collections that somebody is subscribed to, by what the topics call them, and in order; `None` for too many.
    pub fn followed(&self, most: usize) -> Option<BTreeSet<Name>> {
        let mut names: BTreeSet<Name> = BTreeSet::new();
        for key in self.topics.keys() {
            let name = key.split_once('/').map_or(&**key, |(name, _)| name);
            if names.contains(name) {
                continue;
            }
            if names.len() >= most {
                return None;
            }
            names.insert(name.into());
        }
        Some(names)
    }

    /// Those whose topics begin so.
    pub fn beginning_with(&self, prefix: &str) -> Vec<Arc<Class>> {
        let keys = self.topics.iter().filter(|(key, _)| key.starts_with(prefix));
        keys.flat_map(|(_, classes)| classes.values().cloned()).collect()
    }

    pub fn is_followed(&self, collection: &Collection) -> bool {
        let about = |key: &str| {
            let name = key.split_once('/').map_or(key, |(name, _)| name);
            name == &*collection.name || name == &*collection.id
        };
        self.topics.keys().any(|key| about(key))
    }
}
