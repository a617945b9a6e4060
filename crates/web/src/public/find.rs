//! From a request's path to a file of the directory, and to nothing else.

use std::fs::Metadata;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use base::Timestamp;
use base::limits::TEXT_SNIFF_BYTES;
use percent_encoding::percent_decode_str;

use super::kind;
use crate::compress::Codings;

const INDEX: &str = "index.html";
/// The one hidden directory that the web knows.
const WELL_KNOWN: &str = ".well-known";

#[derive(Debug, PartialEq)]
pub enum Located {
    At(Found),
    /// Under another path.
    Elsewhere(String),
    Nowhere,
}

#[derive(Debug, PartialEq)]
pub struct Found {
    pub path: PathBuf,
    /// The name that was asked for, without what a coding appends.
    pub name: String,
    pub size_bytes: u64,
    pub modified: Timestamp,
    pub content_type: String,
    /// How it is compressed.
    pub coding: Option<&'static str>,
}

impl Found {
    pub fn etag(&self) -> String {
        format!("\"{:x}-{:x}{}\"", self.modified.0, self.size_bytes, self.coding.unwrap_or_default())
    }
}

/// The path without empty parts and dots, if it has such. Only what is spelled out: what is encoded is refused later.
pub fn cleaned(path: &str) -> Option<String> {
    if !path.contains("//") && !path.split('/').any(|part| part == "." || part == "..") {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let end = if path.ends_with('/') && !parts.is_empty() { "/" } else { "" };
    Some(format!("/{}{end}", parts.join("/")))
}

/// The file that a path leads to.
pub fn find(root: &Path, path: &str, codings: Codings) -> Located {
    let Some(inside) = inside(path) else { return Located::Nowhere };
    let Some((file, about)) = within(root, &root.join(&inside)) else { return Located::Nowhere };
    let slash = path.ends_with('/');
    if about.is_dir() {
        return match slash {
            true => at(root, &file.join(INDEX), codings),
            false => Located::Elsewhere(format!("{path}/")),
        };
    }
    if slash {
        return Located::Elsewhere(path.trim_end_matches('/').to_string());
    }
    if let Some(parent) = path.strip_suffix(INDEX).filter(|parent| parent.ends_with('/')) {
        return Located::Elsewhere(parent.to_string());
    }
    at(root, &file, codings)
}

/// Whether a path leads to a file or a directory.
pub fn holds(root: &Path, path: &str) -> bool {
    inside(path).is_some_and(|inside| within(root, &root.join(inside)).is_some())
}

/// The first page.
pub fn index(root: &Path, codings: Codings) -> Located {
    at(root, &root.join(INDEX), codings)
}

/// A request's path as one below the root; `None` for what could lead out of it, and for what is hidden.
fn inside(path: &str) -> Option<PathBuf> {
    let path = percent_decode_str(path).decode_utf8().ok()?;
    if path.contains(['\0', '\\', ':']) {
        return None;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let shown = |part: &&str| !part.starts_with('.') || *part == WELL_KNOWN;
    parts.iter().all(shown).then(|| parts.iter().collect())
}

/// What is really there, links followed, if that is below the root.
fn within(root: &Path, path: &Path) -> Option<(PathBuf, Metadata)> {
    let real = path.canonicalize().ok().filter(|real| real.starts_with(root))?;
    let about = std::fs::metadata(&real).ok()?;
    Some((real, about))
}

fn at(root: &Path, path: &Path, codings: Codings) -> Located {
    // Not what blocks or never ends, such as a pipe.
    let Some((real, about)) = within(root, path).filter(|(_, about)| about.is_file()) else {
        return Located::Nowhere;
    };
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let content_type = match kind::by_name(&name) {
        Some(kind) => kind,
        None => kind::by_content(&start(&real)).into(),
    };
    let original = modified(&about);
    for (coding, ending) in [("br", "br"), ("gzip", "gz")] {
        if !codings.accepts(coding) {
            continue;
        }
        let neighbour = real.with_file_name(format!("{name}.{ending}"));
        // One that is older was made of something else.
        let fresh =
            within(root, &neighbour).filter(|(_, about)| about.is_file() && modified(about) >= original);
        if let Some((path, about)) = fresh {
            let (size_bytes, modified) = (about.len(), modified(&about));
            return Located::At(Found {
                path,
                name,
                size_bytes,
                modified,
                content_type,
                coding: Some(coding),
            });
        }
    }
    Located::At(Found {
        path: real,
        name,
        size_bytes: about.len(),
        modified: original,
        content_type,
        coding: None,
    })
}

fn modified(about: &Metadata) -> Timestamp {
    let since = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Timestamp(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

fn start(path: &Path) -> Vec<u8> {
    let mut start = Vec::with_capacity(TEXT_SNIFF_BYTES);
    if let Ok(file) = std::fs::File::open(path) {
        // What cannot be read is not text.
        let _ = file.take(TEXT_SNIFF_BYTES as u64).read_to_end(&mut start);
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap().join("site");
        for (path, text) in [
            ("site/index.html", "root"),
            ("site/a.txt", "text"),
            ("site/a b.txt", "space"),
            ("site/app.js", "js"),
            ("site/app.js.br", "br"),
            ("site/app.js.gz", "gz"),
            ("site/sub/index.html", "sub"),
            ("site/empty/x.txt", "x"),
            ("site/.hidden", "hidden"),
            ("site/.well-known/x", "known"),
            ("secret.txt", "secret"),
            ("sitezz/x.txt", "neighbour"),
        ] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        #[cfg(unix)]
        for (target, link) in
            [("a.txt", "inner"), ("../secret.txt", "outer"), ("..", "up"), ("../sitezz", "beside")]
        {
            std::os::unix::fs::symlink(target, root.join(link)).unwrap();
        }
        (dir, root)
    }

    fn read(root: &Path, path: &str) -> String {
        match find(root, path, Codings::default()) {
            Located::At(found) => std::fs::read_to_string(found.path).unwrap(),
            Located::Elsewhere(path) => format!("-> {path}"),
            Located::Nowhere => "-".into(),
        }
    }

    #[test]
    fn files_and_directories() {
        let (_dir, root) = site();
        for (path, expected) in [
            ("/", "root"),
            ("/index.html", "-> /"),
            ("/a.txt", "text"),
            ("/%61.txt", "text"),
            ("/a%20b.txt", "space"),
            ("/a.txt/", "-> /a.txt"),
            ("/a.txt/x", "-"),
            ("/sub", "-> /sub/"),
            ("/sub/", "sub"),
            ("/sub/index.html", "-> /sub/"),
            ("/empty", "-> /empty/"),
            ("/empty/", "-"),
            ("/missing", "-"),
            ("/.hidden", "-"),
            ("/.well-known/x", "known"),
        ] {
            assert_eq!(read(&root, path), expected, "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn nothing_leads_out() {
        let (_dir, root) = site();
        assert_eq!(read(&root, "/inner"), "text");
        for path in [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/%2e%2e%2fsecret.txt",
            "/sub/../../secret.txt",
            "/..\\secret.txt",
            "/%5c..%5csecret.txt",
            "/outer",
            "/up/secret.txt",
            "/up/site/a.txt/../../../secret.txt",
            "/beside/x.txt",
            "/a.txt%00",
            "/%00",
            "/%ff",
            "//etc/passwd",
            "/%2fetc/passwd",
            "/c:/x",
        ] {
            assert_eq!(read(&root, path), "-", "{path}");
        }
    }

    #[test]
    fn neighbours() {
        let (_dir, root) = site();
        for (accepts, expected) in [("", "js"), ("gzip", "gz"), ("gzip, br", "br"), ("br;q=0, gzip", "gz")] {
            let Located::At(found) = find(&root, "/app.js", Codings::parse(accepts)) else { panic!() };
            assert_eq!(std::fs::read_to_string(&found.path).unwrap(), expected, "{accepts}");
            assert_eq!(found.content_type, "text/javascript; charset=utf-8");
        }
        // What is older than the file itself is of another time.
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
        std::fs::File::options()
            .write(true)
            .open(root.join("app.js.br"))
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        let Located::At(found) = find(&root, "/app.js", Codings::parse("br")) else { panic!() };
        assert_eq!(found.coding, None);
    }

    #[test]
    fn paths_are_cleaned() {
        for (path, expected) in [
            ("/a/b", None),
            ("/", None),
            ("//evil.example/x", Some("/evil.example/x")),
            ("/a//b/", Some("/a/b/")),
            ("/a/./b", Some("/a/b")),
            ("/a/../../b", Some("/b")),
            ("/..", Some("/")),
            ("/...", None),
        ] {
            assert_eq!(cleaned(path).as_deref(), expected, "{path}");
        }
    }
}
