//! Streams of requests over one connection, whose bodies hold what would be requests if anybody took it for such. Their
//! ends are said in one clear way, and then once more in a way that is not clear. Whoever refuses is right, and whoever
//! passes them on keeps bodies bodies.

use testkit::front::Front;
use testkit::fuzz::{Random, seconds};
use testkit::wire::{Wire, exchange};

use crate::candidate::BINARY;

const HIDDEN: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// Lines that say where a body ends, to whoever believes them.
const DOUBTS: [&str; 26] = [
    "Content-Length: 0",
    "Content-Length : 0",
    "Content-Length: 00",
    "Content-Length:0,0",
    "Content-Length: 0\r\n ,1",
    " Content-Length: 0",
    "X: y\r\n\tContent-Length: 0",
    "Content_Length: 0",
    "content-length: 0 ",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding: \0chunked",
    "Transfer_Encoding: chunked",
    "TRANSFER-ENCODING: Chunked",
    "X: y\rTransfer-Encoding: chunked",
    "X: y\nContent-Length: 0",
    "Connection: content-length",
    "Connection: transfer-encoding, host, close",
    "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade, HTTP2-Settings",
    "Expect: 100-continue",
    "Trailer: Content-Length",
];

const SIZES: [&str; 9] =
    ["{}", "0{}", "000000{}", "{} ", "{};a=b", "{};a=\"\n\"", "0x{}", "+{}", "1000000000000000{}"];

const ENDS: [&str; 6] = [
    "0\r\n\r\n",
    "0\r\nContent-Length: 9\r\n\r\n",
    "0;a\r\nX: GET /smuggled HTTP/1.1\r\n\r\n",
    "00\r\n\r\n",
    "0\r\nX : y\r\n\r\n",
    "0 \r\n\r\n",
];

fn request(random: &mut Random, number: usize) -> Vec<u8> {
    let padding = "p".repeat(random.below(40));
    let hidden = format!("{}{HIDDEN}{padding}", ["", "\r\n", "0\r\n\r\n", "\r\n0\r\n\r\n"][random.below(4)]);
    let method = *random.pick(&["POST", "GET", "DELETE", "PATCH"]);
    let mut head = format!("{method} /wanted-{number} HTTP/1.1\r\n").into_bytes();
    let mut lines: Vec<Vec<u8>> = vec![b"Host: a".to_vec()];
    let body = match random.below(2) {
        0 => {
            lines.push(format!("Content-Length: {}", hidden.len()).into_bytes());
            hidden
        }
        _ => {
            lines.push(b"Transfer-Encoding: chunked".to_vec());
            let odd = if random.below(2) == 0 { 1 } else { SIZES.len() };
            let size = random.pick(&SIZES[..odd]).replace("{}", &format!("{:x}", hidden.len()));
            format!("{size}\r\n{hidden}\r\n{}", random.pick(&ENDS))
        }
    };
    for _ in 0..random.below(3) {
        let mut doubt = random.pick(&DOUBTS).as_bytes().to_vec();
        if random.below(3) == 0 {
            let at = random.below(doubt.len());
            doubt[at] = match random.number() as u8 {
                // That one would end the head, and then a body is none.
                b'\n' => b'\r',
                other => other,
            };
        }
        lines.insert(random.below(lines.len() + 1), doubt);
    }
    for line in lines {
        head.extend_from_slice(&line);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head.extend_from_slice(body.as_bytes());
    head
}

#[test]
fn what_hides_in_a_body_never_is_a_request() {
    let node = Wire::echo().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let fronts: Vec<Front> = ["balance", "edge"]
        .map(|role| Front::start(BINARY.as_ref(), dir.path(), role, &node.url(), &[]).unwrap())
        .into_iter()
        .collect();
    let mut random = Random(1);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(seconds(4));
    let (mut streams, mut passed) = (0, 0);
    while streams < 50 || std::time::Instant::now() < until {
        streams += 1;
        let mut stream: Vec<u8> =
            (0..1 + random.below(4)).flat_map(|number| request(&mut random, number)).collect();
        stream.extend_from_slice(super::AFTER.as_bytes());
        // The last one may take more for its body than there is: it is not waited for.
        stream.extend_from_slice("\r\n".repeat(200).as_bytes());
        node.clear();
        let front = random.pick(&fronts);
        let answers = exchange(front.port(), &stream);
        let requests = node.requests();
        passed += requests.len();
        for request in &requests {
            let known = request.line.contains(" /wanted-") || request.line.contains(" /after ");
            assert!(
                known,
                "{request:?}\nof {}\n{}",
                stream.escape_ascii(),
                String::from_utf8_lossy(&answers)
            );
        }
        for junk in node.junk() {
            let text = String::from_utf8_lossy(&junk);
            let line = text.lines().next().unwrap_or_default();
            assert!(line.contains(" /wanted-"), "{text}\nof {}", stream.escape_ascii());
        }
    }
    assert!(passed > streams / 4, "{passed} requests of {streams} streams passed: the streams are too odd");
}
