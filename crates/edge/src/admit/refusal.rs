//! Why a request goes no further, and how its client is told.

use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode, Version};

use crate::body::Body;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Where the body ends is not said in the one way that everybody understands.
    Framing,
    Target,
    LongTarget,
    /// No host, several, one that is none, or two that differ.
    Host,
    /// Not one of `front.hosts`.
    Misdirected,
    /// One that nothing behind a front door needs.
    Method,
    UnknownMethod,
    Expectation,
    LargeBody,
    SlowBody,
    /// The client's connection ended before the body did.
    BrokenBody,
    /// Through this front door, or too many others, already.
    Loop,
}

impl Refusal {
    pub const ALL: [Refusal; 12] = [
        Refusal::Framing,
        Refusal::Target,
        Refusal::LongTarget,
        Refusal::Host,
        Refusal::Misdirected,
        Refusal::Method,
        Refusal::UnknownMethod,
        Refusal::Expectation,
        Refusal::LargeBody,
        Refusal::SlowBody,
        Refusal::BrokenBody,
        Refusal::Loop,
    ];

    pub fn status(self) -> StatusCode {
        match self {
            Refusal::Framing | Refusal::Target | Refusal::Host | Refusal::BrokenBody => {
                StatusCode::BAD_REQUEST
            }
            Refusal::LongTarget => StatusCode::URI_TOO_LONG,
            Refusal::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::UnknownMethod => StatusCode::NOT_IMPLEMENTED,
            Refusal::Expectation => StatusCode::EXPECTATION_FAILED,
            Refusal::LargeBody => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Refusal::Loop => StatusCode::LOOP_DETECTED,
        }
    }

    /// As metrics name it.
    pub fn reason(self) -> &'static str {
        match self {
            Refusal::Framing => "framing",
            Refusal::Target => "target",
            Refusal::LongTarget => "long_target",
            Refusal::Host => "host",
            Refusal::Misdirected => "misdirected",
            Refusal::Method => "method",
            Refusal::UnknownMethod => "unknown_method",
            Refusal::Expectation => "expectation",
            Refusal::LargeBody => "large_body",
            Refusal::SlowBody => "slow_body",
            Refusal::BrokenBody => "broken_body",
            Refusal::Loop => "loop",
        }
    }

    fn message(self) -> &'static str {
        match self {
            Refusal::Framing => "The length of the body is not said clearly.",
            Refusal::Target => "The path is not acceptable.",
            Refusal::LongTarget => "The path is too long.",
            Refusal::Host => "The host is missing or not clear.",
            Refusal::Misdirected => "This host is not served here.",
            Refusal::Method => "The method is not allowed.",
            Refusal::UnknownMethod => "The method is not known.",
            Refusal::Expectation => "The expectation is not known.",
            Refusal::LargeBody => "The body is too large.",
            Refusal::SlowBody => "The body came too slowly.",
            Refusal::BrokenBody => "The body broke off.",
            Refusal::Loop => "The request goes in a circle.",
        }
    }

    /// What follows a refused request on its connection is not looked at: the connection ends.
    pub fn answer(self, version: Version) -> Response<Body> {
        let status = self.status();
        let message = self.message();
        let text = format!("{{\"data\":{{}},\"message\":\"{message}\",\"status\":{}}}", status.as_u16());
        let mut response = Response::new(Body::Full(text.into()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self == Refusal::Method {
            headers.insert(header::ALLOW, HeaderValue::from_static(super::METHODS));
        }
        if version < Version::HTTP_2 {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
