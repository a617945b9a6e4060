//! Mails to the people behind auth records. What waits to be sent names whom and what for, and never holds a token or
//! a code: those are made when the mail is written, so that no secret lies in the queue.

mod layout;
mod sample;
mod template;

pub use sample::{SampleForm, send_sample};

use backing::mail::{Login, Message, Smtp};
use base::{Kind, Timestamp};
use model::Record;
use model::collection::MailTemplate;
use query::{Batch, Job};
use serde::{Deserialize, Serialize};

use crate::auth::token::{self, Purpose};
use crate::auth::{account, otp};
use crate::error::{Error, Result};
use crate::jobs::Work;
use crate::parts::Parts;
use crate::settings::Settings;

use template::Values;

/// A mail to be sent. The names are what is stored, and must not change while jobs of an older version may wait.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "mail", rename_all = "snake_case")]
pub enum Mail {
    /// Whether anybody has that address is found out when the mail is written: the request answers no sooner for
    /// those who have none.
    Verification {
        collection: String,
        email: String,
    },
    PasswordReset {
        collection: String,
        email: String,
    },
    /// `key` tells whether the record's tokens have ended since.
    EmailChange {
        collection: String,
        record: String,
        new_email: String,
        key: String,
    },
    /// `otp` is the id that the client was told, and `at` when, in milliseconds.
    Otp {
        collection: String,
        email: String,
        otp: String,
        at: i64,
    },
    /// The address is that of the login, which whoever signed in cannot change any more.
    AuthAlert {
        collection: String,
        record: String,
        email: String,
        info: String,
    },
}

impl Mail {
    pub fn job(self) -> Job {
        Work::Mail { mail: self }.job()
    }

    /// Stores the mail for sending, where no other write causes it.
    pub async fn queue(self, parts: &Parts) -> Result<()> {
        room(parts).await?;
        parts.store.commit(Batch { jobs: vec![self.job()], ..Batch::default() }).await?;
        Ok(())
    }
}

/// Whether one more mail may be stored.
pub(crate) async fn room(parts: &Parts) -> Result<()> {
    match parts.attempts.has_room(parts.clock.now()).await {
        true => Ok(()),
        false => Err(Error::new(Kind::Unavailable, "Too many mails at the moment. Try again later.")),
    }
}

/// Writes the mail and hands it over. A mail that nobody needs any more is none.
pub(crate) async fn deliver(parts: &Parts, mail: Mail) -> Result<()> {
    match mail {
        Mail::Verification { collection, email } => {
            let Some(record) = account::find(parts, &collection, &email).await? else { return Ok(()) };
            if record.get("verified").as_bool() {
                return Ok(());
            }
            mailed(parts, record, Purpose::Verification).await
        }
        Mail::PasswordReset { collection, email } => {
            let Some(record) = account::find(parts, &collection, &email).await? else { return Ok(()) };
            mailed(parts, record, Purpose::PasswordReset).await
        }
        Mail::EmailChange { collection, record, new_email, key } => {
            let Some(record) = by_id(parts, &collection, &record).await? else { return Ok(()) };
            if account::key_mark(&record) != key {
                tracing::info!(record = record.id(), "a waiting email change ended with its token");
                return Ok(());
            }
            let token = token::issue_email_change(parts, &record, &new_email)?;
            let values = Values { token: Some(token), ..Values::default() };
            send(parts, &record, &new_email, template_of(&record, Purpose::EmailChange)?, &values).await
        }
        Mail::Otp { collection, email, otp, at } => {
            let Some(record) = account::find(parts, &collection, &email).await? else { return Ok(()) };
            let Some(code) = otp::renew(parts, &record, &otp, Timestamp(at)).await? else { return Ok(()) };
            let Some(options) = record.collection.auth() else { return Ok(()) };
            let values = Values { otp: Some(code), otp_id: Some(otp), ..Values::default() };
            send(parts, &record, &email, &options.otp.email_template, &values).await
        }
        Mail::AuthAlert { collection, record, email, info } => {
            let Some(record) = by_id(parts, &collection, &record).await? else { return Ok(()) };
            let Some(options) = record.collection.auth() else { return Ok(()) };
            let values = Values { alert_info: Some(info), ..Values::default() };
            send(parts, &record, &email, &options.auth_alert.email_template, &values).await
        }
    }
}

