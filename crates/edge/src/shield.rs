//! The origin shield: an edge near the nodes that other edges ask in place of the nodes, so that the nodes see one question for
//! all of them.
//!
//! Why nobody is given what a purge that its edge has heard replaced, although purges reach an edge and its shield at
//! different times:
//!
//! 1. An edge keeps an answer with the reading of its purge clock from before it asked. So the answer must be at least as new
//!    as all purges that the clock had counted then. The question says which those are: the *positions* of all lives, read
//!    after the clock ([`crate::announce::heard`]).
//! 2. The shield answers when all of that has reached what *it* keeps. It waits a moment for what is on its way; what does not
//!    come it takes for lost, and doubts everything. Either way, whatever it then finds to be good it has asked for
//!    after it learnt of those purges, and what is asked for after a purge is new (see `app/src/outside.rs`): the purge was
//!    announced when every node answered with what is new. Whether a kept answer or a question under way is good is judged
//!    by the shield's own purge clock, as for any client ([`crate::cache::flight`]).
//! 3. What an edge doubts for a reason that has no number (a process fell silent, or speaks an older version) is numbered by
//!    the edge itself. A shield has not heard of it, so it doubts, too. Without that an edge that notices a silence first
//!    would confirm what it has at a shield that has not noticed yet, and never ask again.
//! 4. Positions of lives that are over are dropped only together with such a number. A shield cannot be told any more how
//!    far they had come, so it does not trust what it has.
//! 5. An edge never keeps an answer that the shield has not marked as given on these terms: who does not understand
//!    positions, or knows another secret, takes the tags off, and then nothing would purge it.
//!
//! All of that may cost questions to the nodes, and never shows what is old. A shield serves edges nothing stale: an edge
//! that is told that no node answers uses its own copies, by its own rules.
//!
//! What stays as it is with one cache: a client that changes something at an origin that announces nothing makes only its own edge
//! forget it (RFC 9111, section 4.4), and the shield may give that edge the former answer again until its time is over.

mod ask;
mod seal;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use metrics::{Counter, counter};
use smallvec::SmallVec;
use tokio::sync::Notify;

use crate::announce::heard::Heard;
use crate::cache::object::Key;
use crate::upstream::{Node, Nodes, Tls, hash, mix};
pub use seal::{Question, Seal};

/// What the asker has heard: `LIFE=N,LIFE=N`.
pub const PANDO_HEARD: HeaderName = HeaderName::from_static("pando-heard");
/// In a question, the proof that an edge asks; in an answer, that a shield gives it.
pub const PANDO_EDGE: HeaderName = HeaderName::from_static("pando-edge");

/// Marks the answer of a shield.
const ANSWERED: HeaderValue = HeaderValue::from_static("shield");
/// The same where no node has answered the shield.
const UNANSWERED: HeaderValue = HeaderValue::from_static("shield; unanswered");

/// The shields of an edge.
pub struct Shields {
    all: Vec<Shield>,
    seal: Seal,
    heard: Arc<Heard>,
    asked: Counter,
    /// Questions that went to the nodes after all, as no shield answered, or there is too much to tell one.
    away: Counter,
    untold: Counter,
}

struct Shield {
    node: Arc<Node>,
    away: AtomicBool,
    /// A question to it has failed: whoever looks after it is to look now.
    suspected: Notify,
}

/// How a shield is doing, for whoever watches.
pub struct State {
    pub address: String,
    pub away: bool,
    pub busy: usize,
}

impl Shields {
    /// `addresses` are `host:port`, with `https://` before it for those that are asked with encryption.
    pub fn new(addresses: &[String], tls: Option<Tls>, seal: Seal, heard: Arc<Heard>) -> Self {
        let nodes = Nodes::new(tls, false).with(addresses);
        let shield = |node: &Arc<Node>| Shield {
            node: node.clone(),
            away: AtomicBool::new(false),
            suspected: Notify::new(),
        };
        Shields {
            all: nodes.load().iter().map(shield).collect(),
            seal,
            heard,
            asked: counter!("pando_edge_shield_asked_total"),
            away: counter!("pando_edge_shield_fallbacks_total", "reason" => "away"),
            untold: counter!("pando_edge_shield_fallbacks_total", "reason" => "lives"),
        }
    }

    pub fn states(&self) -> Vec<State> {
        let state = |shield: &Shield| State {
            address: shield.node.address.clone(),
            away: shield.away.load(Relaxed),
            busy: shield.node.busy(),
        };
        self.all.iter().map(state).collect()
    }

    /// Those that can be asked, the one whose the key is first: the same for every edge (rendezvous hashing).
    fn by_turn(&self, key: &Key) -> SmallVec<[&Shield; 4]> {
        let key = hash(&key.0);
        let mut shields: SmallVec<[&Shield; 4]> =
            self.all.iter().filter(|shield| !shield.away.load(Relaxed)).collect();
        shields.sort_by_key(|shield| std::cmp::Reverse(mix(key ^ shield.node.hash)));
        shields
    }
}

/// Takes away what only an edge may say to a shield, and only with a proof.
pub(crate) fn strip(request: &mut HeaderMap) {
    request.remove(&PANDO_HEARD);
    request.remove(&PANDO_EDGE);
}

/// Says to an edge that this is a shield's answer.
pub(crate) fn mark(answer: &mut HeaderMap, unanswered: bool) {
    answer.insert(PANDO_EDGE, if unanswered { UNANSWERED } else { ANSWERED });
}
