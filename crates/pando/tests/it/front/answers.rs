//! What a node answers in two ways never becomes the answer to somebody else's request.

use testkit::Request;
use testkit::front::Front;
use testkit::wire::Wire;

use crate::candidate::BINARY;

const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

#[test]
fn the_next_client_gets_its_own_answer() {
    let odd = [
        format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{EVIL}"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 60\r\n\r\nok{EVIL}"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 2, 60\r\n\r\nok{EVIL}"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok{EVIL}"),
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{EVIL}"
        ),
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n{EVIL}"
        ),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{EVIL}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{EVIL}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n{EVIL}"),
        format!("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello{EVIL}"),
        format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello{EVIL}"),
        format!("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{EVIL}"),
        format!("HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok{EVIL}"),
        format!("HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok{EVIL}"),
        format!("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{EVIL}"),
        format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n{EVIL}"),
        format!("junk\r\n\r\n{EVIL}"),
        format!("HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n{EVIL}"),
    ];
    let told = odd.clone();
    let node = Wire::start(move |request| {
        let number = request
            .line
            .strip_prefix("GET /odd/")
            .and_then(|rest| rest.split(' ').next()?.parse::<usize>().ok());
        match number {
            Some(number) => (told[number].clone().into_bytes(), true),
            None => (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine".to_vec(), true),
        }
    })
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    for role in ["balance", "edge"] {
        let variables = [("PANDO_FRONT_THREADS", "1")];
        let front = Front::start(BINARY.as_ref(), dir.path(), role, &node.url(), &variables).unwrap();
        for (number, odd) in odd.iter().enumerate() {
            // It may be passed on, or be an error; it is the next one that counts.
            let _ = front.client().send(&Request::get(&format!("/odd/{number}")));
            for again in 0..3 {
                let answer =
                    front.client().send(&Request::get(&format!("/next/{role}/{number}/{again}"))).unwrap();
                assert_eq!((answer.status, answer.text().as_str()), (200, "mine"), "{role} after {odd:?}");
            }
        }
    }
}
