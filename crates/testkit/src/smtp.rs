//! An SMTP server on a free port that keeps what it is given, or behaves badly on request. One thread for each
//! connection; ends with the process.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// How long a mail is waited for.
pub const MAIL_WAIT: Duration = Duration::from_secs(20);
/// How long a server that hangs says nothing.
const HANG: Duration = Duration::from_secs(600);

/// What the server does with mails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    #[default]
    Accept,
    /// No such reader, for good.
    Refuse,
    /// Not now.
    Later,
    /// Says nothing after the connection is made.
    Hang,
    /// Ends the connection after the mail, before it says that it took it.
    Close,
}

/// A mail as it was handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    /// Headers and body, undecoded.
    pub data: String,
}

impl Mail {
    /// A header's value, unfolded and decoded.
    pub fn header(&self, name: &str) -> String {
        let unfolded = self.head().replace("\r\n ", " ").replace("\r\n\t", " ");
        let line = unfolded.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        });
        decode_words(&line.unwrap_or_default())
    }

    pub fn head(&self) -> &str {
        self.data.split("\r\n\r\n").next().unwrap_or_default()
    }

    pub fn html(&self) -> String {
        self.part("text/html")
    }

    pub fn text(&self) -> String {
        self.part("text/plain")
    }

    /// The decoded part of that type, in however many parts it lies.
    fn part(&self, kind: &str) -> String {
        let lower = self.data.to_ascii_lowercase();
        let Some(at) = lower.find(&format!("content-type: {kind}")) else { return String::new() };
        // Its headers begin after a boundary or the mail's beginning, and end with an empty line.
        let start = lower[..at].rfind("\r\n--").unwrap_or(0);
        let Some(end) = self.data[at..].find("\r\n\r\n").map(|end| at + end) else { return String::new() };
        let headers = &lower[start..end];
        let body = &self.data[end + 4..];
        let body = body.split("\r\n--").next().unwrap_or_default();
        if headers.contains("content-transfer-encoding: quoted-printable") {
            decode_quoted(&body.replace("=\r\n", ""), false)
        } else if headers.contains("content-transfer-encoding: base64") {
            let packed: String = body.split_whitespace().collect();
            String::from_utf8_lossy(&STANDARD.decode(packed).unwrap_or_default()).into_owned()
        } else {
            body.to_owned()
        }
    }
}

fn decode_quoted(text: &str, underscores: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = (bytes[i] == b'=').then(|| text.get(i + 1..i + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(if underscores && bytes[i] == b'_' { b' ' } else { bytes[i] });
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Decodes `=?utf-8?q?…?=` and `=?utf-8?b?…?=`.
fn decode_words(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("=?") {
        let before = &rest[..at];
        let parts: Vec<&str> = rest[at + 2..].splitn(4, '?').collect();
        let (Some(kind), Some(word), Some(tail)) = (parts.get(1), parts.get(2), parts.get(3)) else { break };
        let decoded = match kind.to_ascii_lowercase().as_str() {
            "q" => decode_quoted(word, true),
            _ => String::from_utf8_lossy(&STANDARD.decode(word).unwrap_or_default()).into_owned(),
        };
        // Blanks between two encoded words are none.
        if !before.trim().is_empty() || out.is_empty() {
            out.push_str(before);
        }
        out.push_str(&decoded);
        rest = tail.strip_prefix('=').unwrap_or(tail);
    }
    out + rest
}

#[derive(Clone)]
pub struct Sink {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    manner: Manner,
    mails: Vec<Mail>,
    /// What clients said to log in, decoded.
    logins: Vec<String>,
    greetings: Vec<String>,
    connections: usize,
    file: Option<File>,
}

impl Sink {
    pub fn start() -> Sink {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let sink = Sink { port, shared: Arc::default() };
        let shared = sink.shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                shared.note(|state| state.connections += 1);
                // A client that leaves in the middle is its own affair.
                std::thread::spawn(move || serve(&stream, &shared));
            }
        });
        sink
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn behave(&self, manner: Manner) {
        self.shared.note(|state| state.manner = manner);
    }

    /// From now on each mail is also a line of JSON in that file.
    pub fn keep_in(&self, path: &Path) {
        let file = File::create(path).expect("a file for mails");
        self.shared.note(|state| state.file = Some(file));
    }

    pub fn logins(&self) -> Vec<String> {
        self.shared.read(|state| state.logins.clone())
    }

    pub fn greetings(&self) -> Vec<String> {
        self.shared.read(|state| state.greetings.clone())
    }

    /// Every mail that nobody has taken.
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.read(|state| state.mails.clone())
    }

    /// The first mail to that reader, taken out; waited for if need be.
    pub fn take(&self, to: &str) -> Option<Mail> {
        let of = |mail: &Mail| mail.to.iter().any(|reader| reader == to);
        self.wait(|state| state.mails.iter().position(of).map(|at| state.mails.remove(at)))
    }

    /// Waits until so many connections were made.
    pub fn connections(&self, least: usize) -> bool {
        self.wait(|state| (state.connections >= least).then_some(())).is_some()
    }

    fn wait<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let until = Instant::now() + MAIL_WAIT;
        let mut state = self.shared.state.lock().expect("no thread panics here");
        loop {
            if let Some(found) = look(&mut state) {
                return Some(found);
            }
            let left = until.checked_duration_since(Instant::now())?;
            state = self.shared.changed.wait_timeout(state, left).expect("no thread panics here").0;
        }
    }
}

