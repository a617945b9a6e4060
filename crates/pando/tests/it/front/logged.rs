//! The access log: a line for each request, whatever happens to its file.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::Request;
use testkit::front::Front;
use testkit::wire::Wire;

use crate::candidate::BINARY;

const WAIT: Duration = Duration::from_secs(30);

/// The lines of a file once there are so many.
fn lines(path: &Path, count: usize) -> Vec<String> {
    let until = Instant::now() + WAIT;
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.len() >= count && text.ends_with('\n') {
            return lines;
        }
        assert!(Instant::now() < until, "{count} lines are not in {}: {text}", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn a_line_says_who_asked_for_what_and_what_became_of_it() {
    let (node, dir) = (Wire::echo().unwrap(), tempfile::tempdir().unwrap());
    let path = dir.path().join("access.log");
    let name = path.to_str().unwrap();
    for role in ["balance", "edge"] {
        let _ = std::fs::remove_file(&path);
        let front =
            Front::start(BINARY.as_ref(), dir.path(), role, &node.url(), &[("PANDO_FRONT_ACCESS_LOG", name)])
                .unwrap();
        let client = front.client();
        let asked = Request::new("POST", "/a\"?b=c")
            .header("User-Agent", "x\"y\\z")
            .header("Referer", "http://r/")
            .body("text/plain", "hello");
        let answer = client.send(&asked).unwrap();
        client.send(&Request::new("HEAD", "/head")).unwrap();
        client.send(&Request::get("/../x")).unwrap();
        let lines = lines(&path, 3);
        let line = json(&lines[0]);
        for (key, expected) in [
            ("client", "127.0.0.1"),
            ("method", "POST"),
            ("scheme", "http"),
            ("host", "127.0.0.1"),
            ("target", "/a\"?b=c"),
            ("protocol", "HTTP/1.1"),
            ("user_agent", "x\"y\\z"),
            ("referer", "http://r/"),
            ("request_id", answer.header("x-request-id").unwrap()),
        ] {
            assert_eq!(line[key], expected, "{key} of {line}");
        }
        assert_eq!(
            (&line["status"], &line["bytes"], &line["complete"], &line["attempts"]),
            (&200.into(), &answer.body.len().into(), &true.into(), &1.into()),
            "{line}"
        );
        assert!(line["duration_ms"].as_f64().is_some() && line["node"].is_string(), "{line}");
        assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z') && time.contains('T')));
        let head = json(&lines[1]);
        assert_eq!(
            (&head["method"], &head["bytes"], &head["complete"]),
            (&"HEAD".into(), &0.into(), &true.into())
        );
        let refused = json(&lines[2]);
        assert_eq!((&refused["status"], &refused["attempts"]), (&400.into(), &0.into()), "{refused}");
    }
}

#[test]
fn it_can_be_read_by_what_reads_logs() {
    let (node, dir) = (Wire::echo().unwrap(), tempfile::tempdir().unwrap());
    let path = dir.path().join("access.log");
    let variables =
        [("PANDO_FRONT_ACCESS_LOG", path.to_str().unwrap()), ("PANDO_FRONT_ACCESS_LOG_FORMAT", "combined")];
    let front = Front::start(BINARY.as_ref(), dir.path(), "balance", &node.url(), &variables).unwrap();
    front.client().send(&Request::get("/a\"b").header("User-Agent", "x\" 200 0 \"-\" \"y")).unwrap();
    let line = lines(&path, 1).remove(0);
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    assert!(line.contains("] \"GET /a\\x22b HTTP/1.1\" 200 "), "{line}");
    assert!(line.ends_with(" \"-\" \"x\\x22 200 0 \\x22-\\x22 \\x22y\""), "{line}");
    // On standard output, among whatever else is said there.
    let variables = [("PANDO_FRONT_ACCESS_LOG", "-")];
    let front = Front::start(BINARY.as_ref(), dir.path(), "balance", &node.url(), &variables).unwrap();
    front.client().send(&Request::get("/printed")).unwrap();
    let until = Instant::now() + WAIT;
    while !front.daemon.said().contains("\"target\":\"/printed\"") {
        assert!(Instant::now() < until, "{}", front.daemon.said());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_renamed_or_removed_file_is_opened_anew() {
    let (node, dir) = (Wire::echo().unwrap(), tempfile::tempdir().unwrap());
    let path = dir.path().join("access.log");
    let old = dir.path().join("access.log.1");
    let variables = [("PANDO_FRONT_ACCESS_LOG", path.to_str().unwrap())];
    let front = Front::start(BINARY.as_ref(), dir.path(), "balance", &node.url(), &variables).unwrap();
    let client = front.client();
    let ask = |target: &str| assert_eq!(client.send(&Request::get(target)).unwrap().status, 200);
    ask("/first");
    lines(&path, 1);
    std::fs::rename(&path, &old).unwrap();
    let until = Instant::now() + WAIT;
    while !path.exists() {
        assert!(Instant::now() < until, "it still writes to the renamed file");
        std::thread::sleep(Duration::from_millis(20));
    }
    ask("/second");
    assert!(lines(&path, 1)[0].contains("/second"));
    assert_eq!(lines(&old, 1).len(), 1);
    std::fs::remove_file(&path).unwrap();
    while !path.exists() {
        assert!(Instant::now() < until, "it still writes to the removed file");
        std::thread::sleep(Duration::from_millis(20));
    }
    ask("/third");
    assert!(lines(&path, 1)[0].contains("/third"));
    // A signal is no reason to end, and nothing is lost.
    assert!(testkit::fault::hang_up(front.daemon.pid()));
    ask("/fourth");
    assert_eq!(lines(&path, 2).len(), 2);
}

#[test]
fn a_full_disk_costs_lines_and_no_requests() {
    let (node, dir) = (Wire::echo().unwrap(), tempfile::tempdir().unwrap());
    let path = dir.path().join("access.log");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let variables = [("PANDO_FRONT_ACCESS_LOG", path.to_str().unwrap())];
    let front = Front::start(BINARY.as_ref(), dir.path(), "balance", &node.url(), &variables).unwrap();
    let client = front.client();
    let until = Instant::now() + WAIT;
    while !front.daemon.said().contains("lines are lost") {
        assert_eq!(client.send(&Request::get("/lost")).unwrap().status, 200);
        assert!(Instant::now() < until, "{}", front.daemon.said());
    }
    for _ in 0..200 {
        assert_eq!(client.send(&Request::get("/lost")).unwrap().status, 200);
    }
    std::fs::remove_file(&path).unwrap();
    while !front.daemon.said().contains("written again") {
        assert_eq!(client.send(&Request::get("/kept")).unwrap().status, 200);
        assert!(Instant::now() < until, "{}", front.daemon.said());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(lines(&path, 1)[0].contains("/kept"));
    assert_eq!(front.daemon.said().matches("lines are lost").count(), 1);
}
