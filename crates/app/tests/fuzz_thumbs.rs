//! Pictures of arbitrary bytes must neither panic nor take more than their limits. `PANDO_FUZZ_SECONDS` makes the run
//! longer, `PANDO_FUZZ_SEED` another.

use testkit::{fixtures, fuzz};

/// The first byte chooses the kind of picture, the second the size.
#[test]
fn pictures() {
    let kinds: [(u8, &str); 6] = [
        (0, "jpg-40x30"),
        (0, "turned-40x30"),
        (1, "png-40x30"),
        (1, "clear-10x10"),
        (2, "frames-3"),
        (3, "webp-40x30"),
    ];
    let seeds: Vec<Vec<u8>> = kinds
        .iter()
        .flat_map(|(kind, name)| (0..6).map(|size| [&[*kind, size][..], &fixtures::bytes(name)].concat()))
        .collect();
    let seeds: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
    let executions = fuzz::run(&seeds, fuzz::seconds(2), app::files::fuzz_thumb);
    assert!(executions >= seeds.len() as u64, "{executions} executions are no run");
}

/// Kinds of files are told from bytes that anybody sends.
#[test]
fn kinds() {
    let seeds: Vec<Vec<u8>> = ["png-8x8", "jpg-8x8", "gif-8x8", "webp-8x8"].map(fixtures::bytes).into();
    let mut seeds: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
    seeds.extend([
        &b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\x0a\0\0\0word/a.xmlx"[..],
        b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"></svg>",
        b"{\"type\":\"Point\",\"coordinates\":[1,2]}",
        b"a,\"b\"\n1,2\n",
        b"ID3\x03\0\0\0\0\x01\0",
        b"\0\0\0\x18ftypmp42",
        b"OggS\0\x02",
        b"\xef\xbb\xbf<html>",
    ]);
    let executions = fuzz::run(&seeds, fuzz::seconds(2), |bytes| {
        for whole in [true, false] {
            let _ = app::files::sniff::sniff(bytes, whole);
        }
    });
    assert!(executions > 100, "{executions} executions are no run");
}