async fn mailed(parts: &Parts, record: Record, purpose: Purpose) -> Result<()> {
    let token = token::issue_mailed(parts, &record, purpose)?;
    let values = Values { token: Some(token), ..Values::default() };
    send(parts, &record, record.text("email"), template_of(&record, purpose)?, &values).await
}

fn template_of(record: &Record, purpose: Purpose) -> Result<&MailTemplate> {
    let options = record.collection.auth().ok_or_else(Error::bad_request)?;
    Ok(match purpose {
        Purpose::Verification => &options.verification_template,
        Purpose::EmailChange => &options.confirm_email_change_template,
        Purpose::PasswordReset | Purpose::Auth | Purpose::File => &options.reset_password_template,
    })
}

async fn by_id(parts: &Parts, collection: &str, id: &str) -> Result<Option<Record>> {
    let schema = parts.catalog.schema();
    match schema.by_id(collection).filter(|found| found.is_auth()) {
        Some(collection) => parts.fetch(collection, id).await,
        None => Ok(None),
    }
}

/// Fails only if trying again later may help.
async fn send(
    parts: &Parts,
    record: &Record,
    to: &str,
    template: &MailTemplate,
    values: &Values,
) -> Result<()> {
    match hand_over(parts, record, to, template, values).await {
        Err(error) if error.kind() == Kind::Invalid => {
            tracing::warn!(collection = &*record.collection.name, record = record.id(), "{error}");
            Ok(())
        }
        other => other.map_err(|error| Error::new(error.kind(), "The mail was not sent.").details(error)),
    }
}

async fn hand_over(
    parts: &Parts,
    record: &Record,
    to: &str,
    template: &MailTemplate,
    values: &Values,
) -> backing::mail::Result<()> {
    let settings = parts.settings.load_full();
    let (subject, body) = template::fill(template, &settings.meta, record, values);
    let message = Message {
        from_name: settings.meta.sender_name.clone(),
        from: settings.meta.sender_address.clone(),
        to: to.into(),
        subject,
        html: layout::around(&body),
    };
    parts.mailer.send(smtp(&settings).as_ref(), &message, parts.clock.now()).await
}

/// Writes to somebody of whom there need be no record. Fails only if trying again later may help.
pub(crate) async fn tell(parts: &Parts, to: &str, subject: &str, html: &str) -> Result<()> {
    let settings = parts.settings.load_full();
    let message = Message {
        from_name: settings.meta.sender_name.clone(),
        from: settings.meta.sender_address.clone(),
        to: to.into(),
        subject: subject.into(),
        html: layout::around(html),
    };
    match parts.mailer.send(smtp(&settings).as_ref(), &message, parts.clock.now()).await {
        Err(error) if error.kind() == Kind::Invalid => {
            tracing::warn!(to, "{error}");
            Ok(())
        }
        other => other.map_err(|error| Error::new(error.kind(), "The mail was not sent.").details(error)),
    }
}

/// Where mails go by the settings of this moment; `None` for the outbox.
fn smtp(settings: &Settings) -> Option<Smtp> {
    let smtp = &settings.smtp;
    smtp.enabled.then(|| Smtp {
        host: smtp.host.clone(),
        port: smtp.port,
        username: smtp.username.clone(),
        password: smtp.password.clone(),
        login: if smtp.auth_method.eq_ignore_ascii_case("login") { Login::Login } else { Login::Plain },
        tls: smtp.tls,
        local_name: smtp.local_name.clone(),
    })
}
