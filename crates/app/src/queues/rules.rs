//! Who may publish and who may consume. A rule sees the request, and the message, or what is asked for, as a record.

use model::Request;

use super::stream::{Seen, Stream};
use crate::error::{Error, Result};
use crate::rules::{Condition, Context};

/// A rule, resolved for one request.
pub struct Judge<'a> {
    cx: &'a Context<'a>,
    /// Nothing for who may do everything.
    condition: Option<Condition>,
    refusal: &'static str,
}

impl<'a> Judge<'a> {
    pub fn publishing(cx: &'a Context<'a>, stream: &Stream) -> Result<Self> {
        Judge::of(cx, &stream.publish_rule, "This may not be published to the stream.")
    }

    pub fn consuming(cx: &'a Context<'a>, stream: &Stream) -> Result<Self> {
        Judge::of(cx, &stream.consume_rule, "The stream's messages may not be consumed so.")
    }

    fn of(cx: &'a Context<'a>, rule: &Option<String>, refusal: &'static str) -> Result<Self> {
        let condition = match rule {
            _ if cx.is_superuser() => None,
            None => return Err(Error::superusers_only()),
            Some(rule) if rule.is_empty() => None,
            Some(rule) => Some(cx.creation_rule(&cx.parts.queues.collection, rule)?),
        };
        Ok(Judge { cx, condition, refusal })
    }

    pub async fn pass(&self, seen: Seen<'_>) -> Result<()> {
        let Some(condition) = &self.condition else { return Ok(()) };
        let record = seen.record(&self.cx.parts.queues.collection);
        match self.cx.would_pass(&record, condition).await? {
            true => Ok(()),
            false => Err(Error::new(base::Kind::Forbidden, self.refusal)),
        }
    }
}

/// Whether who is described by the request may read what matches a pattern.
pub(crate) async fn consuming_as(
    parts: &crate::Parts,
    request: &Request,
    stream: &Stream,
    pattern: &str,
) -> Result<bool> {
    let cx = Context::new(parts, request);
    let seen = Seen { subject: pattern, group: "", subscriber: "", data: "null" };
    let judged = match Judge::consuming(&cx, stream) {
        Ok(judge) => judge.pass(seen).await,
        Err(error) => Err(error),
    };
    match judged {
        Ok(()) => Ok(true),
        Err(error) if error.kind == base::Kind::Forbidden => Ok(false),
        Err(error) => Err(error),
    }
}
