use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::cache::tests::object;

fn key(number: u64) -> Key {
    Key(number.to_le_bytes().as_slice().into())
}

#[test]
fn memory_stays_within_its_bound() {
    const BOUND: u64 = 8 << 20;
    let storage = Storage::new(BOUND);
    let body = "x".repeat(3_000);
    for number in 0..10_000 {
        storage.put(key(number), object("h", "/", &["a"], &body), storage.moment());
    }
    assert!(storage.bytes() <= BOUND, "{}", storage.bytes());
    assert!(storage.entries() > 1_500, "{}", storage.entries());
    // What would push out most of the rest is not kept.
    let large = "x".repeat(6 << 20);
    storage.put(key(0), object("h", "/", &[], &large), storage.moment());
    assert!(storage.peek(&key(0)).is_none());
}

/// Most requests are for few things. Half of all requests are for what is asked for only once.
#[test]
fn what_is_asked_for_once_does_not_displace_what_is_asked_for_often() {
    const HOT: u64 = 1_000;
    let storage = Storage::new(4 << 20);
    let body = "x".repeat(1_000);
    let mut rng = StdRng::seed_from_u64(7);
    let (mut hits, mut asked) = (0, 0);
    for request in 0..200_000_u64 {
        let once = rng.random::<bool>();
        // Skewed, as the cube of something even is.
        let hot = (rng.random::<f64>().powi(3) * HOT as f64) as u64;
        let key = if once { key(1_000_000 + request) } else { key(hot) };
        let found = storage.peek(&key).is_some();
        if !once && request > 50_000 {
            asked += 1;
            hits += usize::from(found);
        }
        if !found {
            storage.put(key, object("h", "/", &[], &body), storage.moment());
        }
    }
    let ratio = f64::from(hits as u32) / f64::from(asked);
    assert!(ratio > 0.97, "{ratio}");
}

#[test]
fn variants_stand_side_by_side_and_the_later_question_wins() {
    let storage = Storage::new(1 << 20);
    let variant = |accept: &'static str, body: &str| Object {
        varies: vec![(hyper::header::ACCEPT, Some(accept.into()))],
        ..object("h", "/", &[], body)
    };
    let early = storage.moment();
    storage.purge(&Purge { tags: vec!["other".into()], ..Purge::default() });
    storage.put(key(1), variant("a", "late"), storage.moment());
    storage.put(key(1), variant("b", "b"), storage.moment());
    storage.put(key(1), variant("a", "early"), early);
    let bodies = |entry: Arc<Entry>| -> Vec<bytes::Bytes> {
        entry.variants.iter().map(|object| object.body.clone()).collect()
    };
    assert_eq!(bodies(storage.peek(&key(1)).unwrap()), ["b", "late"]);
    for number in 0..EDGE_VARIANTS_MAX * 2 {
        let name = hyper::header::HeaderValue::from(number);
        let varies = vec![(hyper::header::ACCEPT, Some(bytes::Bytes::copy_from_slice(name.as_bytes())))];
        storage.put(key(1), Object { varies, ..object("h", "/", &[], "c") }, storage.moment());
    }
    assert_eq!(storage.peek(&key(1)).unwrap().variants.len(), EDGE_VARIANTS_MAX);
    storage.remove(&key(1));
    assert!(storage.peek(&key(1)).is_none());
}

/// A coding is kept only beside the very body that it was made of, and only as long as that stands.
#[test]
fn a_coding_goes_with_its_body() {
    let storage = Storage::new(1 << 20);
    let key = key(1);
    let put = |body: &str| storage.put(key.clone(), object("h", "/", &["a"], body), storage.moment());
    let attach = |of: &Object, body: &str| {
        storage.attach(&key, of, Coding::Gzip, Bytes::copy_from_slice(body.as_bytes()))
    };
    let found = || {
        let entry = storage.peek(&key)?;
        entry.variants[0].encoded.get(Coding::Gzip).cloned()
    };

    let first = put("one body");
    let before = storage.bytes();
    assert_eq!(attach(&first, "packed"), Attached::Kept);
    assert_eq!(found().as_deref(), Some(&b"packed"[..]));
    assert_eq!(storage.bytes(), before + 6);

    // The same body again, by a later question: what was made of it serves on, and what is made of it now does too.
    let again = put("one body");
    assert_eq!(found().as_deref(), Some(&b"packed"[..]));
    assert_eq!(attach(&first, "denser"), Attached::Kept);
    assert_eq!(found().as_deref(), Some(&b"denser"[..]));

    let other = put("other");
    assert_eq!(found(), None);
    assert_eq!(attach(&again, "packed"), Attached::Gone);
    assert_eq!(found(), None);

    storage.purge(&Purge { tags: vec!["a".into()], soft: true, ..Purge::default() });
    assert!(!storage.holds(&key, &other));
    assert_eq!(attach(&other, "packed"), Attached::Gone);

    let last = put("last");
    assert_eq!(attach(&last, &"x".repeat(1 << 20)), Attached::NoRoom);
    assert!(storage.holds(&key, &last), "what has no room for a coding is kept without");
    storage.remove(&key);
    assert_eq!(attach(&last, "packed"), Attached::Gone);
}
