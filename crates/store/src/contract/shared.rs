//! Counts that several processes share, and who they are, where the engine knows of several.

use std::time::Duration;

use crate::{Member, Part, Store, Take};

pub async fn check(store: &Store) {
    let Some(shared) = store.shared() else { return };
    let take = |key, part| Take { key, most: 100, window_ms: 60_000, part, durable: part == Part::One };

    // Whoever asks at once: all of it is granted, and no more.
    for part in [Part::One, Part::Share] {
        let all = (0..30).map(|_| async {
            let mut granted = 0;
            for _ in 0..10 {
                granted += shared.take(&take("all", part)).await.expect("take").granted;
            }
            granted
        });
        let granted: u64 = futures_util::future::join_all(all).await.into_iter().sum();
        assert_eq!(granted, 100, "{part:?}");
        let refused = shared.take(&take("all", part)).await.expect("take");
        assert!(refused.granted == 0 && (1..=60_000).contains(&refused.left_ms), "{refused:?}");
    }
    let first = shared.take(&take("shares", Part::Share)).await.expect("take").granted;
    let second = shared.take(&take("shares", Part::Share)).await.expect("take").granted;
    assert!(first > second && second > 1, "{first} {second}");

    shared.forget("all").await.expect("forget");
    assert_eq!(shared.take(&take("all", Part::One)).await.expect("take").granted, 1);
    let brief = Take { key: "brief", most: 1, window_ms: 50, part: Part::One, durable: true };
    assert_eq!(shared.take(&brief).await.expect("take").granted, 1);
    let left = shared.take(&brief).await.expect("take");
    tokio::time::sleep(Duration::from_millis(left.left_ms + 5)).await;
    shared.sweep().await.expect("sweep");
    assert_eq!(shared.take(&brief).await.expect("take").granted, 1, "a window ends");

    let member =
        |id: &str, schema| Member { id: id.into(), address: "a".into(), schema, ..Member::default() };
    for (id, schema) in [("one", 1), ("other", 1), ("one", 2)] {
        shared.beat(&member(id, schema)).await.expect("beat");
    }
    let members = || async {
        let members = shared.members().await.expect("members");
        members.into_iter().map(|member| (member.id, member.schema)).collect::<Vec<_>>()
    };
    assert_eq!(members().await, [("one".to_owned(), 2), ("other".to_owned(), 1)]);
    shared.leave("one").await.expect("leave");
    shared.leave("other").await.expect("leave");
    assert!(members().await.is_empty());
}
