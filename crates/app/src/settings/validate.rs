//! What settings may say, in the reference's words.

use std::net::IpAddr;

use base::Schedule;
use ipnet::IpNet;
use model::field::address::{is_email, is_url};
use model::violation::sentence;
use model::{Violation, Violations};

use super::{Backups, BatchLimits, LogSettings, Meta, RateLimit, RateLimits, S3, Settings, Smtp};

const NAME_CHARS_MAX: usize = 255;
const COLOR_CHARS: usize = 7;
const HOST_BYTES_MAX: usize = 255;
const LABEL_BYTES_MAX: usize = 63;
const PORT_MAX: i64 = u16::MAX as i64;
/// The methods of authentication that are spoken; none is the first.
const SMTP_METHODS: [&str; 3] = ["", "PLAIN", "LOGIN"];
const AUDIENCES: [&str; 3] = ["", "@guest", "@auth"];

/// `port` is the mail server's as it was given, which may be one that there is not.
pub fn validate(settings: &Settings, port: i64) -> Violations {
    let mut all = Violations::default();
    all.nest("superuserIPs", addresses(&settings.superuser_ips));
    all.nest("smtp", smtp(&settings.smtp, port));
    all.nest("backups", backups(&settings.backups));
    all.nest("s3", s3(&settings.s3));
    all.nest("meta", meta(&settings.meta));
    all.nest("rateLimits", rate_limits(&settings.rate_limits));
    all.nest("batch", batch(&settings.batch));
    all.nest("logs", logs(&settings.logs));
    all
}

fn meta(meta: &Meta) -> Violations {
    let mut all = Violations::default();
    if !meta.accent_color.is_empty() {
        if meta.accent_color.chars().count() != COLOR_CHARS {
            all.add("accentColor", exact_length(COLOR_CHARS));
        } else if !is_color(&meta.accent_color) {
            let message = "Must be a valid hexadecimal color code.";
            all.add("accentColor", Violation::new("validation_is_hex_color", message));
        }
    }
    for (key, text) in [("appName", &meta.app_name), ("senderName", &meta.sender_name)] {
        if text.is_empty() {
            all.add(key, Violation::required());
        } else if text.chars().count() > NAME_CHARS_MAX {
            all.add(key, Violation::length(1, NAME_CHARS_MAX));
        }
    }
    if meta.app_url.is_empty() {
        all.add("appURL", Violation::required());
    } else if !is_url(&meta.app_url) {
        all.add("appURL", not_url());
    }
    if meta.sender_address.is_empty() {
        all.add("senderAddress", Violation::required());
    } else if !is_email(&meta.sender_address) {
        all.add("senderAddress", not_email());
    }
    all
}

fn smtp(smtp: &Smtp, port: i64) -> Violations {
    let mut all = Violations::default();
    match port {
        0 if smtp.enabled => all.add("port", Violation::required()),
        ..0 => all.add("port", Violation::at_least(0)),
        PORT_MAX.. if port > PORT_MAX => all.add("port", Violation::at_most(PORT_MAX)),
        _ => {}
    }
    if smtp.enabled && smtp.host.is_empty() {
        all.add("host", Violation::required());
    }
    for (key, host) in [("host", &smtp.host), ("localName", &smtp.local_name)] {
        if !host.is_empty() && !is_host(host) {
            let message = "Must be a valid IP address or DNS name.";
            all.add(key, Violation::new("validation_is_host", message));
        }
    }
    if !SMTP_METHODS.contains(&smtp.auth_method.as_str()) {
        all.add("authMethod", Violation::unknown_choice());
    }
    all
}

fn backups(backups: &Backups) -> Violations {
    let mut all = Violations::default();
    if !backups.cron.is_empty() {
        if let Err(problem) = Schedule::parse(&backups.cron) {
            all.add("cron", Violation::new("validation_invalid_cron", sentence(&problem)));
        }
        if backups.cron_max_keep == 0 {
            all.add("cronMaxKeep", Violation::required());
        }
    }
    if backups.cron_max_keep < 0 {
        all.add("cronMaxKeep", Violation::at_least(1));
    }
    all.nest("s3", s3(&backups.s3));
    all
}

fn s3(s3: &S3) -> Violations {
    let mut all = Violations::default();
    if s3.enabled {
        for (key, text) in [
            ("bucket", &s3.bucket),
            ("region", &s3.region),
            ("endpoint", &s3.endpoint),
            ("accessKey", &s3.access_key),
            ("secret", &s3.secret),
        ] {
            if text.is_empty() {
                all.add(key, Violation::required());
            }
        }
    }
    if !s3.endpoint.is_empty() && !is_url(&s3.endpoint) {
        all.add("endpoint", not_url());
    }
    all
}

fn batch(batch: &BatchLimits) -> Violations {
    let mut all = Violations::default();
    for (key, number, needed) in [
        ("maxRequests", batch.max_requests, batch.enabled),
        ("timeout", batch.timeout, batch.enabled),
        ("maxBodySize", batch.max_body_size, false),
    ] {
        if needed && number == 0 {
            all.add(key, Violation::required());
        } else if number < 0 {
            all.add(key, Violation::at_least(0));
        }
    }
    all
}

fn logs(logs: &LogSettings) -> Violations {
    let mut all = Violations::default();
    for (key, number) in [("maxDays", logs.max_days), ("maxDataSize", logs.max_data_size)] {
        if number < 0 {
            all.add(key, Violation::at_least(0));
        }
    }
    all
}

