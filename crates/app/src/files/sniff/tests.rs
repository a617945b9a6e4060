use super::sniff;

/// What the reference made of small files: a name for the reader, the bytes, the extension and the kind.
const FACTS: &str = include_str!("facts.tsv");

#[test]
fn files_are_told_as_the_reference_does() {
    let mut wrong = Vec::new();
    for line in FACTS.lines() {
        let [name, hex, extension, mime] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(digits).collect();
        let found = sniff(&bytes, true);
        if (found.mime, found.extension) != (mime, extension) {
            wrong.push(format!("{name}: {found:?}, not {mime} {extension}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), FACTS.lines().count(), wrong.join("\n"));
}
