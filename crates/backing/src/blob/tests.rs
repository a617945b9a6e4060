use bytes::Bytes;
use futures_util::TryStreamExt;

use super::*;

fn attributes() -> Attributes {
    Attributes { content_type: "text/plain".into(), original: "ö.txt".into() }
}

async fn keys(blobs: &Blobs, prefix: &str) -> Vec<String> {
    let mut keys: Vec<String> =
        blobs.list(prefix).unwrap().map_ok(|entry| entry.key).try_collect().await.unwrap();
    keys.sort();
    keys
}

#[tokio::test]
async fn files_come_back_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(&Place::Directory(dir.path().join("storage"))).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    let long: Vec<u8> = (0..base::limits::BLOB_PART_BYTES * 2 + 5).map(|n| n as u8).collect();
    std::io::Write::write_all(&mut file, &long).unwrap();
    let content = Content::File { file, size_bytes: long.len() as u64 };
    blobs.put("c/r/long.bin", &content, &attributes()).await.unwrap();
    let short = Content::Memory("0123456789".into());
    blobs.put("c/r/a.p*q", &short, &attributes()).await.unwrap();
    blobs.put("c/other/b.txt", &short, &attributes()).await.unwrap();
    assert!(dir.path().join("storage/c/r/a.p*q.attrs").exists(), "names are kept to the letter");

    let blob = blobs.get("c/r/long.bin").await.unwrap();
    assert_eq!((blob.size_bytes, &blob.attributes), (long.len() as u64, &attributes()));
    assert_eq!(blob.bytes(u64::MAX).await.unwrap(), long);
    assert!(blob.bytes(10).await.is_err());
    let part: Vec<Bytes> =
        blobs.get("c/r/a.p*q").await.unwrap().stream(3..6).await.unwrap().try_collect().await.unwrap();
    assert_eq!(part.concat(), b"345");
    let blob = blobs.get("c/r/a.p*q").await.unwrap();
    let (first, second) = (blob.stream(0..2).await.unwrap(), blob.stream(8..10).await.unwrap());
    let both: Vec<Bytes> = futures_util::stream::select(first, second).try_collect().await.unwrap();
    assert_eq!(both.iter().map(Bytes::len).sum::<usize>(), 4);
    assert!(both.contains(&Bytes::from("01")) && both.contains(&Bytes::from("89")), "{both:?}");

    assert_eq!(keys(&blobs, "").await, ["c/other/b.txt", "c/r/a.p*q", "c/r/long.bin"]);
    assert_eq!(keys(&blobs, "c/r").await, ["c/r/a.p*q", "c/r/long.bin"]);
    blobs.copy("c/r/a.p*q", "d/copy.txt").await.unwrap();
    assert_eq!(blobs.get("d/copy.txt").await.unwrap().attributes, attributes());
    blobs.delete("c/r/a.p*q").await.unwrap();
    blobs.delete("c/r/a.p*q").await.unwrap();
    assert!(matches!(blobs.get("c/r/a.p*q").await, Err(Error::Missing)));
    assert_eq!(blobs.delete_prefix("c", Timestamp(0)).await.unwrap(), 0, "nothing is that old");
    assert_eq!(blobs.delete_prefix("c", Timestamp(i64::MAX)).await.unwrap(), 2);
    assert!(!dir.path().join("storage/c").exists(), "empty folders go as well");
}

#[tokio::test]
async fn keys_that_lead_elsewhere_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("secret"), "x").unwrap();
    let blobs = Blobs::open(&Place::Directory(dir.path().join("storage"))).unwrap();
    for key in [
        "",
        "/",
        "../secret",
        "a/../../secret",
        "/etc/passwd",
        "a//b",
        "a/./b",
        "a/\0b",
        "a/b/",
        "a/x#1",
        "a/x.attrs",
    ] {
        assert!(blobs.get(key).await.is_err(), "{key:?}");
        let content = Content::Memory(Bytes::new());
        assert!(blobs.put(key, &content, &Attributes::default()).await.is_err(), "{key:?}");
    }
}
