//! Connections to nodes, kept open between requests. Each thread has its own.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use base::limits::{FRONT_CONNECT_MS, FRONT_IDLE_MAX, FRONT_IDLE_MS, FRONT_IDLE_SWEEP_MS};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use parking_lot::Mutex;
use tokio::net::TcpStream;

use super::answer::Answer;
use super::connection::{Connection, Stream};
use super::exchange::{Asked, Broken, Exchange};
use super::framing::Decoder;
use super::head::Malformed;
use super::node::{Busy, Counted, Node, Which};
use crate::balance::budget::Budget;
use crate::body::{Body, Failure};

#[derive(Default)]
pub struct Pool {
    idle: Mutex<Vec<(Arc<Node>, Vec<Connection>)>>,
    is_swept: AtomicBool,
    /// What may be asked again, in this thread's share.
    pub(crate) budget: Budget,
}

/// No answer came.
#[derive(Debug)]
pub struct SendError {
    /// Whether the node may have seen something of the request.
    pub is_sent: bool,
    pub why: Why,
    pub error: Failure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The node, or the way to it.
    Node,
    /// The node let too much time pass.
    Late,
    /// The client's body broke off: nobody waits for an answer.
    Client,
}

/// What a node said.
pub enum Said {
    Answer(Response<Body>),
    /// The protocol changes: from here on the connection belongs to both ends.
    Switched(Response<Body>, Connection, Busy),
}

impl Pool {
    /// Asks the node over a connection that is open, or a new one. A body that streams is taken from `body` when the first
    /// byte of the request is on its way; one that is there stays there.
    pub async fn send(
        self: &Arc<Self>,
        busy: Busy,
        asked: &Asked<'_>,
        body: &mut Body,
    ) -> Result<Said, SendError> {
        let node = busy.node().clone();
        if let Some(connection) = self.take(&node) {
            let mut exchange = Exchange::new(connection, asked, body);
            match exchange.head(asked, &node).await {
                Ok(head) => return self.said(exchange, head, busy, asked),
                // The node closed it when the request was on its way: no fault, and no second attempt elsewhere.
                Err(Broken::Ended(_))
                    if exchange.is_untouched() && (asked.is_repeatable || !exchange.is_sent) =>
                {
                    exchange.give_back(body);
                }
                Err(broken) => return Err(SendError::of(broken, exchange, body)),
            }
        }
        let unsent = |error: Failure| SendError { is_sent: false, why: Why::Node, error };
        let stream = connect(&node, asked.deadline).await.map_err(unsent)?;
        let mut connection = Connection::new(stream);
        connection.open = Some(Counted::new(&node, Which::Open));
        let mut exchange = Exchange::new(connection, asked, body);
        match exchange.head(asked, &node).await {
            Ok(head) => self.said(exchange, head, busy, asked),
            Err(broken) => Err(SendError::of(broken, exchange, body)),
        }
    }

