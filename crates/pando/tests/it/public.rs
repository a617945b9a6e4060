//! Static files and compressed answers: what the reference leaves open, or does otherwise.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use testkit::pando::{self, Engine};
use testkit::{Answer, Client, Request, Server};

use crate::candidate::Candidate;

fn site(dir: &Path) {
    let big = "a line of text\n".repeat(500);
    for (path, text) in [
        ("index.html", "<h1>root</h1>"),
        ("a.txt", "0123456789"),
        ("big.txt", big.as_str()),
        ("app-8f3a2b1c.js", "js"),
        ("app-8f3a2b1c.js.br", "brotli"),
        ("app-8f3a2b1c.js.gz", "gzip"),
        ("sub/index.html", "<h1>sub</h1>"),
        (".env", "secret"),
        (".well-known/x", "known"),
    ] {
        let path = dir.join("pb_public").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::write(dir.join("outside.txt"), "outside").unwrap();
    #[cfg(unix)]
    for (target, link) in [("../outside.txt", "link.txt"), ("..", "up"), ("a.txt", "inner.txt")] {
        std::os::unix::fs::symlink(target, dir.join("pb_public").join(link)).unwrap();
    }
    #[cfg(unix)]
    std::process::Command::new("mkfifo").arg(dir.join("pb_public/pipe")).status().unwrap();
}

struct Ask<'a>(&'a Client);

impl Ask<'_> {
    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request =
            headers.iter().fold(Request::get(path), |request, (name, value)| request.header(name, value));
        self.0.send(&request).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

/// A server beside the site.
fn with_site(test: impl Fn(&Server, &Path)) {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    site(dir.path());
    let candidate = Candidate::new(Engine::Sqlite);
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    test(&server, &dir.path().join("pb_public"));
}

#[test]
fn static_files() {
    with_site(serves_files);
}

#[test]
fn compressed_answers() {
    with_site(compresses);
}

fn serves_files(server: &Server, site: &Path) {
    let client = server.client();
    let ask = Ask(&client);

    let (root, text) = ("<h1>root</h1>", "0123456789");
    for (path, status, body) in [
        ("/", 200, root),
        ("/a.txt", 200, text),
        ("/%61.txt", 200, text),
        ("/a.txt?x=1", 200, text),
        ("/inner.txt", 200, text),
        ("/sub/", 200, "<h1>sub</h1>"),
        ("/.well-known/x", 200, "known"),
        // An application's own paths.
        ("/missing", 200, root),
        ("/missing/deep.js", 200, root),
        // Never what lies elsewhere, or is hidden.
        ("/.env", 200, root),
        ("/link.txt", 200, root),
        ("/up/outside.txt", 200, root),
        ("/%2e%2e/outside.txt", 200, root),
        ("/..%2foutside.txt", 200, root),
        ("/sub/..%5c..%5coutside.txt", 200, root),
        ("/a.txt%00", 200, root),
        ("/%ff", 200, root),
        // What would never end.
        ("/pipe", 200, root),
    ] {
        let answer = ask.get(path, &[]);
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    for (path, status, location) in [
        ("/index.html", 301, "/"),
        ("/sub", 301, "/sub/"),
        ("/sub?a=b", 301, "/sub/?a=b"),
        ("/sub/index.html", 301, "/sub/"),
        ("/a.txt/", 301, "/a.txt"),
        ("//a.txt", 307, "/a.txt"),
        ("//evil.example/..", 307, "/"),
        ("/../outside.txt", 307, "/outside.txt"),
    ] {
        let answer = ask.get(path, &[]);
        assert_eq!((answer.status, answer.header("location")), (status, Some(location)), "{path}");
    }
    // The API has no pages.
    assert_eq!(ask.get("/api/missing", &[]).status, 404);
    assert_eq!(client.send(&Request::new("POST", "/a.txt")).unwrap().status, 404);

    for (path, name, value) in [
        ("/", "content-type", Some("text/html; charset=utf-8")),
        ("/", "cache-control", Some("no-cache")),
        ("/missing", "cache-control", Some("no-cache")),
        ("/a.txt", "content-type", Some("text/plain; charset=utf-8")),
        ("/a.txt", "cache-control", Some("no-cache")),
        ("/app-8f3a2b1c.js", "content-type", Some("text/javascript; charset=utf-8")),
        ("/app-8f3a2b1c.js", "cache-control", Some("public, max-age=31536000, immutable")),
        ("/app-8f3a2b1c.js", "content-encoding", None),
    ] {
        assert_eq!(ask.get(path, &[]).header(name), value, "{path}");
    }

    let first = ask.get("/a.txt", &[]);
    let (etag, modified) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    for (name, value, status) in [
        ("if-none-match", etag, 304),
        ("if-none-match", "\"x\"", 200),
        ("if-modified-since", modified, 304),
        ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ("if-match", "\"x\"", 412),
        ("range", "bytes=2-4", 206),
        ("range", "bytes=-2", 206),
        ("range", "bytes=99-", 416),
        ("range", "junk", 416),
    ] {
        assert_eq!(ask.get("/a.txt", &[(name, value)]).status, status, "{name}: {value}");
    }
    let part = ask.get("/a.txt", &[("range", "bytes=2-4")]);
    assert_eq!((part.text().as_str(), part.header("content-range")), ("234", Some("bytes 2-4/10")));
    let head = client.send(&Request::new("HEAD", "/a.txt")).unwrap();
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("10"), 0));

    // Neighbours that a build has compressed.
    for (accepts, body, coding) in
        [("gzip", "gzip", "gzip"), ("gzip, br", "brotli", "br"), ("br;q=0, gzip", "gzip", "gzip")]
    {
        let answer = ask.get("/app-8f3a2b1c.js", &[("accept-encoding", accepts)]);
        assert_eq!((answer.text().as_str(), answer.header("content-encoding")), (body, Some(coding)));
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
    }
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let stale = fs::File::options().write(true).open(site.join("app-8f3a2b1c.js.br")).unwrap();
    stale.set_modified(old).unwrap();
    let answer = ask.get("/app-8f3a2b1c.js", &[("accept-encoding", "br")]);
    assert_eq!((answer.text().as_str(), answer.header("content-encoding")), ("js", None));

    // What changes is another file.
    fs::write(site.join("a.txt"), "changed!").unwrap();
    let changed = ask.get("/a.txt", &[("if-none-match", etag)]);
    assert_eq!((changed.status, changed.text().as_str()), (200, "changed!"));
}

