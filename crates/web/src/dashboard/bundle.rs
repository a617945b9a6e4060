//! The form in which the dashboard's files lie in the program: a line that names it, a line of JSON that tells of each file,
//! and their bytes, each file once for each coding. `dashboard/build/bundle.mjs` writes it.

use axum::http::HeaderValue;
use bytes::Bytes;
use rustc_hash::FxHashMap;
use serde::Deserialize;

const MARK: &[u8] = b"pando dashboard 1\n";

#[derive(Default)]
pub struct Bundle(FxHashMap<String, File>);

/// One file. What takes no coding is unpacked from `gzip`.
pub struct File {
    pub content_type: HeaderValue,
    /// Without quotes and coding.
    pub etag: String,
    /// Whether its name changes with its content.
    pub is_named_by_content: bool,
    pub br: Bytes,
    pub gzip: Bytes,
}

#[derive(Deserialize)]
struct Index {
    files: Vec<Entry>,
}

/// Places are counted from the end of the index.
#[derive(Deserialize)]
struct Entry {
    path: String,
    r#type: String,
    etag: String,
    hashed: bool,
    br: (usize, usize),
    gzip: (usize, usize),
}

impl Bundle {
    pub fn get(&self, path: &str) -> Option<&File> {
        self.0.get(path)
    }
}

/// `None` if it is not in that form.
pub fn read(bundle: &'static [u8]) -> Option<Bundle> {
    let rest = bundle.strip_prefix(MARK)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let index: Index = serde_json::from_slice(&rest[..end]).ok()?;
    let data = &rest[end + 1..];
    let part = |(start, length): (usize, usize)| {
        Some(Bytes::from_static(data.get(start..start.checked_add(length)?)?))
    };
    let files = index.files.into_iter().map(|entry| {
        let file = File {
            content_type: HeaderValue::from_str(&entry.r#type).ok()?,
            etag: entry.etag,
            is_named_by_content: entry.hashed,
            br: part(entry.br)?,
            gzip: part(entry.gzip)?,
        };
        Some((entry.path, file))
    });
    files.collect::<Option<_>>().map(Bundle)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use sha2::{Digest, Sha256};

    use super::*;

    #[derive(Deserialize)]
    struct Built {
        source: String,
    }

    /// What the built files depend on.
    const SOURCES: [&str; 7] = [
        "build",
        "index.html",
        "package-lock.json",
        "package.json",
        "src",
        "tsconfig.json",
        "vite.config.ts",
    ];

    fn walk(path: &Path, found: &mut Vec<PathBuf>) {
        if path.is_dir() {
            std::fs::read_dir(path).unwrap().for_each(|entry| walk(&entry.unwrap().path(), found));
        } else {
            found.push(path.to_path_buf());
        }
    }

    /// The same is computed by `dashboard/build/sources.mjs`.
    fn fingerprint(root: &Path) -> String {
        let mut files = Vec::new();
        SOURCES.iter().for_each(|source| walk(&root.join(source), &mut files));
        let name = |file: &PathBuf| file.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
        let mut files: Vec<_> = files.iter().map(|file| (name(file), std::fs::read(file).unwrap())).collect();
        files.sort();
        let mut hash = Sha256::new();
        for (name, content) in files {
            hash.update(format!("{name}\0{}\0", content.len()));
            hash.update(&content);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn built_files_are_those_of_the_sources() {
        let bundle = super::super::BUNDLE;
        let index = bundle.split(|byte| *byte == b'\n').nth(1).unwrap();
        let built: Built = serde_json::from_slice(index).unwrap();
        let sources = fingerprint(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboard"));
        assert_eq!(
            built.source, sources,
            "run `npm ci && npm run build` in dashboard/ and commit what it wrote"
        );
    }

    #[test]
    fn every_file_can_be_read() {
        let bundle = read(super::super::BUNDLE).unwrap();
        let page = bundle.get("index.html").unwrap();
        assert!(!page.is_named_by_content && page.content_type == "text/html; charset=utf-8");
        assert!(bundle.0.values().all(|file| !file.br.is_empty() && !file.gzip.is_empty()));
    }

    #[test]
    fn anything_else_is_no_bundle() {
        for bytes in [
            &b""[..],
            b"pando dashboard 2\n{}\n",
            b"pando dashboard 1\n{\"files\":[]}",
            b"pando dashboard 1\n{}\n",
        ] {
            assert!(read(bytes).is_none());
        }
        let beyond =
            b"pando dashboard 1\n{\"files\":[{\"path\":\"a\",\"type\":\"b\",\"etag\":\"c\",\"hashed\":true,\
            \"br\":[0,9],\"gzip\":[18446744073709551615,2]}]}\nxx";
        assert!(read(beyond).is_none());
    }
}
