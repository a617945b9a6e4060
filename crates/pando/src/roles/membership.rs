//! A process among those that work on the same data: it hears of the others' writes, and they of its own, for as long as
//! anything in it may write.

use observe::RequestLog;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::follow;
use super::node::ended;
use crate::assemble::Assembled;

pub struct Membership {
    ends: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Membership {
    pub fn begin(assembled: &Assembled, log: RequestLog) -> Membership {
        let (ends, ending) = watch::channel(false);
        let (parts, hears) = (assembled.parts.clone(), assembled.hears.clone());
        let bus_ends = ended(ending.clone());
        let tasks = vec![
            tokio::spawn(async move { parts.bus.run(hears, bus_ends).await }),
            tokio::spawn(app::nodes::watch(assembled.parts.clone(), ended(ending.clone()))),
            tokio::spawn(app::across::run(assembled.parts.clone(), ended(ending.clone()))),
            tokio::spawn(follow::follow(assembled.parts.clone(), log, ended(ending))),
        ];
        Membership { ends, tasks }
    }

    /// To be called when nothing writes any more.
    pub async fn end(self, assembled: &Assembled) {
        let _ = self.ends.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
        assembled.parts.nodes.leave(&assembled.parts.store).await;
    }
}
