//! The list of nodes, which changes while requests are under way.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;

use tokio::sync::Notify;

use super::Tls;
use super::node::{Described, Node, Room};
use crate::balance::health::Health;

/// All nodes that are known at the moment.
#[derive(Clone, Default)]
pub struct Nodes {
    list: Arc<ArcSwap<Vec<Arc<Node>>>>,
    room: Arc<Room>,
    /// For those that want encrypted connections.
    tls: Option<Tls>,
    /// Whether somebody checks them: otherwise they count as healthy from the start.
    are_checked: bool,
    changed: Arc<Notify>,
    /// Updates one after another, as each keeps what the one before has made.
    updating: Arc<Mutex<()>>,
}

impl Nodes {
    /// A static list that nobody checks.
    pub fn of(addresses: &[String]) -> Self {
        Nodes::default().with(addresses)
    }

    /// None yet. Without `tls` no `https://` node can be reached.
    pub fn new(tls: Option<Tls>, are_checked: bool) -> Self {
        let (list, room, updating, changed) = Default::default();
        Nodes { list, room, tls, are_checked, changed, updating }
    }

    /// Nodes of a static list, `host:port` or `https://host:port` each.
    pub fn with(self, addresses: &[String]) -> Self {
        self.update(addresses.iter().map(|address| Described::at(address)).collect());
        self
    }

    /// Waits until the list is another one.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    pub fn room(&self) -> &Room {
        &self.room
    }

    pub fn load_full(&self) -> Arc<Vec<Arc<Node>>> {
        self.list.load_full()
    }

    pub fn load(&self) -> Guard<Arc<Vec<Arc<Node>>>> {
        self.list.load()
    }

    pub fn named(&self, name: &str) -> Option<Arc<Node>> {
        self.load().iter().find(|node| node.name == name).cloned()
    }

    /// This is the whole list from now on. A node of the same name and address stays the same object, with its connections
    /// and all that was learnt of it; a new one is used after its first good check; one that is missing finishes what it
    /// has begun. Of two with one name and address the first counts.
    pub fn update(&self, described: Vec<Described>) {
        let _one_after_another = self.updating.lock();
        let before = self.list.load_full();
        let mut after: Vec<Arc<Node>> = Vec::with_capacity(described.len());
        for described in &described {
            if after.iter().any(|node| node.is(described)) {
                continue;
            }
            match before.iter().find(|node| node.is(described)) {
                Some(node) => {
                    node.describe(described);
                    after.push(node.clone());
                }
                None => {
                    let health = if self.are_checked { Health::default() } else { Health::up() };
                    after.push(Arc::new(Node::new(described, health, self.tls.as_ref(), self.room.clone())));
                }
            }
        }
        for node in before.iter().filter(|node| !after.iter().any(|kept| Arc::ptr_eq(kept, node))) {
            node.leave();
        }
        self.list.store(Arc::new(after));
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_stays_keeps_its_figures() {
        let nodes = Nodes::of(&["a:1".into(), "https://b:2/".into()]);
        let (a, b) = (nodes.named("a:1").unwrap(), nodes.named("b:2").unwrap());
        assert!(!a.secure && b.secure && b.address == "b:2");
        let _busy = b.begin();
        b.set_drained(true);
        let changed = Described { weight: 3, zone: "z".into(), ..Described::at("https://b:2") };
        nodes.update(vec![changed.clone(), Described::at("c:3"), changed]);
        let list = nodes.load();
        assert_eq!(list.len(), 2);
        assert!(Arc::ptr_eq(&list[0], &b));
        assert_eq!((b.weight(), b.zone().as_str(), b.busy(), b.is_draining()), (3, "z", 1, true));
        assert!(a.is_gone() && !b.is_gone());
    }
}
