//! What a client asks reaches a node, and what the node answers reaches the client.

use testkit::Request;
use testkit::front::Front;
use testkit::sink::{Reply, Sink};

use crate::candidate::BINARY;

#[test]
fn a_request_and_its_answer_pass() {
    let node = Sink::answering(0, |request| Reply {
        status: 201,
        headers: "X-Said: yes\r\n".into(),
        body: format!("{} {}", request.line, request.body).into(),
        ..Reply::default()
    })
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    for role in ["balance", "edge"] {
        let front = Front::start(BINARY.as_ref(), dir.path(), role, &node.url(""), &[]).unwrap();
        let asked =
            Request::new("POST", "/a/b?c=d").body("text/plain", "hello").header("X-Forwarded-For", "1.2.3.4");
        let answer = front.client().send(&asked).unwrap();
        assert_eq!(answer.status, 201);
        assert_eq!(answer.header("x-said"), Some("yes"));
        assert!(
            answer.text().contains("POST /a/b?c=d") && answer.text().ends_with("hello"),
            "{}",
            answer.text()
        );
    }
    let seen = node.received();
    assert!(seen.iter().all(|request| !request.headers.contains("1.2.3.4")), "{seen:?}");
}
