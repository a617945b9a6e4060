//! What caches take is what they say, and no more than they may.

use base::Value;

use super::*;

/// The one that ships.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BYTES_MAX: u64 = 64 << 20;

/// A record as they are: short texts, a few numbers, some JSON.
fn record(number: usize) -> Arc<Row> {
    Arc::new(Row::from(vec![
        Value::from(format!("{number:015}")),
        Value::from("2026-01-01 10:00:00.000Z"),
        Value::from("2026-01-01 10:00:00.000Z"),
        Value::from(format!("A title of the record with the number {number}")),
        Value::from("x".repeat(number % 300)),
        Value::Bool(true),
        Value::Number(number as f64),
        Value::Json("[\"abc\",\"def\"]".into()),
    ]))
}

/// Bytes of memory that are really in use.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

fn filled(policy: Policy) -> Fixture {
    let fixture = fixture(policy, BYTES_MAX);
    for number in 0..160_000 {
        fixture.put(&format!("{number:015}"), Some(record(number)));
    }
    fixture
}

#[test]
fn what_is_held_weighs_no_more_than_it_may() {
    for policy in Policy::ALL {
        let (bytes, entries) = filled(policy).records.held();
        assert!(bytes <= BYTES_MAX, "{} {bytes}", policy.name());
        assert!(bytes > BYTES_MAX / 2 && entries > 5_000, "{} {bytes} {entries}", policy.name());
        let none = fixture(policy, 0);
        none.put("a", Some(record(1)));
        assert_eq!(none.records.get(none.asked("a")), None, "{}", policy.name());
    }
}

/// A process is as large as what it once held: each measurement is a process of its own.
#[test]
fn memory_really_taken_is_less() {
    for policy in [Policy::Scan, Policy::S3Fifo] {
        let mut own = std::process::Command::new(std::env::current_exe().unwrap());
        own.args(["cache::tests::bytes::fills_once", "--exact", "--ignored", "--nocapture"]);
        let output = own.env(POLICY, policy.name()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let taken = text.split_once("takes ").and_then(|(_, rest)| rest.split_whitespace().next());
        let taken: u64 = taken.and_then(|taken| taken.parse().ok()).unwrap_or_else(|| panic!("{text}"));
        println!("{} {taken}", policy.name());
        assert!(taken <= BYTES_MAX, "{} takes {taken}", policy.name());
    }
}

const POLICY: &str = "PANDO_TEST_POLICY";

#[test]
#[ignore = "a part of the test above"]
fn fills_once() {
    let policy = std::env::var(POLICY).unwrap().parse().unwrap();
    let before = resident();
    let fixture = filled(policy);
    println!("takes {} of {:?}", resident() - before, fixture.records.held());
}
