//! What was asked and what came of it, as data. All times are one process's monotonic clock, so that "before" is the
//! same for everybody in it.

use std::sync::Arc;

pub type Name = Arc<str>;

/// Nanoseconds since the history began.
pub type Instant = u64;

/// One request of one caller, with all the tries that it took.
#[derive(Clone, Debug)]
pub struct Event {
    pub caller: usize,
    /// The node that answered, or the last that was tried.
    pub node: usize,
    /// When the caller began to try.
    pub asked: Instant,
    /// Before the first byte was sent to the node.
    pub start: Instant,
    /// After the last byte was read, or when the caller gave up.
    pub end: Instant,
    /// Nodes that did not answer before this one did.
    pub retries: usize,
    pub action: Action,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Acknowledged; of a read: answered.
    Done,
    /// Refused with a status below 500: it must not have happened.
    Refused(u16),
    /// Nobody knows: no answer, or one that says so. Says why.
    Unknown(Name),
}

/// A record as a reader saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Absent,
    Version(u32),
    /// Something that the number of the version does not explain.
    Alien(String),
}

/// Whom a version of a record concerns among the subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All of them.
    Everybody,
    /// None: they are subscribed to the collection, and its rule forbids them this version.
    Forbidden,
    /// None: they are not subscribed to the collection.
    Nobody,
}

#[derive(Clone, Debug)]
pub enum Action {
    /// Writes a version of a record. Each record has one writer, which counts from 1 (the create), waits for each
    /// answer, and leaves the record alone after one that it does not know the outcome of.
    Put {
        shelf: Name,
        record: Name,
        version: u32,
        audience: Audience,
    },
    /// The record's last version. Who could see the one before it hears of it.
    Delete {
        shelf: Name,
        record: Name,
        version: u32,
        audience: Audience,
    },
    /// A write that causes a job of that name, whose effect is looked for outside. A doomed one must be refused.
    Cause {
        job: Name,
        doomed: bool,
    },
    /// Adds an element that is nowhere else to a set that only grows.
    Insert {
        set: Name,
        element: Name,
    },
    /// Asks for a name that many ask for and one may have.
    Claim {
        name: Name,
        element: Name,
    },
    /// Adds one.
    Add {
        counter: Name,
    },
    /// Moves an amount between two accounts and adds the element to the ledger's set, all in one batch.
    Transfer {
        from: Name,
        to: Name,
        amount: i64,
        set: Name,
        element: Name,
    },
    /// Reads one record.
    View {
        record: Name,
        seen: Seen,
    },
    /// Reads all records of a shelf at once; those that are not named were absent.
    Shelf {
        shelf: Name,
        seen: Vec<(Name, Seen)>,
    },
    /// Reads all elements of a set, each as often as it was there.
    Elements {
        set: Name,
        seen: Vec<Name>,
    },
    /// Reads who has the name.
    Holders {
        name: Name,
        seen: Vec<Name>,
    },
    Count {
        counter: Name,
        value: i64,
    },
    /// Reads all accounts at once.
    Balances {
        seen: Vec<(Name, i64)>,
    },
    /// A read that was not answered with anything.
    Unread,
}

impl Action {
    pub fn is_write(&self) -> bool {
        use Action::*;
        matches!(
            self,
            Put { .. }
                | Delete { .. }
                | Cause { .. }
                | Insert { .. }
                | Claim { .. }
                | Add { .. }
                | Transfer { .. }
        )
    }
}

#[derive(Clone, Debug, Default)]
pub struct History {
    /// Each account's balance before the first event.
    pub balances: Vec<(Name, i64)>,
    pub events: Vec<Event>,
    /// From here on nothing was written any more, and everything was read once more from every node.
    pub settled: Option<Instant>,
    /// For so long after a read has seen a write that was not acknowledged yet, others may miss it: replicas come to it
    /// one after another. In nanoseconds.
    pub lease: Instant,
    /// What jobs did, as it was seen from outside.
    pub effects: Vec<Effect>,
    pub streams: Vec<Stream>,
}

/// One time that a job was done.
#[derive(Clone, Debug)]
pub struct Effect {
    pub job: Name,
    /// When it was seen.
    pub at: Instant,
}

/// One connection of a subscriber, from the answer to its subscription until it ended.
#[derive(Clone, Debug)]
pub struct Stream {
    pub subscriber: usize,
    pub node: usize,
    /// Whatever is written by requests that begin from here on concerns it.
    pub from: Instant,
    /// The end of the connection: the client starts anew and reads everything again.
    pub until: Option<Instant>,
    /// When it was told to start anew.
    pub resyncs: Vec<Instant>,
    pub heard: Vec<Heard>,
}

#[derive(Clone, Debug)]
pub struct Heard {
    pub at: Instant,
    pub record: Name,
    pub told: Told,
}

/// What an event says of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It was made or changed, and is this now.
    Seen(Seen),
    /// It was deleted, and had been this.
    Gone(Seen),
}

impl Event {
    pub fn is_done(&self) -> bool {
        self.outcome == Outcome::Done
    }

    /// Whether a write may be there: it was acknowledged, or nobody knows.
    pub fn may_be(&self) -> bool {
        !matches!(self.outcome, Outcome::Refused(_))
    }
}
