//! Entries as an `ExportLogsServiceRequest` in OTLP's JSON: names in lower camel case, 64-bit numbers as texts, ids in hex.

use base::limits::OTLP_ATTRIBUTES_MAX;
use observe::LogEntry;
use serde_json::{Map, Value as Json, json};

const NANOS_OF_MS: i128 = 1_000_000;
/// Members of an entry's data that have names in OpenTelemetry's semantic conventions. All others begin with `pando.`.
const NAMES: [(&str, &str); 6] = [
    ("method", "http.request.method"),
    ("status", "http.response.status_code"),
    ("url", "url.path"),
    ("userAgent", "user_agent.original"),
    ("userIP", "client.address"),
    ("error", "error.message"),
];

/// Who sends.
#[derive(Clone, Debug, Default)]
pub struct Resource {
    pub service: String,
    pub instance: String,
    pub role: String,
    pub zone: String,
    pub region: String,
    pub version: String,
}

impl Resource {
    fn attributes(&self) -> Json {
        let all = [
            ("service.name", &self.service),
            ("service.instance.id", &self.instance),
            ("service.version", &self.version),
            ("pando.role", &self.role),
            ("cloud.availability_zone", &self.zone),
            ("cloud.region", &self.region),
        ];
        let set = all.into_iter().filter(|(_, text)| !text.is_empty());
        Json::Array(set.map(|(key, text)| attribute(key, &json!(text))).collect())
    }
}

pub fn logs(resource: &Resource, entries: &[LogEntry]) -> String {
    let records: Vec<Json> = entries.iter().map(record).collect();
    json!({"resourceLogs": [{
        "resource": {"attributes": resource.attributes()},
        "scopeLogs": [{"scope": {"name": "pando", "version": resource.version}, "logRecords": records}],
    }]})
    .to_string()
}

fn record(entry: &LogEntry) -> Json {
    let nanos = (i128::from(entry.at.0.max(0)) * NANOS_OF_MS).to_string();
    let (number, text) = severity(entry.level);
    let mut data: Map<String, Json> = serde_json::from_str(&entry.data).unwrap_or_default();
    let mut id = |name: &str, digits: usize| match data.remove(name) {
        Some(Json::String(id)) if id.len() == digits && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Some(id)
        }
        _ => None,
    };
    let (trace, span) = (id("traceId", 32), id("spanId", 16));
    let attributes = data.iter().filter(|(_, value)| !value.is_null()).take(OTLP_ATTRIBUTES_MAX);
    let attributes: Vec<Json> = attributes
        .map(|(name, value)| match NAMES.iter().find(|(own, _)| own == name) {
            Some((_, standard)) => attribute(standard, value),
            None => attribute(&format!("pando.{name}"), value),
        })
        .collect();
    let mut record = json!({
        "timeUnixNano": nanos,
        "observedTimeUnixNano": nanos,
        "severityNumber": number,
        "severityText": text,
        "body": {"stringValue": entry.message},
        "attributes": attributes,
    });
    if let (Some(trace), Some(span)) = (trace, span) {
        record["traceId"] = trace.into();
        record["spanId"] = span.into();
    }
    record
}

/// As the log's data model has them.
fn severity(level: i64) -> (u8, &'static str) {
    match level {
        8.. => (17, "ERROR"),
        4..=7 => (13, "WARN"),
        0..=3 => (9, "INFO"),
        _ => (5, "DEBUG"),
    }
}

fn attribute(key: &str, value: &Json) -> Json {
    let value = match value {
        Json::String(text) => json!({"stringValue": text}),
        Json::Bool(value) => json!({"boolValue": value}),
        Json::Number(number) => match number.as_i64() {
            Some(number) => json!({"intValue": number.to_string()}),
            None => json!({"doubleValue": number}),
        },
        other => json!({"stringValue": other.to_string()}),
    };
    json!({"key": key, "value": value})
}

#[cfg(test)]
mod tests {
    use base::Timestamp;

    use super::*;

    #[test]
    fn an_entry_is_a_log_record() {
        let entry = LogEntry {
            at: Timestamp(1_700_000_000_123),
            level: 8,
            message: "GET /x".into(),
            data: r#"{"status":404,"execTime":1.5,"ok":true,"details":{"a":1},"none":null,"requestId":"r1","traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7"}"#.into(),
        };
        let resource = Resource { service: "pando".into(), instance: "n1".into(), ..Resource::default() };
        let told: Json = serde_json::from_str(&logs(&resource, &[entry])).unwrap();
        let of = &told["resourceLogs"][0];
        assert_eq!(
            of["resource"]["attributes"],
            json!([
                {"key": "service.name", "value": {"stringValue": "pando"}},
                {"key": "service.instance.id", "value": {"stringValue": "n1"}},
            ])
        );
        assert_eq!(
            of["scopeLogs"][0]["logRecords"][0],
            json!({
                "timeUnixNano": "1700000000123000000",
                "observedTimeUnixNano": "1700000000123000000",
                "severityNumber": 17,
                "severityText": "ERROR",
                "body": {"stringValue": "GET /x"},
                "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
                "spanId": "00f067aa0ba902b7",
                "attributes": told["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["attributes"],
            })
        );
        let attributes = of["scopeLogs"][0]["logRecords"][0]["attributes"].as_array().unwrap();
        let value =
            |key: &str| attributes.iter().find(|one| one["key"] == key).map(|one| one["value"].clone());
        assert_eq!(value("http.response.status_code"), Some(json!({"intValue": "404"})));
        assert_eq!(value("pando.execTime"), Some(json!({"doubleValue": 1.5})));
        assert_eq!(value("pando.ok"), Some(json!({"boolValue": true})));
        assert_eq!(value("pando.details"), Some(json!({"stringValue": "{\"a\":1}"})));
        assert_eq!(value("pando.requestId"), Some(json!({"stringValue": "r1"})));
        assert_eq!(attributes.len(), 5);
    }

    #[test]
    fn what_is_no_object_has_no_attributes() {
        let entry = LogEntry { at: Timestamp(-5), level: -4, message: String::new(), data: "[]".into() };
        let told: Json = serde_json::from_str(&logs(&Resource::default(), &[entry])).unwrap();
        let record = &told["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        assert_eq!((&record["timeUnixNano"], &record["severityNumber"]), (&json!("0"), &json!(5)));
        assert_eq!(record["attributes"], json!([]));
    }
}