fn rate_limits(limits: &RateLimits) -> Violations {
    let mut all = Violations::default();
    if limits.enabled && limits.rules.is_empty() {
        all.add("rules", Violation::required());
    }
    let mut rules = Violations::default();
    for (index, one) in limits.rules.iter().enumerate() {
        rules.nest(index.to_string(), rule(one));
    }
    if rules.is_empty() {
        rules = conflicts(&limits.rules);
    }
    all.nest("rules", rules);
    all.nest("excludedIPs", addresses(&limits.excluded_ips));
    all
}

fn rule(rule: &RateLimit) -> Violations {
    let mut all = Violations::default();
    if rule.label.is_empty() {
        all.add("label", Violation::required());
    } else if !is_label(&rule.label) {
        all.add("label", Violation::format());
    }
    if !AUDIENCES.contains(&rule.audience.as_str()) {
        all.add("audience", Violation::unknown_choice());
    }
    for (key, number) in [("duration", rule.duration), ("maxRequests", rule.max_requests)] {
        if number == 0 {
            all.add(key, Violation::required());
        } else if number < 0 {
            all.add(key, Violation::at_least(1));
        }
    }
    all
}

/// One label may have a rule for guests and one for the others, or one for everybody.
fn conflicts(rules: &[RateLimit]) -> Violations {
    let mut all = Violations::default();
    for (index, rule) in rules.iter().enumerate() {
        let clash = rules[..index].iter().any(|other| {
            other.label == rule.label
                && (other.audience == rule.audience || other.audience.is_empty() || rule.audience.is_empty())
        });
        if clash {
            let label = &rule.label;
            let message = format!(
                "Rate limit rule configuration with label {label} already exists or conflicts with another rule."
            );
            let violation = Violation::new("validation_conflicting_rate_limit_rule", message)
                .with("label", label.as_str());
            all.nest(index.to_string(), Violations::one("label", violation));
        }
    }
    all
}

/// A tag (`users:create`, `*:auth`), a word, or a path with an optional method before it.
fn is_label(label: &str) -> bool {
    let word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let path = |text: &str| {
        text.starts_with('/') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-/".contains(&b))
    };
    if let Some((method, rest)) = label.split_once(' ') {
        return word(method) && path(rest);
    }
    if let Some((collection, tag)) = label.split_once(':') {
        return (collection == "*" || word(collection)) && word(tag);
    }
    word(label) || path(label)
}

fn addresses(list: &[String]) -> Violations {
    let mut all = Violations::default();
    for (index, text) in list.iter().enumerate() {
        if text.is_empty() {
            all.add(index.to_string(), Violation::required());
        } else if network(text).is_none() {
            // The reference spells it so.
            let violation = Violation::new("validation_invlaid_ip_or_subnet", "Invalid IP or CIDR subnet.");
            all.add(index.to_string(), violation);
        }
    }
    all
}

/// An address or a subnet. The zone of a link-local address is not part of it.
pub fn network(text: &str) -> Option<IpNet> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = match address.split_once('%') {
        Some((address, zone)) if !zone.is_empty() => IpAddr::V6(address.parse::<std::net::Ipv6Addr>().ok()?),
        _ => address.parse().ok()?,
    };
    let length = match length {
        None => return Some(IpNet::from(address)),
        Some(length) if length.starts_with('0') && length != "0" || length.starts_with('+') => return None,
        Some(length) => length.parse().ok()?,
    };
    IpNet::new(address, length).ok()
}

fn is_host(text: &str) -> bool {
    if text.parse::<IpAddr>().is_ok() {
        return true;
    }
    let labels = text.strip_suffix('.').unwrap_or(text);
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    labels.len() - labels.matches('.').count() <= HOST_BYTES_MAX
        && labels.split('.').all(|label| {
            label.len() <= LABEL_BYTES_MAX
                && label.bytes().next().is_some_and(letter)
                && label.bytes().all(|byte| letter(byte) || byte == b'-')
        })
}

fn is_color(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

fn not_url() -> Violation {
    Violation::new("validation_is_url", "Must be a valid URL.")
}

pub(super) fn not_email() -> Violation {
    Violation::new("validation_is_email", "Must be a valid email address.")
}

pub(super) fn exact_length(chars: usize) -> Violation {
    let message = format!("The length must be exactly {chars}.");
    Violation::new("validation_length_invalid", message).with("max", chars).with("min", chars)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        for label in ["*:auth", "users:create", "/", "/api/", "GET /a-b_c//", "a /b", "word", "1:2"] {
            assert!(is_label(label), "{label}");
        }
        for label in
            ["*", "*:", "a:", "a:b:c", " /a", "/a ", "GET  /a", "/a b", "/a.b", "/ä", "a-b", "GE-T /a"]
        {
            assert!(!is_label(label), "{label}");
        }
    }

    #[test]
    fn networks() {
        for text in ["10.0.0.1/8", "::1", "fe80::1%eth0", "::ffff:1.2.3.4", "1.2.3.4/0", "fe80::1%e/64"] {
            assert!(network(text).is_some(), "{text}");
        }
        for text in
            ["x", "", "*", "1.2.3", "10.0.0.0/33", "1.2.3.4/", "1.2.3.4/032", "1.2.3.4%e", "::1%", " ::1"]
        {
            assert!(network(text).is_none(), "{text}");
        }
    }

    #[test]
    fn hosts() {
        for text in ["localhost", "a.b-c.d", "a.", "_a", "::1", "1.2.3.4", "256.1.1.1", "a-"] {
            assert!(is_host(text), "{text}");
        }
        for text in ["x y", "-a", "a..b", ".a", "[::1]", "1:2", "ä.de", "*.a", "a.-b", &"x".repeat(64)] {
            assert!(!is_host(text), "{text}");
        }
    }
}
