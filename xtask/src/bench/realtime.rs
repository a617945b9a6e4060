//! Many open event streams on one server and a steady trickle of writes: how soon, how surely and at which cost
//! everyone hears of them. The servers hold their streams in turn, for one machine has only so many files to open.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::pando::{self, Engine};
use testkit::postgres::{self, Postgres};
use testkit::{Client, Program, Request, Server, oracle};
use tokio::sync::oneshot;

use super::{LOAD_CORE, Options, SERVER_CORE, built, machine, report, wrk};

const PAUSE: Duration = Duration::from_millis(100);
/// How long events may take after the last write before they count as lost.
pub const LATE: Duration = Duration::from_secs(10);
/// Connections are opened by so many threads.
const OPENERS: usize = 8;
pub const SETTLES: Duration = Duration::from_secs(2);
pub const USERS: usize = 100;
const PASSWORD: &str = "a-long-password";

#[derive(Clone, Copy, PartialEq)]
pub enum Layout {
    /// Nobody in particular, of a collection that everyone may list.
    Guests,
    /// A hundred users, each of whom may see what is theirs.
    Owners,
}

impl Layout {
    pub fn name(self) -> &'static str {
        match self {
            Layout::Guests => "guests, public rule",
            Layout::Owners => "100 users, `owner = @request.auth.id`",
        }
    }

    pub fn collection(self) -> &'static str {
        match self {
            Layout::Guests => "pub",
            Layout::Owners => "own",
        }
    }

    /// How many hear of one write.
    pub fn audience(self, clients: usize) -> usize {
        match self {
            Layout::Guests => clients,
            Layout::Owners => clients / USERS,
        }
    }
}

/// What was heard: the number of the write, and when.
pub type Heard = Arc<Mutex<Vec<(usize, Instant)>>>;

struct Side {
    server: Server,
    superuser: String,
    tokens: Vec<String>,
    heard: Heard,
    rounds: Vec<Round>,
}

#[derive(Clone, Copy)]
struct Round {
    kib_per_client: f64,
    /// From the sending of the write to the event: the median and the slow end.
    p50_ms: f64,
    p99_ms: f64,
    /// From the write's answer, which a server under load may hold back.
    answered_p50_ms: f64,
    answered_p99_ms: f64,
    cpu_us: f64,
    heard: usize,
    lost: i64,
}

pub fn run(options: &Options) -> Result<()> {
    let clients = options.clients;
    raise_limit(clients as u64 + 1000)?;
    machine::pin(std::process::id(), LOAD_CORE)?;
    let mut text = report::conditions(&format!(
        "{clients} streams on each server, each alone on one core; one write every {} ms for {} s, {} rounds in turn; times from \
         the sending of a write to the event at a client on another core",
        PAUSE.as_millis(),
        options.seconds,
        options.rounds
    ));
    text += "| subscribers | server | delivered | lost | p50 ms | p99 ms | after the answer: p50 ms | p99 ms | CPU µs per event | KiB per stream |\n";
    text += "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
    for layout in [Layout::Guests, Layout::Owners].into_iter().filter(|l| l.name().contains(&options.only)) {
        let dir = TempDir::with_prefix("pando-bench-")?;
        let postgres = match options.engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Postgres::start(postgres::Options { fsync: true })?),
        };
        let url = postgres.as_ref().map(|p| p.database()).transpose()?;
        let programs = [oracle::program()?, pando::program(&built("pando")?.to_string_lossy(), url)?];
        let mut sides = Vec::new();
        for (n, program) in programs.into_iter().enumerate() {
            let program = Program { core: Some(SERVER_CORE), ..program };
            sides.push(prepare(program.start(&dir.path().join(n.to_string()))?, layout)?);
        }
        for round in 0..options.rounds {
            for side in &mut sides {
                let result = side.round(layout, clients, options.seconds, round)?;
                side.rounds.push(result);
            }
        }
        for side in &sides {
            let line = side.line(layout);
            eprint!("{line}");
            text += &line;
        }
    }
    println!("{text}");
    report::write(options, "Realtime", &text)
}

pub fn raise_limit(files: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    // Beyond the hard limit only a privileged user gets.
    let maximum = limit.maximum.map(|maximum| maximum.max(files));
    setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum }).with_context(|| {
        format!("{files} open files are needed; {:?} are allowed (ulimit -Hn)", limit.maximum)
    })
}