impl Shared {
    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().expect("no thread panics here"))
    }

    fn note(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().expect("no thread panics here"));
        self.changed.notify_all();
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut out = stream;
    let mut say = |text: &str| out.write_all(format!("{text}\r\n").as_bytes()).ok();
    let manner = || shared.read(|state| state.manner);
    if manner() == Manner::Hang {
        std::thread::sleep(HANG);
        return None;
    }
    say("220 sink")?;
    let mut mail = Mail::default();
    loop {
        let line = read_line(&mut reader)?;
        let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match word.as_str() {
            "EHLO" | "HELO" => {
                shared.note(|state| state.greetings.push(line.clone()));
                say("250-sink\r\n250-AUTH PLAIN LOGIN\r\n250-SMTPUTF8\r\n250 8BITMIME")?;
            }
            "AUTH" => {
                let mut words = line.split_whitespace().skip(1);
                let mut told = vec![words.next().unwrap_or_default().to_ascii_uppercase()];
                // `Username:` and `Password:`, which clients look for.
                let asked: &[&str] =
                    if told[0] == "LOGIN" { &["VXNlcm5hbWU6", "UGFzc3dvcmQ6"] } else { &[""] };
                told.extend(words.map(decode_login));
                while let Some(question) = asked.get(told.len() - 1) {
                    say(&format!("334 {question}"))?;
                    told.push(decode_login(&read_line(&mut reader)?));
                }
                shared.note(|state| state.logins.push(told.join(" ")));
                say("235 welcome")?;
            }
            "MAIL" => {
                mail.from = address(&line);
                say("250 go on")?;
            }
            "RCPT" => match manner() {
                Manner::Refuse => say("550 no such reader")?,
                Manner::Later => say("451 try again later")?,
                _ => {
                    mail.to.push(address(&line));
                    say("250 go on")?;
                }
            },
            "DATA" => {
                say("354 go on")?;
                mail.data = read_data(&mut reader)?;
                if manner() == Manner::Close {
                    return None;
                }
                shared.note(|state| {
                    let mail = std::mem::take(&mut mail);
                    if let Some(file) = &mut state.file {
                        let told = json!({"to": mail.to, "subject": mail.header("subject"), "html": mail.html(),
                            "text": mail.text()});
                        let _ = writeln!(file, "{told}");
                    }
                    state.mails.push(mail);
                });
                say("250 taken")?;
            }
            "RSET" => {
                mail = Mail::default();
                say("250 forgotten")?;
            }
            "QUIT" => {
                say("221 bye")?;
                return Some(());
            }
            "NOOP" => say("250 yes")?,
            _ => say("502 what?")?,
        }
    }
}

fn read_line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    let read = reader.read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

fn read_data(reader: &mut impl BufRead) -> Option<String> {
    let mut data = String::new();
    loop {
        let line = read_line(reader)?;
        if line == "." {
            return Some(data);
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
        data.push_str("\r\n");
    }
}

/// The address between angle brackets.
fn address(line: &str) -> String {
    let inside = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or_else(String::new, |(address, _)| address.to_owned())
}

fn decode_login(text: &str) -> String {
    let decoded = STANDARD.decode(text.trim()).unwrap_or_default();
    String::from_utf8_lossy(&decoded).replace('\0', " ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_are_decoded() {
        let data = "Subject: =?UTF-8?q?S=C3=BCd,_=22x=22?=\r\n =?utf-8?b?IOKckw==?=\r\nTo: a@x.io\r\n\
            Content-Type: multipart/alternative;\r\n boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\
            Content-Transfer-Encoding: base64\r\n\r\naGFs\r\nbG8=\r\n--b\r\n\
            Content-Transfer-Encoding: quoted-printable\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
            <p>=3D lo=\r\nng</p>\r\n--b--\r\n";
        let mail = Mail { data: data.into(), ..Mail::default() };
        assert_eq!(mail.header("subject"), "Süd, \"x\" ✓");
        assert_eq!(mail.text(), "hallo");
        assert_eq!(mail.html(), "<p>= long</p>");
    }
}
