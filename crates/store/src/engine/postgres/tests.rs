//! The contract, on a private server from Debian's packages.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base::SystemClock;
use base::topology::Node;

use crate::{Error, Options, Store, Target, open};

struct Server {
    child: Child,
    dir: tempfile::TempDir,
    port: u16,
}

impl Server {
    fn start() -> Server {
        let bin = "/usr/lib/postgresql/15/bin";
        let dir = tempfile::tempdir().unwrap();
        assert!(Command::new("chown").arg("postgres").arg(dir.path()).status().unwrap().success());
        let data = dir.path().join("data");
        let run = |program: &str| {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", &format!("{bin}/{program}")]);
            command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let mut init = run("initdb");
        init.args(["-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"]).arg(&data);
        assert!(init.status().unwrap().success());
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = run("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(dir.path()).args(["-p", &port.to_string()]);
        let child = server.args(["-c", "fsync=off"]).spawn().unwrap();
        Server { child, dir, port }
    }

    async fn store(&self) -> Store {
        for _ in 0..200 {
            match open(self.options()).await {
                Ok(store) => return store,
                Err(Error::Unavailable(_) | Error::Refused(_)) => {
                    tokio::time::sleep(Duration::from_millis(50)).await
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("no server: {:?}", open(self.options()).await.err());
    }

    fn options(&self) -> Options {
        Options {
            target: Target::Postgres { url: format!("postgres://postgres@127.0.0.1:{}/postgres", self.port) },
            node: Node::local(),
            clock: Arc::new(SystemClock),
            listener: Arc::new(|_| {}),
            exclusive: false,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server's own process id: the child is runuser.
        let pid = std::fs::read_to_string(self.dir.path().join("data/postmaster.pid")).unwrap_or_default();
        if let Some(pid) = pid.lines().next() {
            let _ = Command::new("kill").args(["-INT", pid]).status();
        }
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_contract() {
    let server = Server::start();
    let store = server.store().await;
    // Several processes may open at once.
    let (second, third) = tokio::join!(open(server.options()), open(server.options()));
    second.unwrap();
    third.unwrap();
    crate::contract::check(&store).await;
    store.close().await;
    assert!(matches!(store.ping().await, Err(Error::Unavailable(_))));
}