fn prepare(server: Server, layout: Layout) -> Result<Side> {
    let superuser = server.superuser_token()?;
    let tokens = collection(&server.client(), &superuser, layout)?;
    Ok(Side { server, superuser, tokens, heard: Heard::default(), rounds: Vec::new() })
}

/// Makes what is written to and who listens; the tokens of the listeners.
pub fn collection(client: &Client, superuser: &str, layout: Layout) -> Result<Vec<String>> {
    let post = |path: &str, body: Value| -> Result<()> {
        let answer = client.send(&Request::json("POST", path, &body).token(superuser))?;
        match answer.status {
            200 => Ok(()),
            status => bail!("{body} was refused: {status} {}", answer.text()),
        }
    };
    let rule = if layout == Layout::Owners { "owner = @request.auth.id" } else { "" };
    let fields = json!([
        {"name": "n", "type": "number"},
        {"name": "text", "type": "text"},
        {"name": "owner", "type": "relation", "collectionId": "_pb_users_auth_"},
    ]);
    let name = layout.collection();
    post("/api/collections", json!({"name": name, "type": "base", "listRule": rule, "fields": fields}))?;
    let mut tokens = vec![String::new()];
    if layout == Layout::Owners {
        tokens.clear();
        for user in 0..USERS {
            let email = format!("u{user}@example.com");
            let body = json!({"id": user_id(user), "email": email, "password": PASSWORD, "passwordConfirm": PASSWORD});
            post("/api/collections/users/records", body)?;
            tokens.push(testkit::server::login(client, "users", &email, PASSWORD)?);
        }
    }
    Ok(tokens)
}

pub fn user_id(user: usize) -> String {
    format!("user{user:011}")
}

/// Streams that are connected and subscribed.
pub fn open(port: u16, layout: Layout, clients: usize, tokens: &[String]) -> Result<Vec<TcpStream>> {
    let topic = format!("{}/*", layout.collection());
    std::thread::scope(|scope| {
        let openers: Vec<_> = (0..OPENERS)
            .map(|opener| {
                let topic = &topic;
                scope.spawn(move || -> Result<Vec<TcpStream>> {
                    let client = Client::new(port);
                    let mine = (0..clients).skip(opener).step_by(OPENERS);
                    mine.map(|n| subscribed(port, &client, topic, &tokens[n % tokens.len()])).collect()
                })
            })
            .collect();
        let mut streams = Vec::with_capacity(clients);
        for opener in openers {
            streams.extend(opener.join().map_err(|_| anyhow::anyhow!("an opener panicked"))??);
        }
        Ok(streams)
    })
}

