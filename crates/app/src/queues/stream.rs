//! A stream's definition: what it is called, which subjects it takes, who may publish and consume, how long it keeps
//! messages, and its consumer groups.

use std::sync::Arc;

use base::Name;
use base::limits::{
    QUEUE_AGE_MS_DEFAULT, QUEUE_AGE_MS_MAX, QUEUE_DELIVERIES_DEFAULT, QUEUE_DELIVERIES_MAX, QUEUE_GROUPS_MAX,
    QUEUE_KEPT_BYTES_DEFAULT, QUEUE_KEPT_BYTES_MAX, QUEUE_KEPT_MESSAGES_DEFAULT, QUEUE_KEPT_MESSAGES_MAX,
    QUEUE_LEASE_MS_DEFAULT, QUEUE_LEASE_MS_MAX, QUEUE_LEASE_MS_MIN, QUEUE_NAME_CHARS_MAX, QUEUE_PATTERNS_MAX,
};
use model::{Collection, Record, Violation, Violations};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::subject::{is_pattern, matches};
use crate::error::{Error, Result};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stream {
    pub id: String,
    pub name: String,
    /// Patterns.
    pub subjects: Vec<String>,
    /// `None` is superusers only, `""` is everyone.
    pub publish_rule: Option<String>,
    pub consume_rule: Option<String>,
    pub max_age_ms: i64,
    pub max_messages: u64,
    pub max_bytes: u64,
    pub groups: Vec<Group>,
    pub created: String,
    pub updated: String,
}

/// Members of a group share its messages: each message is one member's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Group {
    pub id: String,
    pub name: String,
    /// The pattern of the subjects that it is for.
    pub filter: String,
    pub lease_ms: u64,
    pub max_deliveries: u32,
    /// How long a message waits that was given back, unless who gives it back says otherwise.
    pub retry_ms: i64,
}

impl Default for Stream {
    fn default() -> Self {
        Stream {
            id: String::new(),
            name: String::new(),
            subjects: Vec::new(),
            publish_rule: None,
            consume_rule: None,
            max_age_ms: QUEUE_AGE_MS_DEFAULT,
            max_messages: QUEUE_KEPT_MESSAGES_DEFAULT,
            max_bytes: QUEUE_KEPT_BYTES_DEFAULT,
            groups: Vec::new(),
            created: String::new(),
            updated: String::new(),
        }
    }
}

impl Default for Group {
    fn default() -> Self {
        Group {
            id: String::new(),
            name: String::new(),
            filter: ">".into(),
            lease_ms: QUEUE_LEASE_MS_DEFAULT,
            max_deliveries: QUEUE_DELIVERIES_DEFAULT,
            retry_ms: 0,
        }
    }
}

/// What neither a client nor a change may set.
const FIXED: [&str; 4] = ["id", "created", "updated", "groups"];

impl Stream {
    /// With what the body says in place of what is there.
    pub(super) fn patched(&self, body: &Map<String, Json>) -> Result<Stream> {
        patched(self, body)
    }

    pub fn takes(&self, subject: &str) -> bool {
        self.subjects.iter().any(|pattern| matches(pattern, subject))
    }

    pub fn group(&self, name_or_id: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name_or_id || group.id == name_or_id)
    }

    /// What is wrong with it, its rules aside.
    pub(super) fn judge(&self) -> Violations {
        let mut violations = Violations::default();
        judge_name(&mut violations, &self.name);
        if self.subjects.is_empty() {
            violations.add("subjects", Violation::required());
        } else if self.subjects.len() > QUEUE_PATTERNS_MAX {
            violations.add("subjects", Violation::length(1, QUEUE_PATTERNS_MAX));
        }
        if !self.subjects.iter().all(|subject| is_pattern(subject)) {
            violations.add("subjects", bad_pattern());
        }
        within(&mut violations, "maxAgeMs", self.max_age_ms, 1_000, QUEUE_AGE_MS_MAX);
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        within(&mut violations, "maxMessages", signed(self.max_messages), 1, signed(QUEUE_KEPT_MESSAGES_MAX));
        within(&mut violations, "maxBytes", signed(self.max_bytes), 1, signed(QUEUE_KEPT_BYTES_MAX));
        if self.groups.len() > QUEUE_GROUPS_MAX {
            violations.add("groups", Violation::length(0, QUEUE_GROUPS_MAX));
        }
        violations
    }
}

