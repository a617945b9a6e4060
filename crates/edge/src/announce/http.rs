//! Announcements over HTTP, to the control address of each front door.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use base::limits::FRONT_RESOLVE_MS;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};
use tokio::task::{AbortHandle, JoinSet};

use super::Announcement;
use super::sender::{Sender, Unheard, Way};
use crate::control::client::Client;
use crate::discovery::names::{Names, Resolver};

impl Way for Client {
    fn name(&self) -> String {
        self.address().to_owned()
    }

    fn send<'a>(&'a self, message: &'a Announcement) -> BoxFuture<'a, Result<(), Unheard>> {
        async move {
            let text = serde_json::to_vec(message).map_err(|error| Unheard::Away(error.to_string()))?;
            match self.call(Method::POST, "/announce", text).await {
                Ok((status, _)) if status.is_success() => Ok(()),
                Ok((StatusCode::UNAUTHORIZED, _)) => {
                    Err(Unheard::Refused("announce.secret here is not front.secret there (401)".into()))
                }
                Ok((status, why)) => {
                    Err(Unheard::Refused(format!("{status}: {}", String::from_utf8_lossy(&why))))
                }
                Err(error) => Err(Unheard::Away(error.to_string())),
            }
        }
        .boxed()
    }
}

/// Tells every front door that the names lead to, for as long as they lead there.
pub async fn tell_all(sender: Sender, names: Names, authorization: Option<HeaderValue>, address: String) {
    let mut resolver = Resolver::new(names);
    let mut doors: HashMap<SocketAddr, AbortHandle> = HashMap::new();
    let mut telling = JoinSet::new();
    loop {
        let found = resolver.look().await;
        doors.retain(|door, task| {
            let stays = found.contains(door);
            if !stays {
                task.abort();
            }
            stays
        });
        for door in found {
            doors.entry(door).or_insert_with(|| {
                let (sender, address) = (sender.clone(), address.clone());
                let way = Client::new(door.to_string(), authorization.clone());
                telling.spawn(async move { sender.tell(&way, &address).await })
            });
        }
        tokio::time::sleep(Duration::from_millis(FRONT_RESOLVE_MS)).await;
        while telling.try_join_next().is_some() {}
    }
}