    fn said(
        self: &Arc<Self>,
        exchange: Exchange,
        head: super::head::Head,
        busy: Busy,
        asked: &Asked<'_>,
    ) -> Result<Said, SendError> {
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            if asked.upgrade.is_none() {
                let error = Malformed::Switched.into();
                return Err(SendError { is_sent: true, why: Why::Node, error });
            }
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            let (connection, _) = exchange.into_rest();
            return Ok(Said::Switched(response, connection, busy));
        }
        let (connection, sending) = exchange.into_rest();
        match head.body {
            Some(body) if sending.is_none() => {
                if head.keep && connection.buffer.is_empty() {
                    self.put(busy.node(), connection);
                }
                *response.body_mut() = Body::Full(body);
            }
            Some(body) => {
                // An early answer: the rest of the request is not wanted, and the connection ends with it.
                *response.body_mut() = Body::Full(body);
            }
            None => {
                let decoder = Decoder::new(head.framing);
                let answer = Answer::new(connection, decoder, sending, head.keep, busy, self.clone());
                *response.body_mut() = Body::Node(Box::new(answer));
            }
        }
        Ok(Said::Answer(response))
    }

    /// The one that was used last, if it still can be.
    fn take(&self, node: &Arc<Node>) -> Option<Connection> {
        let mut idle = self.idle.lock();
        let (_, connections) = idle.iter_mut().find(|(other, _)| Arc::ptr_eq(other, node))?;
        while let Some(mut connection) = connections.pop() {
            connection.idle = None;
            if connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    /// Nothing of what came over it may be left in it.
    pub(super) fn put(self: &Arc<Self>, node: &Arc<Node>, mut connection: Connection) {
        if node.is_gone() {
            return;
        }
        connection.idle_since = Instant::now();
        connection.idle = Some(Counted::new(node, Which::Idle));
        if !self.is_swept.swap(true, Relaxed) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
        let mut idle = self.idle.lock();
        match idle.iter_mut().find(|(other, _)| Arc::ptr_eq(other, node)) {
            Some((_, connections)) if connections.len() < FRONT_IDLE_MAX => connections.push(connection),
            Some(_) => {}
            None => idle.push((node.clone(), vec![connection])),
        }
    }
}

impl SendError {
    fn of(broken: Broken, exchange: Exchange, body: &mut Body) -> SendError {
        let is_sent = exchange.is_sent;
        exchange.give_back(body);
        let why = match broken {
            Broken::Ended(_) | Broken::Malformed(_) | Broken::Down => Why::Node,
            Broken::Late => Why::Late,
            Broken::Client(_) => Why::Client,
        };
        SendError { is_sent, why, error: broken.into() }
    }
}

/// Asks for a node's health, over a connection of its own.
pub async fn probe(node: &Node, path: &str, wait: Duration) -> Result<StatusCode, Failure> {
    let mut request = Request::new(());
    *request.uri_mut() = path.parse()?;
    request.headers_mut().insert(header::HOST, HeaderValue::from_str(&node.address)?);
    request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static("pando-front-check"));
    let (head, ()) = request.into_parts();
    once(node, &head, wait).await.map(|(status, _)| status)
}

/// One question over a connection of its own, and the head of its answer.
pub async fn once(node: &Node, head: &Parts, wait: Duration) -> Result<(StatusCode, HeaderMap), Failure> {
    let deadline = Instant::now() + wait;
    let asked =
        Asked { head, introduction: None, upgrade: None, first_byte: wait, deadline, is_repeatable: false };
    let answered = async {
        let stream = connect(node, deadline).await?;
        let mut exchange = Exchange::new(Connection::new(stream), &asked, &mut Body::Empty);
        let head = exchange.head(&asked, node).await?;
        Ok((head.status, head.headers))
    };
    tokio::time::timeout(wait, answered).await?
}

async fn connect(node: &Node, deadline: Instant) -> Result<Stream, Failure> {
    let wait =
        Duration::from_millis(FRONT_CONNECT_MS).min(deadline.saturating_duration_since(Instant::now()));
    let opened = async {
        let stream = TcpStream::connect(&node.address).await?;
        stream.set_nodelay(true)?;
        match (&node.tls, node.secure) {
            (_, false) => Ok(Stream::Plain(stream)),
            (Some(tls), true) => tls.wrap(stream, &node.address).await,
            (None, true) => Err("no authority is trusted to vouch for nodes".into()),
        }
    };
    tokio::time::timeout(wait, opened).await?
}

/// Ends connections that nobody has used for a while, and those to nodes that have gone. Ends with the pool.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(Duration::from_millis(FRONT_IDLE_SWEEP_MS)).await;
        let Some(pool) = pool.upgrade() else { return };
        let now = Instant::now();
        let idle_max = Duration::from_millis(FRONT_IDLE_MS);
        pool.idle.lock().retain_mut(|(node, connections)| {
            connections.retain(|connection| now < connection.idle_since + idle_max && connection.is_quiet());
            !node.is_gone()
        });
    }
}
