//! The newest lines in memory, to be found by the request that they are about. Bounded by bytes: the oldest go.

use std::collections::VecDeque;

use base::limits::{FRONT_LOG_FOUND_MAX, FRONT_LOG_KEPT_BYTES_MAX};

use super::Record;
use super::line;

/// Of a line, beside its texts.
const LINE_BYTES: usize = 64;

#[derive(Default)]
pub struct Kept {
    lines: VecDeque<Line>,
    bytes: usize,
}

struct Line {
    request: Box<str>,
    text: Box<str>,
}

impl Line {
    fn bytes(&self) -> usize {
        self.request.len() + self.text.len() + LINE_BYTES
    }
}

impl Kept {
    /// Lines without a request's id cannot be asked for.
    pub fn add(&mut self, record: &Record) {
        let Some(request) = record.id.as_ref().and_then(|id| id.to_str().ok()) else { return };
        let line = Line { request: request.into(), text: line::object(record).into() };
        self.bytes += line.bytes();
        self.lines.push_back(line);
        while self.bytes > FRONT_LOG_KEPT_BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.bytes();
        }
    }

    pub fn find(&self, request: &str) -> Vec<Box<str>> {
        let found = self.lines.iter().filter(|line| *line.request == *request);
        found.take(FRONT_LOG_FOUND_MAX).map(|line| line.text.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use hyper::Request;
    use hyper::header::HeaderValue;

    use super::*;
    use crate::body::Body;

    #[test]
    fn the_newest_stay_and_are_found() {
        let mut kept = Kept::default();
        for n in 0..100_000 {
            let request =
                Request::builder().uri("/a").header("user-agent", "x".repeat(200)).body(Body::Empty).unwrap();
            let mut record = Record::of(&request, Instant::now());
            record.id = Some(HeaderValue::from_str(&format!("r{n}")).unwrap());
            kept.add(&record);
        }
        assert!(kept.bytes <= FRONT_LOG_KEPT_BYTES_MAX && kept.lines.len() > 1_000, "{}", kept.lines.len());
        assert!(kept.find("r0").is_empty());
        let found = kept.find("r99999");
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("\"request_id\":\"r99999\"") && found[0].ends_with('}'), "{}", found[0]);
    }
}
