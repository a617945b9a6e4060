//! A record as a certain caller may see it.

use model::{Collection, Record};

use crate::error::Result;
use crate::rules::Context;

#[derive(Clone, Debug)]
pub struct Shown {
    pub record: Record,
    /// Whether hidden fields are part of the answer.
    pub hidden: bool,
    /// Whether an auth record's email is part of the answer.
    pub email: bool,
    /// `None` when nothing was asked for, or nothing that exists.
    pub expand: Option<Vec<(String, Expanded)>>,
}

#[derive(Clone, Debug)]
pub enum Expanded {
    One(Box<Shown>),
    Many(Vec<Shown>),
}

impl Context<'_> {
    /// Wraps records of one collection for the caller.
    pub async fn show_all(&self, records: Vec<Record>) -> Result<Vec<Shown>> {
        let superuser = self.is_superuser();
        let mut shown: Vec<Shown> = records
            .into_iter()
            .map(|record| Shown { email: true, hidden: superuser, expand: None, record })
            .collect();
        let is_auth = shown.first().is_some_and(|first| first.record.collection.is_auth());
        if is_auth && !superuser {
            for one in &mut shown {
                one.email = self.email_visible(&one.record).await?;
            }
        }
        Ok(shown)
    }

    pub async fn show(&self, record: Record) -> Result<Shown> {
        let email =
            !record.collection.is_auth() || self.is_superuser() || self.email_visible(&record).await?;
        Ok(Shown { hidden: self.is_superuser(), email, record, expand: None })
    }

    async fn email_visible(&self, record: &Record) -> Result<bool> {
        if record.get("emailVisibility").as_bool() {
            return Ok(true);
        }
        self.depends_on_caller();
        if self.is_self(record) {
            return Ok(true);
        }
        self.manages(record).await
    }

    /// Whether the record is the caller.
    pub fn is_self(&self, record: &Record) -> bool {
        self.request
            .auth
            .as_ref()
            .is_some_and(|auth| auth.id() == record.id() && auth.collection.id == record.collection.id)
    }

    /// Whether the manage rule lets the caller change what only the owner may.
    pub async fn manages(&self, record: &Record) -> Result<bool> {
        if self.is_superuser() {
            return Ok(true);
        }
        match manage_rule(&record.collection) {
            Some(rule) if self.request.auth.is_some() && !rule.is_empty() => {
                let condition = self.rule(&record.collection, rule)?;
                self.passes(record, &condition).await
            }
            _ => Ok(false),
        }
    }
}

pub fn manage_rule(collection: &Collection) -> Option<&str> {
    collection.auth()?.manage_rule.as_deref()
}
