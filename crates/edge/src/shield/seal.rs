//! The proof that a question comes from an edge that knows the secret of the front doors.
//!
//! Whoever can read the connection could send the same question again, and would be told the same as any edge: nothing in it
//! gives power over what is kept. What a question tells stands in the proof, so that nobody else's words get in.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Uri};
use ring::hmac;

use super::{PANDO_EDGE, PANDO_HEARD};
use crate::announce::heard::Positions;
use crate::forwarded::{X_FORWARDED_FOR, X_FORWARDED_PROTO};

/// What the proof is about, so that it is good for nothing else.
const ABOUT: &str = "pando: an edge asks a shield";

#[derive(Clone)]
pub struct Seal(hmac::Key);

/// What is proved: all that decides what the answer may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    pub method: &'a Method,
    pub target: &'a str,
    pub host: &'a str,
    /// `http` or `https`, as the client asked.
    pub scheme: &'a str,
    /// The client's address.
    pub client: &'a str,
    pub heard: &'a str,
}

impl Seal {
    pub fn new(secret: &str) -> Self {
        Seal(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
    }

    pub fn proof(&self, question: &Question<'_>) -> HeaderValue {
        let proof = URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, question.text().as_bytes()));
        // These letters can stand in any header.
        HeaderValue::from_str(&proof).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// What the asker has heard, if it is an edge.
    pub fn verified(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Positions> {
        let proof = URL_SAFE_NO_PAD.decode(one(headers, &PANDO_EDGE)?).ok()?;
        let question = Question::of(method, uri, headers)?;
        hmac::verify(&self.0, question.text().as_bytes(), &proof).ok()?;
        Positions::read(question.heard)
    }
}

impl<'a> Question<'a> {
    /// As a request has it. None when something is missing, or said twice.
    pub fn of(method: &'a Method, uri: &'a Uri, headers: &'a HeaderMap) -> Option<Question<'a>> {
        Some(Question {
            method,
            target: uri.path_and_query().map_or("/", |target| target.as_str()),
            host: one(headers, &header::HOST)?,
            scheme: one(headers, &X_FORWARDED_PROTO)?,
            client: one(headers, &X_FORWARDED_FOR)?,
            heard: one(headers, &PANDO_HEARD)?,
        })
    }

    /// None of the parts can hold the end of a line.
    fn text(&self) -> String {
        let Question { method, target, host, scheme, client, heard } = self;
        format!("{ABOUT}\n{method}\n{target}\n{host}\n{scheme}\n{client}\n{heard}\n")
    }
}

fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    value.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(more: &[(HeaderName, &str)]) -> HeaderMap {
        let own = [
            (header::HOST, "h:1"),
            (X_FORWARDED_PROTO, "https"),
            (X_FORWARDED_FOR, "1.2.3.4"),
            (PANDO_HEARD, "a=1,b=2"),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in own.iter().chain(more) {
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_proof_is_good_for_one_question() {
        let (seal, uri) = (Seal::new("secret"), "/a?b".parse::<Uri>().unwrap());
        let mut asked = headers(&[]);
        let proof = seal.proof(&Question::of(&Method::GET, &uri, &asked).unwrap());
        asked.insert(PANDO_EDGE, proof.clone());
        let heard = seal.verified(&Method::GET, &uri, &asked);
        assert_eq!(heard, Positions::read("a=1,b=2"));
        assert!(heard.is_some());
        assert_eq!(Seal::new("another").verified(&Method::GET, &uri, &asked), None);
        assert_eq!(seal.verified(&Method::HEAD, &uri, &asked), None);
        assert_eq!(seal.verified(&Method::GET, &"/a?c".parse().unwrap(), &asked), None);
        for other in [
            (header::HOST, "h:2"),
            (X_FORWARDED_PROTO, "http"),
            (X_FORWARDED_FOR, "1.2.3.5"),
            (PANDO_HEARD, "a=1,b=3"),
            (PANDO_HEARD, ""),
            (PANDO_EDGE, ""),
            (PANDO_EDGE, "AAAA"),
            (PANDO_EDGE, "no letters of base64 !"),
        ] {
            let mut changed = asked.clone();
            changed.insert(other.0.clone(), other.1.parse().unwrap());
            assert_eq!(seal.verified(&Method::GET, &uri, &changed), None, "{other:?}");
            // Said twice, it is nobody's.
            let mut twice = asked.clone();
            twice.append(other.0.clone(), other.1.parse().unwrap());
            assert_eq!(seal.verified(&Method::GET, &uri, &twice), None, "{other:?}");
        }
        asked.remove(X_FORWARDED_FOR);
        assert_eq!(seal.verified(&Method::GET, &uri, &asked), None);
    }
}
