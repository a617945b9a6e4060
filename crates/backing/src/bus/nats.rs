//! Messages over NATS: one connection, which is made in the background and made again for as long as the process runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event, Subscriber};
use async_trait::async_trait;
use base::Name;
use base::limits::{BUS_CONNECT_MS, BUS_PING_MS, BUS_QUIET_MS, BUS_RETRY_MS_MAX};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{Mutex, oneshot};

use super::Options;
use super::wire::{Answers, Question, Server, Wire};
use crate::nats::Servers;

pub struct Nats {
    client: Client,
    life: Name,
    /// Where everybody hears everybody.
    all: String,
    /// Where everybody is asked.
    questions: String,
    messages: Mutex<Subscriber>,
    asked: Mutex<Subscriber>,
}

/// Which node asks: it need not answer itself.
const LIFE: &str = "Pando-Life";

/// What a lost connection means.
const MEANWHILE: &str = "caches are not used, and events stay on their node meanwhile";

impl Nats {
    pub async fn open(options: &Options, life: &Name) -> Result<Nats, String> {
        let client = connect(options, MEANWHILE).await?;
        let (all, questions) =
            (format!("{}.changes", options.prefix), format!("{}.questions", options.prefix));
        let subscribe = |subject: String| {
            let client = client.clone();
            async move {
                let subscribed = client.subscribe(subject.clone()).await;
                subscribed.map_err(|error| format!("bus.prefix does not do: {subject}: {error}"))
            }
        };
        let (messages, asked) = (subscribe(all.clone()).await?, subscribe(questions.clone()).await?);
        let life = life.clone();
        Ok(Nats { client, life, all, questions, messages: Mutex::new(messages), asked: Mutex::new(asked) })
    }
}

/// `meanwhile` says what it means that the connection is lost.
pub(super) async fn connect(options: &Options, meanwhile: &'static str) -> Result<Client, String> {
    let servers = Servers::read(&options.url).map_err(|error| format!("bus.url {error}"))?;
    let connected = servers.connect(settings(&options.name, meanwhile)).await;
    connected.map_err(|error| format!("the bus cannot be used: {error}"))
}

fn settings(name: &str, meanwhile: &'static str) -> ConnectOptions {
    let state = Arc::new(Told { meanwhile, ..Told::default() });
    let first = state.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(BUS_QUIET_MS)).await;
        if !first.connected.load(Ordering::Relaxed) {
            first.warn("the bus cannot be reached, and is tried again");
        }
    });
    ConnectOptions::new()
        .name(format!("pando {name}"))
        .retry_on_initial_connect()
        .connection_timeout(Duration::from_millis(BUS_CONNECT_MS))
        .ping_interval(Duration::from_millis(BUS_PING_MS))
        .reconnect_delay_callback(|attempts| {
            let doubled = 1_u64 << attempts.min(12);
            Duration::from_millis((10 * doubled).min(BUS_RETRY_MS_MAX))
        })
        .event_callback(move |event| {
            state.hear(&event);
            std::future::ready(())
        })
}

/// What was said of the connection, so that it is said once.
#[derive(Default)]
struct Told {
    meanwhile: &'static str,
    connected: AtomicBool,
    warned: AtomicBool,
}

impl Told {
    fn hear(&self, event: &Event) {
        match event {
            Event::Connected => {
                self.connected.store(true, Ordering::Relaxed);
                metrics::gauge!("pando_bus_connected").set(1.0);
                if self.warned.swap(false, Ordering::Relaxed) {
                    tracing::info!("the bus is there again");
                }
            }
            Event::Disconnected | Event::Closed => {
                self.connected.store(false, Ordering::Relaxed);
                metrics::gauge!("pando_bus_connected").set(0.0);
                self.warn("the connection to the bus is lost, and is made anew");
            }
            Event::SlowConsumer(_) => tracing::warn!("messages of the bus were dropped: they come too fast"),
            Event::ServerError(error) => tracing::warn!(%error, "the bus refuses something"),
            Event::ClientError(error) => tracing::debug!(%error, "the bus"),
            Event::LameDuckMode | Event::Draining => {}
        }
    }

    fn warn(&self, what: &str) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!("{what}: {}", self.meanwhile);
        }
    }
}

#[async_trait]
impl Wire for Nats {
    async fn send(&self, message: Bytes) {
        if let Err(error) = self.client.publish(self.all.clone(), message).await {
            tracing::debug!(%error, "a message could not be sent");
        }
    }

    async fn flush(&self) {
        let _ = self.client.flush().await;
    }

    async fn receive(&self) -> Bytes {
        match self.messages.lock().await.next().await {
            Some(message) => message.payload,
            // The client is gone, which happens at the end of the process only.
            None => std::future::pending().await,
        }
    }

    fn server(&self) -> Server {
        let connected = self.client.connection_state() == State::Connected;
        Server { connected, version: self.client.server_info().version }
    }

    fn bytes_max(&self) -> usize {
        self.client.max_payload()
    }

    async fn ask(&self, question: Bytes) -> Option<Box<dyn Answers>> {
        let inbox = self.client.new_inbox();
        let answers = self.client.subscribe(inbox.clone()).await.ok()?;
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(LIFE, &*self.life);
        let asked =
            self.client.publish_with_reply_and_headers(self.questions.clone(), inbox, headers, question);
        asked.await.ok()?;
        Some(Box::new(Inbox(answers)))
    }

    async fn asked(&self) -> Question {
        let mut asked = self.asked.lock().await;
        while let Some(message) = asked.next().await {
            let is_own = message
                .headers
                .as_ref()
                .and_then(|headers| headers.get(LIFE))
                .is_some_and(|life| life.as_str() == &*self.life);
            let (Some(reply), false) = (message.reply, is_own) else { continue };
            let (answer, answered) = oneshot::channel();
            let client = self.client.clone();
            tokio::spawn(async move {
                if let Ok(answer) = answered.await {
                    // Who does not hear it asks anew.
                    let _ = client.publish(reply, answer).await;
                }
            });
            return Question { text: message.payload, answer };
        }
        std::future::pending().await
    }
}

struct Inbox(Subscriber);

#[async_trait]
impl Answers for Inbox {
    async fn next(&mut self) -> Option<Bytes> {
        // A message without content tells that nobody is there.
        Some(self.0.next().await?.payload).filter(|payload: &Bytes| !payload.is_empty())
    }
}
