use std::path::Path;
use std::time::Instant;

use super::*;
use crate::announce::Purge;
use crate::cache::storage::{Options, Storage};
use crate::cache::tests::object;

const WAIT: Duration = Duration::from_secs(30);

fn storage(dir: &Path, purgeable: bool) -> Storage {
    // So little memory that it holds only the last few.
    Storage::open(&Options {
        memory_bytes: 64 << 10,
        disk_dir: Some(dir.to_path_buf()),
        disk_bytes: EDGE_DISK_BYTES_MIN,
        purgeable,
    })
    .unwrap()
}

fn key(number: usize) -> Key {
    Key(number.to_string().as_bytes().into())
}

fn body(number: usize) -> String {
    format!("{number} {}", "x".repeat(4_000))
}

/// Kept, and asked for once more.
fn keep(storage: &Storage, number: usize) {
    let tag = format!("t{}", number % 10);
    storage.put(key(number), object("h", "/", &[&tag], &body(number)), storage.moment());
    storage.peek(&key(number));
}

async fn found(storage: &Storage, number: usize) -> Option<Standing> {
    let entry = storage.get(&key(number)).await?;
    assert_eq!(entry.variants[0].body, body(number));
    Some(storage.standing(&entry.variants[0]))
}

async fn count(storage: &Storage, numbers: std::ops::Range<usize>) -> usize {
    let mut count = 0;
    for number in numbers {
        count += usize::from(found(storage, number).await.is_some());
    }
    count
}

/// Until the disk has what is expected of it.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + WAIT;
    while !holds().await {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_memory_has_no_room_for_is_found_on_disk_if_it_was_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let storage = storage(dir.path(), true);
    for number in 0..200 {
        keep(&storage, number);
    }
    for number in 1_000..1_200 {
        storage.put(key(number), object("h", "/", &[], &body(number)), storage.moment());
    }
    until("all are found", async || count(&storage, 0..200).await == 200).await;
    // Those that nobody asked for a second time went with memory's room.
    assert!(count(&storage, 1_000..1_200).await < 20);
    storage.purge(&Purge { tags: vec!["t3".into()], ..Purge::default() });
    assert_eq!(found(&storage, 13).await, Some(Standing::Hard));
    assert_eq!(found(&storage, 14).await, Some(Standing::Good));
    storage.remove(&key(14));
    assert_eq!(found(&storage, 14).await, None);
}

#[tokio::test]
async fn an_orderly_end_is_gone_on_from() {
    for (purgeable, purge, expected) in [
        (false, None, Standing::Good),
        (true, None, Standing::Soft),
        (true, Some(true), Standing::Soft),
        (true, Some(false), Standing::Hard),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let first = storage(dir.path(), purgeable);
        (0..50).for_each(|number| keep(&first, number));
        first.remove(&key(7));
        if let Some(soft) = purge {
            first.purge(&Purge { tags: vec!["t1".into()], soft, ..Purge::default() });
        }
        first.close();
        drop(first);
        let second = storage(dir.path(), purgeable);
        until("what was kept is there", async || count(&second, 0..50).await == 50 - 1).await;
        assert_eq!(found(&second, 11).await, Some(expected));
        // Whatever this process purges concerns what the first one kept.
        second.purge(&Purge { tags: vec!["t2".into()], ..Purge::default() });
        assert_eq!(found(&second, 12).await, Some(Standing::Hard));
        // What is asked for anew is as good as ever.
        keep(&second, 11);
        assert_eq!(found(&second, 11).await, Some(Standing::Good));
    }
}

#[tokio::test]
async fn a_killed_process_leaves_nothing_that_is_used_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let first = storage(dir.path(), true);
    (0..50).for_each(|number| keep(&first, number));
    until("all are written", async || first.disk_entries() == 50).await;
    // Its thread ends without a word.
    drop(first);
    let segment = std::fs::read_dir(dir.path()).unwrap().flatten().map(|found| found.path());
    let segment = segment.into_iter().find(|path| path.extension().is_some_and(|e| e == "segment")).unwrap();
    // The last record is torn, one in the middle is damaged, and a foreign file lies beside it.
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes.truncate(bytes.len() - 10);
    let damaged = bytes.windows(3).position(|bytes| bytes == b"25 ").unwrap() + 100;
    bytes[damaged] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    std::fs::write(dir.path().join("000000000099.segment"), "something else").unwrap();
    let second = storage(dir.path(), true);
    until("what is whole is there", async || count(&second, 0..50).await == 48).await;
    assert_eq!(found(&second, 25).await, None);
    assert_eq!(found(&second, 49).await, None);
    assert_eq!(found(&second, 11).await, Some(Standing::Hard));
    assert!(!dir.path().join("000000000099.segment").exists());
}

#[tokio::test]
async fn the_disk_stays_within_its_bound() {
    let dir = tempfile::tempdir().unwrap();
    let storage = storage(dir.path(), true);
    let fits = EDGE_DISK_BYTES_MIN as usize / 4_200;
    for number in 0..fits * 3 {
        keep(&storage, number);
        if number % 1_000 == 0 {
            // The queue is let run empty, so that nothing is dropped.
            until("it is written", async || storage.disk_waiting() == 0).await;
        }
    }
    until("all are written", async || storage.disk_waiting() == 0).await;
    let files = std::fs::read_dir(dir.path()).unwrap().flatten();
    let bytes = files.map(|file| file.metadata().unwrap().len()).sum::<u64>();
    assert!(bytes <= EDGE_DISK_BYTES_MIN + (1 << 20), "{bytes}");
    // The oldest went, and the youngest are there.
    assert_eq!(count(&storage, 0..fits).await, 0);
    assert_eq!(count(&storage, fits * 2 + 500..fits * 3).await, fits - 500);
}

#[tokio::test]
async fn a_directory_is_one_process_s_at_a_time_and_passes_on() {
    let dir = tempfile::tempdir().unwrap();
    let first = storage(dir.path(), false);
    keep(&first, 1);
    until("it is written", async || first.disk_entries() == 1).await;
    let second = storage(dir.path(), false);
    keep(&second, 2);
    assert_eq!(found(&second, 2).await, Some(Standing::Good));
    first.close();
    drop(first);
    until("it has what the first one kept", async || found(&second, 1).await.is_some()).await;
}

#[tokio::test]
async fn a_disk_that_cannot_be_used_costs_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let storage = storage(&file, true);
    (0..5).for_each(|number| keep(&storage, number));
    assert_eq!(count(&storage, 0..5).await, 5);
    storage.close();
}
