//! What the authority asks for to see that a domain leads here.

use std::io;
use std::path::{Path, PathBuf};

use base::limits;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response};

use crate::body::Body;

const PATH: &str = "/.well-known/acme-challenge/";

/// The tokens that are good at the moment: a file for each, so that every process that shares the directory can answer.
#[derive(Clone)]
pub struct Challenges {
    dir: PathBuf,
}

impl Challenges {
    pub fn in_dir(dir: &Path) -> Challenges {
        Challenges { dir: dir.join("challenges") }
    }

    /// The answer for the authority; none for whatever else is asked. A token that is not known here may be that of a node's
    /// own authority, so it is passed on.
    pub async fn answer<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let token = request.uri().path().strip_prefix(PATH)?;
        if !is_token(token) {
            return None;
        }
        let text = tokio::fs::read_to_string(self.dir.join(token)).await.ok()?;
        let mut response = Response::new(Body::Full(text.into()));
        let kind = HeaderValue::from_static("application/octet-stream");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        Some(response)
    }

    pub fn add(&self, token: &str, answer: &str) -> io::Result<()> {
        if !is_token(token) {
            return Err(io::Error::other("the authority's token is none"));
        }
        super::directory(&self.dir)?;
        super::write(&self.dir.join(token), answer.as_bytes())
    }

    /// Forgets all: of an order that is over, and of those that were cut off.
    pub fn clear(&self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Whether a request asks for a token, which must not be sent elsewhere.
pub fn is_challenge(path: &str) -> bool {
    path.starts_with(PATH)
}

/// RFC 8555, section 8.3: base64url. So it names no other directory.
fn is_token(text: &str) -> bool {
    let is_plain = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'-' || letter == b'_';
    !text.is_empty() && text.len() <= limits::FRONT_ACME_TOKEN_BYTES_MAX && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tokens_lead_to_no_other_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), "no").unwrap();
        let challenges = Challenges::in_dir(dir.path());
        challenges.add("good-Token_1", "yes").unwrap();
        for (token, found) in [
            ("good-Token_1", true),
            ("", false),
            ("..%2fsecret", false),
            ("../secret", false),
            ("other", false),
            ("good-Token_1/", false),
        ] {
            let request = Request::get(format!("{PATH}{token}")).body(()).unwrap();
            assert_eq!(challenges.answer(&request).await.is_some(), found, "{token}");
        }
        assert!(challenges.add("../x", "").is_err());
    }
}
