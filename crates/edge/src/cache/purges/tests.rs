use std::collections::HashMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::cache::object::Key;
use crate::cache::storage::Storage;
use crate::cache::tests::object;

fn kept(
    storage: &Storage,
    host: &str,
    target: &str,
    tags: &[&str],
    moment: Moment,
) -> std::sync::Arc<Object> {
    storage.put(Key(target.as_bytes().into()), object(host, target, tags, "x"), moment)
}

fn purge(change: impl FnOnce(&mut Purge)) -> Purge {
    let mut purge = Purge::default();
    change(&mut purge);
    purge
}

#[test]
fn a_purge_concerns_what_it_names() {
    let cases: &[(&str, Purge, bool)] = &[
        ("tag", purge(|p| p.tags = vec!["r:posts/1".into()]), true),
        ("another tag", purge(|p| p.tags = vec!["r:posts/2".into()]), false),
        ("address", purge(|p| p.urls = vec!["https://A.example/posts/1?x=1".into()]), true),
        ("address on another host", purge(|p| p.urls = vec!["https://b.example/posts/1?x=1".into()]), false),
        ("address without its query", purge(|p| p.urls = vec!["https://a.example/posts/1".into()]), false),
        ("path on all hosts", purge(|p| p.urls = vec!["/posts/1?x=1".into()]), true),
        ("prefix", purge(|p| p.prefixes = vec!["http://a.example/posts/".into()]), true),
        ("prefix on all hosts", purge(|p| p.prefixes = vec!["/po".into()]), true),
        ("another prefix", purge(|p| p.prefixes = vec!["/users".into()]), false),
        ("a host", purge(|p| p.prefixes = vec!["https://a.example".into()]), true),
        ("all", purge(|p| p.all = true), true),
        ("nothing", Purge::default(), false),
    ];
    for (what, purge, concerns) in cases {
        for soft in [false, true] {
            let storage = Storage::new(1 << 20);
            let one =
                kept(&storage, "a.example", "/posts/1?x=1", &["c:posts", "r:posts/1"], storage.moment());
            storage.purge(&Purge { soft, ..purge.clone() });
            let expected = match (concerns, soft) {
                (false, _) => Standing::Good,
                (true, true) => Standing::Soft,
                (true, false) => Standing::Hard,
            };
            assert_eq!(storage.standing(&one), expected, "{what}");
            // What is fetched from now on is no more concerned.
            let again = kept(&storage, "a.example", "/posts/1?x=1", &["r:posts/1"], storage.moment());
            assert_eq!(storage.standing(&again), Standing::Good, "{what}");
        }
    }
}

#[test]
fn many_prefixes_are_forgotten_on_the_safe_side() {
    let storage = Storage::new(1 << 20);
    let old = kept(&storage, "a", "/kept", &[], storage.moment());
    storage.purge(&purge(|p| p.prefixes = vec!["/a/".into()]));
    let between = kept(&storage, "a", "/between", &[], storage.moment());
    for number in 0..EDGE_PURGE_PREFIXES_MAX {
        assert_eq!(storage.standing(&old), Standing::Good);
        storage.purge(&purge(|p| p.prefixes = vec![format!("/b/{number}/")]));
    }
    assert_eq!(storage.standing(&old), Standing::Hard);
    assert_eq!(storage.standing(&between), Standing::Good);
}

/// Writes at the origin are announced as purges; fetches take their time. What is found in good standing is what the origin
/// has now.
#[test]
fn no_history_brings_back_what_was_purged() {
    const KEYS: usize = 12;
    for seed in 0..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        let storage = Storage::new(1 << 20);
        let mut versions = [0_u32; KEYS];
        let mut fetches: Vec<(usize, u32, Moment)> = Vec::new();
        let mut found = 0;
        let target = |key: usize| format!("/{}/{key}", key % 3);
        let mut kept: HashMap<usize, u32> = HashMap::new();
        for step in 0..400 {
            let key = rng.random_range(0..KEYS);
            match rng.random_range(0..10) {
                0..3 => fetches.push((key, versions[key], storage.moment())),
                3..6 if !fetches.is_empty() => {
                    let (key, version, moment) = fetches.swap_remove(rng.random_range(0..fetches.len()));
                    let tags = [format!("r:{key}"), format!("c:{}", key % 3)];
                    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
                    let object = object("h", &target(key), &tags, &version.to_string());
                    storage.put(Key(target(key).into_bytes().into()), object, moment);
                    kept.insert(key, version);
                }
                6 => {
                    let soft = rng.random();
                    let (touched, purge): (Vec<usize>, Purge) = match rng.random_range(0..5) {
                        0 => (vec![key], purge(|p| p.tags = vec![format!("r:{key}")])),
                        1 => (
                            (0..KEYS).filter(|other| other % 3 == key % 3).collect(),
                            purge(|p| p.tags = vec![format!("c:{}", key % 3)]),
                        ),
                        2 => (vec![key], purge(|p| p.urls = vec![format!("https://h{}", target(key))])),
                        3 => (
                            (0..KEYS).filter(|other| other % 3 == key % 3).collect(),
                            purge(|p| p.prefixes = vec![format!("/{}/", key % 3)]),
                        ),
                        _ => ((0..KEYS).collect(), purge(|p| p.all = true)),
                    };
                    touched.into_iter().for_each(|key| versions[key] += 1);
                    storage.purge(&Purge { soft, ..purge });
                }
                _ => {
                    let Some(entry) = storage.peek(&Key(target(key).into_bytes().into())) else { continue };
                    let object = &entry.variants[0];
                    if storage.standing(object) == Standing::Good {
                        found += 1;
                        assert_eq!(
                            object.body,
                            versions[key].to_string().as_bytes(),
                            "seed {seed}, step {step}: {key}"
                        );
                    }
                }
            }
        }
        assert!(found > 0, "seed {seed}: nothing was ever found");
    }
}