fn subscribed(port: u16, client: &Client, topic: &str, token: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET /api/realtime HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")?;
    let mut seen = Vec::new();
    let mut chunk = [0; 1024];
    let id = loop {
        let n = stream.read(&mut chunk)?;
        if n == 0 {
            bail!("a stream ended at once");
        }
        seen.extend_from_slice(&chunk[..n]);
        let text = String::from_utf8_lossy(&seen);
        if let Some(id) = text.split_once("{\"clientId\":\"").and_then(|(_, rest)| rest.split_once('"')) {
            break id.0.to_owned();
        }
    };
    let body = json!({"clientId": id, "subscriptions": [topic]});
    let answer = client.send(&Request::json("POST", "/api/realtime", &body).token(token))?;
    if answer.status != 204 {
        bail!("subscribing gave {} {}", answer.status, answer.text());
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Reads all streams on one thread, until what it gives back is dropped.
pub fn listen(streams: Vec<TcpStream>, heard: Heard) -> Result<oneshot::Sender<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (stop, stopped) = oneshot::channel();
    std::thread::spawn(move || {
        runtime.block_on(async {
            for stream in streams {
                if let Ok(stream) = tokio::net::TcpStream::from_std(stream) {
                    tokio::spawn(follow(stream, heard.clone()));
                }
            }
            let _ = stopped.await;
        });
    });
    Ok(stop)
}

async fn follow(stream: tokio::net::TcpStream, heard: Heard) {
    let mut left = Vec::new();
    let mut chunk = [0; 2048];
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut chunk) {
            Ok(0) => return,
            Ok(n) => {
                let now = Instant::now();
                left.extend_from_slice(&chunk[..n]);
                while let Some(end) = left.windows(2).position(|pair| pair == b"\n\n") {
                    if let Some(n) = number(&left[..end]) {
                        heard.lock().unwrap_or_else(|e| e.into_inner()).push((n, now));
                    }
                    left.drain(..end + 2);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// The number that the written record carries.
fn number(event: &[u8]) -> Option<usize> {
    let at = event.windows(4).position(|bytes| bytes == b"\"n\":")? + 4;
    let digits = event[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |n, digit| n * 10 + usize::from(digit - b'0')))
}

impl Side {
    fn count(&self) -> usize {
        self.heard.lock().unwrap_or_else(|e| e.into_inner()).len()
    }

    fn round(&self, layout: Layout, clients: usize, seconds: u64, round: usize) -> Result<Round> {
        self.heard.lock().unwrap_or_else(|e| e.into_inner()).clear();
        // Whatever the logins, or the streams before these, left behind has settled by then.
        std::thread::sleep(SETTLES);
        let memory = machine::rss_mib(self.server.pid());
        let streams = open(self.server.port(), layout, clients, &self.tokens)?;
        std::thread::sleep(SETTLES);
        let kib_per_client = (machine::rss_mib(self.server.pid()) - memory) * 1024.0 / clients as f64;
        let _listening = listen(streams, self.heard.clone())?;
        let client = self.server.client();
        let path = format!("/api/collections/{}/records", layout.collection());
        let writes = (Duration::from_secs(seconds).as_millis() / PAUSE.as_millis()) as usize;
        let text = "lorem ipsum ".repeat(16);
        let (mut sent, mut answered) = (Vec::with_capacity(writes), Vec::with_capacity(writes));
        let before = machine::cpu_ms(self.server.pid());
        let begin = Instant::now();
        for n in 0..writes {
            std::thread::sleep((PAUSE * n as u32).saturating_sub(begin.elapsed()));
            let owner = if layout == Layout::Owners { user_id((n + round) % USERS) } else { String::new() };
            let body = json!({"n": n, "text": text, "owner": owner});
            sent.push(Instant::now());
            let answer = client.send(&Request::json("POST", &path, &body).token(&self.superuser))?;
            answered.push(Instant::now());
            if answer.status != 200 {
                bail!("a write gave {} {}", answer.status, answer.text());
            }
        }
        let expected = writes * layout.audience(clients);
        let until = Instant::now() + LATE;
        while self.count() < expected && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        let cpu_ms = machine::cpu_ms(self.server.pid()) - before;
        let heard = self.heard.lock().unwrap_or_else(|e| e.into_inner());
        let (p50_ms, p99_ms) = spread(&heard, &sent);
        let (answered_p50_ms, answered_p99_ms) = spread(&heard, &answered);
        Ok(Round {
            kib_per_client,
            p50_ms,
            p99_ms,
            answered_p50_ms,
            answered_p99_ms,
            cpu_us: cpu_ms * 1000.0 / heard.len().max(1) as f64,
            heard: heard.len(),
            lost: expected as i64 - heard.len() as i64,
        })
    }

    fn line(&self, layout: Layout) -> String {
        let of = |get: fn(&Round) -> f64| wrk::middle(self.rounds.iter().map(get).collect());
        format!(
            "| {} | {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |\n",
            layout.name(),
            self.server.program().name,
            self.rounds.iter().map(|round| round.heard).sum::<usize>(),
            self.rounds.iter().map(|round| round.lost).sum::<i64>(),
            of(|round| round.p50_ms),
            of(|round| round.p99_ms),
            of(|round| round.answered_p50_ms),
            of(|round| round.answered_p99_ms),
            of(|round| round.cpu_us),
            // Later rounds find memory that the first one left.
            self.rounds.first().map_or(0.0, |round| round.kib_per_client),
        )
    }
}

/// Median and 99th percentile in milliseconds since the moments that the writes are counted from.
pub fn spread(heard: &[(usize, Instant)], since: &[Instant]) -> (f64, f64) {
    // An event may overtake the answer to the write that it is about.
    let passed = |(n, at): &(usize, Instant)| at.saturating_duration_since(since[*n]).as_secs_f64() * 1000.0;
    let mut times: Vec<f64> = heard.iter().map(passed).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or(0.0);
    (at(0.5), at(0.99))
}
