//! What the tests stand on: the reference server, Pando and PostgreSQL as processes on demand, a small HTTP
//! client, an SMTP server, the comparison of two answers, fault injection and a bounded fuzz loop. Development only: nothing
//! that ships depends on it, and it depends on nothing that ships, so that it judges from outside.

// Test support fails by panicking with a sentence: there is no caller to hand an error to.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod authenticator;
pub mod checker;
pub mod corpus;
pub mod daemon;
pub mod diff;
pub mod doors;
pub mod exposition;
pub mod fault;
pub mod fixtures;
pub mod front;
pub mod fuzz;
pub mod h2;
pub mod http;
pub mod http_cache;
pub mod judge;
pub mod link;
pub mod nats;
pub mod openid;
pub mod oracle;
pub mod pando;
pub mod pebble;
pub mod postgres;
pub mod redis;
pub mod seaweed;
pub mod server;
pub mod sink;
pub mod smtp;
pub mod sse;
pub mod tidy;
pub mod tls;
pub mod tools;
pub mod topology;
pub mod wire;

pub use http::{Answer, Client, Request};
pub use server::{Program, Server};