fn compresses(server: &Server, _: &Path) {
    let client = server.client();
    let token = server.superuser_token().unwrap();
    let long = |accepts: &str| {
        let request = Request::get("/api/collections").token(&token).header("accept-encoding", accepts);
        client.send(&request).unwrap()
    };
    let plain = long("identity");
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, None));
    for (accepts, coding) in [("gzip", "gzip"), ("br", "br"), ("gzip, deflate, br", "br")] {
        let packed = long(accepts);
        assert_eq!(packed.header("content-encoding"), Some(coding), "{accepts}");
        assert_eq!(packed.header("vary"), Some("Accept-Encoding"));
        assert!(packed.body.len() * 3 < plain.body.len(), "{accepts}: {} bytes", packed.body.len());
    }
    // Too short to gain anything.
    let ask = Ask(&client);
    assert_eq!(ask.get("/api/health", &[("accept-encoding", "gzip")]).header("content-encoding"), None);
    // A file: other bytes of the same content. A part of it: as it is.
    let whole = ask.get("/big.txt", &[("accept-encoding", "gzip")]);
    assert_eq!(whole.header("content-encoding"), Some("gzip"));
    let etag = whole.header("etag").unwrap();
    assert!(etag.starts_with("W/"), "{etag}");
    assert_eq!(ask.get("/big.txt", &[("accept-encoding", "gzip"), ("if-none-match", etag)]).status, 304);
    let part = ask.get("/big.txt", &[("accept-encoding", "gzip"), ("range", "bytes=0-1999")]);
    assert_eq!((part.status, part.header("content-encoding"), part.body.len()), (206, None, 2000));
}

/// Anonymous memory of a process, in bytes: what it has mapped of files does not count.
#[cfg(target_os = "linux")]
fn own_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
#[cfg(target_os = "linux")]
fn a_client_that_does_not_read_takes_little_memory() {
    use std::io::{Read, Write};
    const FILE_BYTES: u64 = 256 << 20;
    with_site(|server, public| {
        fs::File::create(public.join("huge.bin")).unwrap().set_len(FILE_BYTES).unwrap();
        let before = own_memory(server.pid());
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        stream.write_all(b"GET /huge.bin HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 4096]).unwrap();
        // Long enough for all of it to be read from the disk, if anything did.
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(20));
            let more = own_memory(server.pid()).saturating_sub(before);
            assert!(more < FILE_BYTES / 4, "{more} bytes more");
        }
    });
}
