//! What carries messages between nodes. It may lose, delay and double them; only those of one node keep their order.

use std::sync::Arc;

use async_trait::async_trait;
use base::Name;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Options, nats};

#[async_trait]
pub trait Wire: Send + Sync {
    /// To all nodes, this one too. Waits while there is no room.
    async fn send(&self, message: Bytes);

    /// Waits until what was sent is on its way.
    async fn flush(&self);

    /// The next message.
    async fn receive(&self) -> Bytes;

    /// The largest message that is carried.
    fn bytes_max(&self) -> usize;

    /// Asks all nodes but this one; `None` when nobody can be there. Answers come one by one, until the receiver is
    /// dropped.
    async fn ask(&self, question: Bytes) -> Option<Box<dyn Answers>>;

    /// The next question of another node.
    async fn asked(&self) -> Question;

    /// Who carries the messages.
    fn server(&self) -> Server;
}

/// The server in the middle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Server {
    pub connected: bool,
    pub version: String,
}

#[async_trait]
pub trait Answers: Send {
    /// The next answer.
    async fn next(&mut self) -> Option<Bytes>;
}

/// What another node wants to know.
pub struct Question {
    pub text: Bytes,
    pub(super) answer: oneshot::Sender<Bytes>,
}

impl Question {
    pub fn answer(self, text: impl Into<Bytes>) {
        // Who asked may not wait any more.
        let _ = self.answer.send(text.into());
    }
}

/// The only place that knows which kinds there are.
pub async fn open(options: &Options, life: &Name) -> Result<Option<Arc<dyn Wire>>, String> {
    match options.url.is_empty() {
        true => Ok(None),
        false => Ok(Some(Arc::new(nats::Nats::open(options, life).await?))),
    }
}
