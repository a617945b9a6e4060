//! What one client sees is not kept for another by tricks with paths, and nothing that is no part of what an answer is
//! found by reaches a node that could put it into the answer.

use testkit::Request;
use testkit::front::Front;
use testkit::wire::Wire;

use crate::candidate::BINARY;

#[test]
fn no_extension_makes_an_answer_fit_to_be_kept() {
    // As an application does that ignores what follows a path it knows, and says nothing of caching.
    let node = Wire::start(|request| {
        let who = request.header("authorization").or(request.header("cookie")).unwrap_or("nobody");
        let caching = match request.line.contains("/private/") {
            true => "Cache-Control: private\r\n",
            false => "",
        };
        (
            format!(
                "HTTP/1.1 200 OK\r\n{caching}Content-Type: text/css\r\nContent-Length: {}\r\n\r\n{who}",
                who.len()
            )
            .into_bytes(),
            true,
        )
    })
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let front = Front::start(BINARY.as_ref(), dir.path(), "edge", &node.url(), &[]).unwrap();
    for path in [
        "/api/profile/x.css",
        "/api/profile;.css",
        "/api/profile%3b.css",
        "/api/profile%2fx.css",
        "/api/profile/x.js?y.css",
        "/api/profile%23.css",
        "/api/profile%3f.css",
        "/api/profile%0a.css",
        "/api/private/x.png",
        "/assets/../api/profile",
        "/assets/%2e%2e/api/profile",
        "/assets/..%2fapi/profile",
        "/assets/..;/api/profile",
        "/assets\\..\\api/profile",
        "/api/profile%00.css",
    ] {
        for field in ["Authorization", "Cookie"] {
            let victim = Request::get(path).header(field, "victim");
            let _ = front.client().send(&victim).unwrap();
            for header in [None, Some("attacker")] {
                let request =
                    header.iter().fold(Request::get(path), |request, value| request.header(field, value));
                let seen = front.client().send(&request).unwrap();
                assert!(!seen.text().contains("victim"), "{path} {field}: {}", seen.text());
            }
        }
    }
}

#[test]
fn what_is_no_part_of_the_key_does_not_reach_the_answer() {
    // As an application does that builds links from whatever it is told.
    let node = Wire::start(|request| {
        let told: Vec<&str> = request.headers.iter().map(|(_, value)| value.as_str()).collect();
        let body = format!("{} {}", request.line, told.join(" "));
        let head =
            "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=600\r\nDate: Mon, 01 Jan 2035 00:00:00 GMT";
        (format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes(), true)
    })
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let variables = [("PANDO_FRONT_HOSTS", "127.0.0.1,other.example")];
    let front = Front::start(BINARY.as_ref(), dir.path(), "edge", &node.url(), &variables).unwrap();
    for (number, header) in [
        "X-Forwarded-Host",
        "X-Forwarded-Scheme",
        "X-Forwarded-Proto",
        "X-Forwarded-Prefix",
        "X-Forwarded-Port",
        "X-Forwarded-Server",
        "X-Forwarded-For",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "X-Host",
        "Forwarded",
        "X_Forwarded_Host",
        "X-Real-IP",
        "X-Request-Id",
        "Proxy",
    ]
    .iter()
    .enumerate()
    {
        let path = format!("/page/{number}");
        front.client().send(&Request::get(&path).header(header, "poison")).unwrap();
        let seen = front.client().send(&Request::get(&path)).unwrap();
        assert!(seen.status == 200 && !seen.text().contains("poison"), "{header}: {}", seen.text());
    }
    // Another host is another thing, or none.
    let raw = |host: &str| {
        front.client().send_raw(format!("GET /page/h HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
    };
    assert!(raw("other.example").unwrap().text().contains("other.example"));
    assert!(!raw("127.0.0.1").unwrap().text().contains("other.example"));
    assert_eq!(raw("evil.example").unwrap().status, 421);
}
