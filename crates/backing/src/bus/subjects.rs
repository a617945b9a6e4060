//! Plain messages on the bus's server, for those who are no nodes on the data: front doors, and whoever tells them
//! something. Messages may be lost; whoever cares numbers them.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;

use super::Options;
use super::nats::connect;

/// One connection, which is made in the background and made again for as long as the process runs.
#[derive(Clone)]
pub struct Subjects {
    client: Client,
    prefix: String,
}

/// What arrives on one subject.
pub struct Messages(Client, Subscriber);

pub struct Message {
    pub text: Bytes,
    client: Client,
    reply: Option<async_nats::Subject>,
}

impl Subjects {
    /// `meanwhile` says what a connection that is lost means.
    pub async fn open(options: &Options, meanwhile: &'static str) -> Result<Subjects, String> {
        let client = connect(options, meanwhile).await?;
        Ok(Subjects { client, prefix: options.prefix.clone() })
    }

    /// An error when the message is not on its way; messages are not kept for later.
    pub async fn publish(&self, name: &str, text: Vec<u8>) -> Result<(), String> {
        if self.client.connection_state() != State::Connected {
            return Err("the bus cannot be reached".into());
        }
        let subject = format!("{}.{name}", self.prefix);
        self.client.publish(subject, text.into()).await.map_err(|error| error.to_string())
    }

    /// Waits until what was published is on its way.
    pub async fn flush(&self) {
        let _ = self.client.flush().await;
    }

    pub async fn subscribe(&self, name: &str) -> Result<Messages, String> {
        let subscribed = self.client.subscribe(format!("{}.{name}", self.prefix)).await;
        let messages = subscribed.map_err(|error| format!("bus.prefix does not do: {error}"))?;
        Ok(Messages(self.client.clone(), messages))
    }

    /// Asks everybody, and returns what was answered until it is `enough`, or for so long.
    pub async fn ask(
        &self,
        name: &str,
        text: Vec<u8>,
        within: Duration,
        enough: impl Fn(&[Bytes]) -> bool,
    ) -> Vec<Bytes> {
        let mut answers = Vec::new();
        let all = async {
            let inbox = self.client.new_inbox();
            let mut heard = self.client.subscribe(inbox.clone()).await.ok()?;
            let subject = format!("{}.{name}", self.prefix);
            self.client.publish_with_reply(subject, inbox, text.into()).await.ok()?;
            while !enough(&answers) {
                let answer = heard.next().await?.payload;
                // One without content tells that nobody is there.
                if answer.is_empty() {
                    return None;
                }
                answers.push(answer);
            }
            Some(())
        };
        let _ = tokio::time::timeout(within, all).await;
        answers
    }
}

impl Messages {
    pub async fn next(&mut self) -> Message {
        match self.1.next().await {
            Some(message) => Message { text: message.payload, client: self.0.clone(), reply: message.reply },
            // The client is gone, which happens at the end of the process only.
            None => std::future::pending().await,
        }
    }
}

impl Message {
    /// Answers whoever asked, if it was a question.
    pub async fn answer(self, text: impl Into<Bytes>) {
        if let Some(reply) = self.reply {
            let _ = self.client.publish(reply, text.into()).await;
        }
    }
}