impl Group {
    pub(super) fn patched(&self, body: &Map<String, Json>) -> Result<Group> {
        patched(self, body)
    }

    pub(super) fn judge(&self) -> Violations {
        let mut violations = Violations::default();
        judge_name(&mut violations, &self.name);
        if !is_pattern(&self.filter) {
            violations.add("filter", bad_pattern());
        }
        let lease = i64::try_from(self.lease_ms).unwrap_or(i64::MAX);
        within(&mut violations, "leaseMs", lease, QUEUE_LEASE_MS_MIN as i64, QUEUE_LEASE_MS_MAX as i64);
        within(&mut violations, "retryMs", self.retry_ms, 0, QUEUE_LEASE_MS_MAX as i64);
        let deliveries = i64::from(self.max_deliveries);
        within(&mut violations, "maxDeliveries", deliveries, 1, i64::from(QUEUE_DELIVERIES_MAX));
        violations
    }
}

fn patched<T: Serialize + for<'a> Deserialize<'a>>(known: &T, body: &Map<String, Json>) -> Result<T> {
    let Json::Object(mut json) = json!(known) else {
        return Err(Error::internal("a definition that is no object"));
    };
    for (key, value) in body.iter().filter(|(key, _)| !FIXED.contains(&key.as_str())) {
        json.insert(key.clone(), value.clone());
    }
    serde_json::from_value(Json::Object(json)).map_err(|error| {
        Error::new(base::Kind::Invalid, "An error occurred while loading the submitted data.").details(error)
    })
}

fn bad_pattern() -> Violation {
    Violation::new(
        "validation_invalid_pattern",
        "Must be tokens of letters, digits and -_:@=+ with dots between them; * stands for one, > at the end for the rest.",
    )
}

fn judge_name(violations: &mut Violations, name: &str) {
    if name.is_empty() {
        violations.add("name", Violation::required());
    } else if !is_name(name) {
        violations.add("name", Violation::format());
    }
}

/// As it stands in an address.
pub fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=QUEUE_NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(fits)
}

fn within(violations: &mut Violations, field: &str, number: i64, min: i64, max: i64) {
    if number < min {
        violations.add(field, Violation::at_least(min));
    } else if number > max {
        violations.add(field, Violation::at_most(max));
    }
}

/// All streams at one moment.
#[derive(Debug, Default)]
pub struct Streams {
    pub all: Vec<Arc<Stream>>,
    by_key: FxHashMap<Name, usize>,
}

impl Streams {
    pub(super) fn new(all: Vec<Arc<Stream>>) -> Self {
        let mut by_key = FxHashMap::default();
        for (index, stream) in all.iter().enumerate() {
            by_key.insert(stream.id.as_str().into(), index);
        }
        for (index, stream) in all.iter().enumerate() {
            by_key.insert(stream.name.as_str().into(), index);
        }
        Streams { all, by_key }
    }

    pub fn find(&self, name_or_id: &str) -> Option<&Arc<Stream>> {
        self.all.get(*self.by_key.get(name_or_id)?)
    }
}

/// What rules see of a message, or of who asks for messages, as if it were a record.
pub struct Seen<'a> {
    /// Of a message its subject; of who asks for some, the pattern.
    pub subject: &'a str,
    pub group: &'a str,
    pub subscriber: &'a str,
    /// JSON; `null` when there is no message.
    pub data: &'a str,
}

/// The collection that messages are records of, for rules.
pub(super) fn as_collection() -> Result<Arc<Collection>> {
    let field = |name: &str, ty: &str| json!({"id": format!("{ty}{name}"), "name": name, "type": ty});
    let collection = json!({
        "id": "_pando_message",
        "name": "_pando_message",
        "type": "base",
        "fields": [
            {"id": "textid", "name": "id", "type": "text", "system": true, "primaryKey": true},
            field("subject", "text"),
            field("group", "text"),
            field("subscriber", "text"),
            field("data", "json"),
        ],
    });
    Collection::from_json(&collection)
        .map(Arc::new)
        .map_err(|_| Error::internal("the collection of messages"))
}

impl Seen<'_> {
    pub(super) fn record(&self, collection: &Arc<Collection>) -> Record {
        let mut record = Record::blank(collection.clone());
        for (name, text) in
            [("subject", self.subject), ("group", self.group), ("subscriber", self.subscriber)]
        {
            record.set(name, base::Value::from(text));
        }
        record.set("data", base::Value::Json(self.data.into()));
        record
    }
}
