//! Nothing is lost: a mixed load is judged while processes die, and the judge itself is judged by planted faults.

mod kills;
mod matrix;
mod planted;
mod unheard;

use std::net::SocketAddr;
use std::time::Duration;

use testkit::Server;
use testkit::checker::judge::{Verdict, judge};
use testkit::checker::load::{Load, Running};

/// How long so many requests may take on a busy machine.
const WAIT: Duration = Duration::from_secs(120);

/// Where webhooks are received is no public address.
const ALLOW_PRIVATE: [&str; 2] = ["PANDO_OUTBOUND_ALLOW_PRIVATE", "true"];

fn address(server: &Server) -> SocketAddr {
    ([127, 0, 0, 1], server.port()).into()
}

/// A load on these addresses, prepared by the server's superuser.
fn load(nodes: Vec<SocketAddr>, server: &Server) -> Running {
    Load::on(nodes).start(&server.superuser_token().unwrap()).unwrap()
}

/// The same with subscribers on each of the addresses, and with somebody who looks after the mails.
fn observed(nodes: Vec<SocketAddr>, server: &Server) -> Running {
    let outbox = Some(server.dir().join("outbox"));
    let load = Load { subscribers: 2, outbox, hooks: true, queue: true, ..Load::on(nodes) };
    load.start(&server.superuser_token().unwrap()).unwrap()
}

/// Ends the load, reads everything once more, and judges it.
fn verdict(running: Running) -> Verdict {
    let history = running.stop().settle().unwrap();
    let verdict = judge(&history);
    println!("{verdict}");
    verdict
}
