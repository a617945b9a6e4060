//! A load of requests that may be repeated, by clients as they are: each keeps a connection, knows all addresses of the
//! front door as DNS names them, and asks the next one when an address does not take a connection. When none does, it asks
//! those behind the edges, to which the name would be pointed then.
//!
//! A failure counts, whatever would have come of another try. That try is made all the same and counted by itself: it is
//! what browsers do for requests that may be repeated.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::certificates;
use crate::fuzz::Random;
use crate::http::{Client, WITHIN_AN_ANSWER};
use crate::tls::{Encrypted, Tls};
use crate::{Answer, Request};

/// How long an answer may take.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// After that the next address is tried.
const CONNECT_WAIT: Duration = Duration::from_secs(1);
/// A client over TLS begins anew so often, as handshakes are what a new certificate is for.
const REQUESTS_OF_A_HANDSHAKE: u32 = 10;

/// A request, and what must be in its answer's body.
#[derive(Clone, Debug)]
pub struct Question {
    pub request: Request,
    pub expected: String,
}

/// One request, when it was asked, and what came of it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: Instant,
    pub took: Duration,
    /// Addresses that took no connection before one did.
    pub bypassed: usize,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// Why it failed once more, if it did both times.
    pub again: Option<String>,
}

pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<Asked>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn start(
        entrances: &[SocketAddr],
        behind: &[SocketAddr],
        secure: &[Tls],
        clients: usize,
        pace: Duration,
        questions: &[Question],
    ) -> Load {
        let mut load =
            Load { stop: Arc::default(), done: Arc::default(), asked: Arc::default(), threads: Vec::new() };
        for number in 0..clients {
            let (stop, done, asked) = (load.stop.clone(), load.done.clone(), load.asked.clone());
            let questions = questions.to_vec();
            // As DNS turns its answers round.
            let first = number % entrances.len().max(1);
            let mut caller = match number % 2 == 1 && !secure.is_empty() {
                true => Caller::secure(secure, first % secure.len()),
                false => Caller::plain(entrances, behind, first),
            };
            let mut random = Random(number as u64 + 1);
            load.threads.push(std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let one = caller.ask(random.pick(&questions));
                    asked.lock().unwrap_or_else(PoisonError::into_inner).push(one);
                    done.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(pace.mul_f64(0.5 + random.below(100) as f64 / 100.0));
                }
            }));
        }
        load
    }

    /// Waits until so many more requests have ended. False after `wait`.
    pub fn more(&self, requests: usize, wait: Duration) -> bool {
        let (before, until) = (self.done.load(Ordering::Relaxed), Instant::now() + wait);
        while self.done.load(Ordering::Relaxed) < before + requests {
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Ends all clients and tells what they asked, in no order.
    pub fn stop(mut self) -> Vec<Asked> {
        self.end();
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

/// One client.
struct Caller {
    clients: Vec<Line>,
    /// The first so many are asked as long as one of them takes connections.
    usual: usize,
    current: usize,
}

impl Caller {
    fn secure(doors: &[Tls], current: usize) -> Caller {
        let clients = doors.iter().map(|door| Line::Secure(door.clone(), RefCell::default())).collect();
        Caller { clients, usual: doors.len(), current }
    }

    fn plain(entrances: &[SocketAddr], behind: &[SocketAddr], current: usize) -> Caller {
        let client = |address: &SocketAddr| {
            let client = Client::to(*address).with_timeout(ANSWER_WAIT);
            Line::Plain(client.connecting_within(CONNECT_WAIT).sending_once())
        };
        let clients = entrances.iter().chain(behind).map(client).collect();
        Caller { clients, usual: entrances.len(), current }
    }

    fn ask(&mut self, question: &Question) -> Asked {
        let (at, mut bypassed) = (Instant::now(), 0);
        if self.current >= self.usual {
            self.current = 0;
        }
        let failure = self.once(question, &mut bypassed).err();
        let took = at.elapsed();
        let again = failure.as_ref().and_then(|_| self.once(question, &mut bypassed).err());
        Asked { at, took, bypassed, failure, again }
    }

    /// One try. A kept connection that the other side has closed by now is not used: nothing is sent on it.
    fn once(&mut self, question: &Question, bypassed: &mut usize) -> Result<(), String> {
        let connected = (0..self.clients.len()).find(|_| {
            let is_connected = self.clients[self.current].connect().is_ok();
            if !is_connected {
                self.next();
                *bypassed += 1;
            }
            is_connected
        });
        if connected.is_none() {
            return Err("no address takes a connection".into());
        }
        match self.clients[self.current].send(&question.request) {
            Ok(answer) => judge(&answer, &question.expected),
            Err(error) => {
                let why = reason(&error);
                self.next();
                Err(why)
            }
        }
    }

    fn next(&mut self) {
        self.current = (self.current + 1) % self.clients.len();
    }
}

fn judge(answer: &Answer, expected: &str) -> Result<(), String> {
    match answer.status {
        200 if answer.text().contains(expected) => Ok(()),
        200 => Err("another answer".into()),
        status => Err(status.to_string()),
    }
}

fn reason(error: &io::Error) -> String {
    use io::ErrorKind::*;
    match error.kind() {
        _ if error.to_string() == WITHIN_AN_ANSWER => "cut off".into(),
        WouldBlock | TimedOut => "no answer".into(),
        ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof => "closed unanswered".into(),
        _ => error.to_string(),
    }
}

/// A way to one address, whose connection is kept.
enum Line {
    Plain(Client),
    /// With how many requests the connection has carried.
    Secure(Tls, RefCell<Option<(Box<Encrypted>, u32)>>),
}

impl Line {
    /// Opens a connection unless one is kept and still open. When it fails, nothing has been sent.
    fn connect(&self) -> io::Result<()> {
        match self {
            Line::Plain(client) => client.connect(),
            Line::Secure(tls, kept) => {
                let mut kept = kept.borrow_mut();
                let open =
                    kept.take().filter(|(open, sent)| *sent < REQUESTS_OF_A_HANDSHAKE && open.is_open());
                *kept = Some(match open {
                    Some(open) => open,
                    None => (Box::new(tls.connect(certificates::NAME)?), 0),
                });
                Ok(())
            }
        }
    }

    fn send(&self, request: &Request) -> io::Result<Answer> {
        match self {
            Line::Plain(client) => client.send(request),
            Line::Secure(_, kept) => {
                let taken = kept.borrow_mut().take();
                let (mut open, sent) = taken.ok_or(io::ErrorKind::NotConnected)?;
                let answer = open.send(request)?;
                if !answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                    *kept.borrow_mut() = Some((open, sent + 1));
                }
                Ok(answer)
            }
        }
    }
}
