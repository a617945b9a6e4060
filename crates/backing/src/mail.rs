//! Mail: one message at a time, handed to an SMTP server, or written to a directory while there is none. Never
//! queues and never tries again: whoever sends does.

mod outbox;
mod smtp;
mod text;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use base::limits::{MAIL_HTML_BYTES_MAX, MAIL_SUBJECT_CHARS_MAX, SMTP_SEND_MS};
use base::{Kind, Timestamp};
use lettre::Address;
use lettre::message::{Mailbox, MultiPart};

use outbox::Outbox;

/// A mail to one reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub from_name: String,
    pub from: String,
    pub to: String,
    pub subject: String,
    /// The text for readers without HTML is made of it.
    pub html: String,
}

/// Where mails are handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    /// Empty for no login.
    pub username: String,
    pub password: String,
    pub login: Login,
    /// TLS from the first byte, rather than by STARTTLS where the server offers it.
    pub tls: bool,
    /// What the server is greeted with; empty for `localhost`.
    pub local_name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    Plain,
    Login,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The message, or what the server says of it: the same will not go through later.
    #[error("the mail is refused: {0}")]
    Refused(String),
    /// The server, the way to it or the disk: later it may go through.
    #[error("the mail cannot be sent now: {0}")]
    Unavailable(String),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Refused(_) => Kind::Invalid,
            Error::Unavailable(_) => Kind::Unavailable,
        }
    }
}

pub type Result<T> = std::result::Result<T, Error>;

/// Takes a message that is ready to go.
#[async_trait]
trait Transport: Send + Sync {
    async fn send(&self, message: &lettre::Message) -> Result<()>;
}

pub struct Mailer {
    outbox: Option<Outbox>,
}

impl Mailer {
    /// `outbox` is where mails go that are sent without an SMTP server. It is made when the first one comes. Without
    /// one, mails wait until there is a server.
    pub fn new(outbox: Option<PathBuf>) -> Self {
        Mailer { outbox: outbox.map(Outbox::new) }
    }

    pub fn has_outbox(&self) -> bool {
        self.outbox.is_some()
    }

    pub async fn send(&self, smtp: Option<&Smtp>, message: &Message, now: Timestamp) -> Result<()> {
        let sent = self.send_unseen(smtp, message, now).await;
        let outcome = match &sent {
            Ok(()) => "sent",
            Err(Error::Refused(_)) => "refused",
            Err(Error::Unavailable(_)) => "unavailable",
        };
        metrics::counter!("pando_mails_total", "outcome" => outcome).increment(1);
        sent
    }

    async fn send_unseen(&self, smtp: Option<&Smtp>, message: &Message, now: Timestamp) -> Result<()> {
        let message = build(message, now)?;
        let sending = async {
            match smtp {
                Some(smtp) => smtp::open(smtp)?.send(&message).await,
                None => match &self.outbox {
                    Some(outbox) => outbox.send(&message).await,
                    None => Err(Error::Unavailable(
                        "there is no SMTP server: set smtp in the settings, or mail.outbox in the configuration".into(),
                    )),
                },
            }
        };
        match tokio::time::timeout(Duration::from_millis(SMTP_SEND_MS), sending).await {
            Ok(sent) => sent,
            Err(_) => Err(Error::Unavailable("it took too long".into())),
        }
    }
}

fn build(message: &Message, now: Timestamp) -> Result<lettre::Message> {
    if message.html.len() > MAIL_HTML_BYTES_MAX {
        return Err(Error::Refused("its text is too long".into()));
    }
    let from = address(&message.from)?;
    let id = format!("<{}@{}>", base::id::record(), from.domain());
    let name = Some(one_line(&message.from_name)).filter(|name| !name.is_empty());
    let subject: String = one_line(&message.subject).chars().take(MAIL_SUBJECT_CHARS_MAX).collect();
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(now.0.max(0) as u64);
    lettre::Message::builder()
        .from(Mailbox::new(name, from))
        .to(Mailbox::new(None, address(&message.to)?))
        .subject(subject)
        .date(at)
        .message_id(Some(id))
        .multipart(MultiPart::alternative_plain_html(text::of_html(&message.html), message.html.clone()))
        .map_err(|error| Error::Refused(error.to_string()))
}

/// An address as the wire has it: names of hosts beyond ASCII in their ASCII form.
fn address(text: &str) -> Result<Address> {
    let refused = |why: String| Error::Refused(format!("{:?} is no address: {why}", one_line(text)));
    let Some((user, host)) = text.rsplit_once('@') else { return Err(refused("no @".into())) };
    // What the library reads as an address it also writes unchanged; a line break must never get that far.
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(refused("blanks".into()));
    }
    let host = match host.is_ascii() {
        true => host.to_string(),
        false => url::Host::parse(host).map_err(|error| refused(error.to_string()))?.to_string(),
    };
    Address::new(user, host).map_err(|error| refused(error.to_string()))
}

/// Without anything that could end a header's line.
fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            from_name: "Support".into(),
            from: "support@example.com".into(),
            to: "anna@example.org".into(),
            subject: "Hello".into(),
            html: "<p>Hello &amp; welcome</p>".into(),
        }
    }

    fn head(message: &Message) -> String {
        let built = String::from_utf8(build(message, Timestamp(0)).unwrap().formatted()).unwrap();
        built.split("\r\n\r\n").next().unwrap().to_string()
    }

    #[test]
    fn no_text_can_add_a_header() {
        let tricky = Message {
            from_name: "A\r\nBcc: eve@example.net".into(),
            subject: "B\r\nBcc: eve@example.net\r\n\r\nbody".into(),
            ..message()
        };
        let head = head(&tricky);
        assert!(!head.lines().any(|line| line.to_ascii_lowercase().starts_with("bcc")), "{head}");
        assert!(head.contains("Subject: B Bcc: eve@example.net body"), "{head}");
        for to in [
            "a@x.io\r\nBcc: b@x.io",
            "a@x.io\nb@x.io",
            "a b@x.io",
            "a@x.io>, <b@x.io",
            "",
            "a",
            "@x.io",
            "a@",
        ] {
            let told = build(&Message { to: to.into(), ..message() }, Timestamp(0));
            assert!(matches!(told, Err(Error::Refused(_))), "{to:?}");
        }
    }

    #[test]
    fn names_and_hosts_beyond_ascii() {
        let german = Message {
            from_name: "Süd, \"GmbH\"".into(),
            to: "jörg@bücher.example".into(),
            subject: "Schöne Grüße ✓".into(),
            ..message()
        };
        let head = head(&german);
        assert!(head.contains("xn--bcher-kva.example"), "{head}");
        assert!(head.contains("Subject: =?utf-8?b?") && head.contains("From: =?utf-8?b?"), "{head}");
    }

    #[tokio::test]
    async fn without_a_server_mails_are_files() {
        let dir = tempfile::tempdir().unwrap();
        let mailer = Mailer::new(Some(dir.path().join("outbox")));
        mailer.send(None, &message(), Timestamp(0)).await.unwrap();
        let files: Vec<_> = std::fs::read_dir(dir.path().join("outbox")).unwrap().flatten().collect();
        assert_eq!(files.len(), 1);
        let text = std::fs::read_to_string(files[0].path()).unwrap();
        assert!(text.contains("To: anna@example.org") && text.contains("Hello & welcome"), "{text}");
    }
}
