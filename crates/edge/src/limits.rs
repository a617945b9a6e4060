//! What one client may have at once, and how often it may ask. A client is an address; of IPv6, the network that one
//! customer is given (/64).
//!
//! What is remembered of clients is bounded: when there are too many, one that has nothing open and was not heard of for
//! longest, of a few that are looked at, is forgotten.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::limits::{
    FRONT_CLIENT_CONNECTIONS_MAX, FRONT_CLIENT_SAMPLE, FRONT_CLIENT_SHARDS, FRONT_CLIENTS_MAX,
};
use parking_lot::Mutex;

use crate::forwarded::Networks;

/// 0 is for no limit.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    pub connections: u32,
    /// That are answered at the same time.
    pub requests: u32,
    /// Requests a second.
    pub rate: u32,
    /// Requests at once after a rest; 0 for those of two seconds.
    pub burst: u32,
}

impl Default for Most {
    fn default() -> Self {
        Most { connections: FRONT_CLIENT_CONNECTIONS_MAX, requests: 0, rate: 0, burst: 0 }
    }
}

#[derive(Clone)]
pub struct Clients(Arc<Inner>);

struct Inner {
    most: Most,
    exempt: Networks,
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<u128, Client, RandomState>>>,
    shard_max: usize,
}

/// What is known of one.
struct Client {
    connections: u32,
    requests: u32,
    /// Thousandths of requests that it may still make.
    tokens: u64,
    heard: Instant,
}

/// Which of a client's counts.
#[derive(Clone, Copy)]
enum Count {
    Connections,
    Requests,
}

impl Clients {
    pub fn new(most: Most, exempt: Networks) -> Self {
        Clients::with(most, exempt, FRONT_CLIENTS_MAX / FRONT_CLIENT_SHARDS)
    }

    fn with(most: Most, exempt: Networks, shard_max: usize) -> Self {
        let hasher = RandomState::new();
        let shard = || Mutex::new(HashMap::with_hasher(hasher.clone()));
        let shards = std::iter::repeat_with(shard).take(FRONT_CLIENT_SHARDS).collect();
        Clients(Arc::new(Inner { most, exempt, hasher, shards, shard_max }))
    }

    /// A connection, until what is returned is dropped. None when it is one too many.
    pub fn connect(&self, peer: IpAddr) -> Option<Held> {
        let most = self.0.most.connections;
        let peer = peer.to_canonical();
        if most == 0 || self.0.exempt.contain(peer) {
            return Some(Held(None));
        }
        let key = key(peer);
        let held = self.0.of(key, |client| {
            client.connections += 1;
            let fits = client.connections <= most;
            client.connections -= u32::from(!fits);
            fits
        });
        self.held(held, key, Count::Connections)
    }

    /// A request, until what is returned is dropped. Otherwise the time after which to ask again.
    pub fn ask(&self, client: IpAddr) -> Result<Held, Duration> {
        let most = self.0.most;
        if (most.requests == 0 && most.rate == 0) || self.0.exempt.contain(client) {
            return Ok(Held(None));
        }
        let key = key(client);
        let now = Instant::now();
        let asked = self.0.of(key, |client| {
            if most.requests > 0 && client.requests >= most.requests {
                return Err(Duration::from_secs(1));
            }
            client.pay(most, now)?;
            client.requests += 1;
            Ok(())
        });
        match asked {
            None => Ok(Held(None)),
            Some(Ok(())) => Ok(Held(Some((self.0.clone(), key, Count::Requests)))),
            Some(Err(wait)) => Err(wait),
        }
    }

    fn held(&self, fits: Option<bool>, key: u128, count: Count) -> Option<Held> {
        match fits {
            // Nothing can be remembered: others have all places, and are limited by that themselves.
            None => Some(Held(None)),
            Some(true) => Some(Held(Some((self.0.clone(), key, count)))),
            Some(false) => None,
        }
    }
}

impl Inner {
    fn shard(&self, key: u128) -> Option<&Mutex<HashMap<u128, Client, RandomState>>> {
        let hash = self.hasher.hash_one(key) as usize;
        // The low bits place it in its map.
        self.shards.get((hash >> 32) % self.shards.len())
    }

    /// None when there is no place for another one.
    fn of<T>(&self, key: u128, work: impl FnOnce(&mut Client) -> T) -> Option<T> {
        let mut clients = self.shard(key)?.lock();
        if clients.len() >= self.shard_max && !clients.contains_key(&key) {
            let idle = clients.iter().filter(|(_, client)| client.connections == 0 && client.requests == 0);
            let oldest = idle.take(FRONT_CLIENT_SAMPLE).min_by_key(|(_, client)| client.heard);
            let oldest = *oldest?.0;
            clients.remove(&oldest);
        }
        let new =
            || Client { connections: 0, requests: 0, tokens: self.most.tokens_max(), heard: Instant::now() };
        Some(work(clients.entry(key).or_insert_with(new)))
    }
}

impl Most {
    fn tokens_max(&self) -> u64 {
        let burst = if self.burst == 0 { self.rate.saturating_mul(2) } else { self.burst };
        u64::from(burst) * 1_000
    }
}

impl Client {
    /// Takes a token, of those that came since it was last heard of.
    fn pay(&mut self, most: Most, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.heard);
        if most.rate == 0 {
            self.heard = now;
            return Ok(());
        }
        let rate = u128::from(most.rate);
        // A token is a thousand: as many thousandths come in a millisecond as requests may come in a second.
        let came = passed.as_micros() * rate / 1_000;
        if came > 0 {
            self.tokens =
                u64::try_from(came).unwrap_or(u64::MAX).saturating_add(self.tokens).min(most.tokens_max());
            self.heard = now;
        }
        match self.tokens.checked_sub(1_000) {
            Some(left) => {
                self.tokens = left;
                Ok(())
            }
            None => Err(Duration::from_millis((1_000 - self.tokens).div_ceil(u64::from(most.rate)))),
        }
    }
}

/// A place that a client has taken.
pub struct Held(Option<(Arc<Inner>, u128, Count)>);

impl Held {
    /// No place.
    pub fn none() -> Self {
        Held(None)
    }

    /// Whether anybody is to be told of its end.
    pub fn is_counted(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some((inner, key, count)) = &self.0 else { return };
        let Some(shard) = inner.shard(*key) else { return };
        let mut clients = shard.lock();
        let Some(client) = clients.get_mut(key) else { return };
        let count = match count {
            Count::Connections => &mut client.connections,
            Count::Requests => &mut client.requests,
        };
        *count = count.saturating_sub(1);
        // Without a rate, there is nothing to remember of who is gone.
        if inner.most.rate == 0 && client.connections == 0 && client.requests == 0 {
            clients.remove(key);
        }
    }
}

fn key(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(most: Most, shard_max: usize) -> Clients {
        Clients::with(most, Networks::read("x", &["10.0.0.0/8".into()]).unwrap(), shard_max)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn connections_and_requests_end() {
        let most = Most { connections: 2, requests: 1, rate: 0, burst: 0 };
        let clients = clients(most, 100);
        let one = address("1.1.1.1");
        let held = (clients.connect(one).unwrap(), clients.connect(address("::ffff:1.1.1.1")).unwrap());
        assert!(clients.connect(one).is_none());
        assert!(clients.connect(address("1.1.1.2")).is_some());
        let asked = clients.ask(one).unwrap_or_else(|_| panic!());
        assert!(clients.ask(one).is_err());
        drop((held, asked));
        assert!(clients.connect(one).is_some() && clients.ask(one).is_ok());
        assert_eq!(
            clients.0.shards.iter().map(|shard| shard.lock().len()).sum::<usize>(),
            0,
            "nothing is left"
        );
        let exempt = address("10.1.1.1");
        let many: Vec<_> =
            (0..9).map(|_| (clients.connect(exempt).unwrap(), clients.ask(exempt).is_ok())).collect();
        assert!(many.iter().all(|(_, asked)| *asked));
    }

    #[test]
    fn a_network_of_one_customer_is_one_client() {
        assert_eq!(key(address("2001:db8::1")), key(address("2001:db8::ffff:1")));
        assert_ne!(key(address("2001:db8::1")), key(address("2001:db8:0:1::1")));
        assert_ne!(key(address("1.1.1.1")), key(address("1.1.1.2")));
        assert_ne!(key(address("::")), key(address("0.0.0.0")));
    }

    #[test]
    fn tokens_come_with_time() {
        let most = Most { connections: 0, requests: 0, rate: 10, burst: 3 };
        let began = Instant::now();
        let mut client = Client { connections: 0, requests: 0, tokens: most.tokens_max(), heard: began };
        let mut at = |millis: u64| client.pay(most, began + Duration::from_millis(millis));
        for _ in 0..3 {
            assert_eq!(at(0), Ok(()));
        }
        assert_eq!(at(0), Err(Duration::from_millis(100)));
        assert_eq!(at(40), Err(Duration::from_millis(60)));
        assert_eq!(at(100), Ok(()));
        assert_eq!(at(100), Err(Duration::from_millis(100)));
        // A long rest is worth the burst.
        for _ in 0..3 {
            assert_eq!(at(1_000_000), Ok(()));
        }
        assert!(at(1_000_000).is_err());
    }

    #[test]
    fn memory_is_bounded_and_who_is_here_is_not_forgotten() {
        let clients = clients(Most { connections: 1, requests: 0, rate: 1, burst: 1 }, 4);
        let here = address("1.1.1.1");
        let held = clients.connect(here).unwrap();
        for number in 0..20_000u32 {
            let _ = clients.ask(IpAddr::V4(number.into()));
        }
        let most = clients.0.shards.iter().map(|shard| shard.lock().len()).max();
        assert!(most.unwrap() <= 4, "{most:?}");
        assert!(clients.connect(here).is_none());
        drop(held);
        // Where all have something open, one more is let in and not remembered.
        let all: Vec<_> = (0..20_000u32).map(|number| clients.connect(IpAddr::V4(number.into()))).collect();
        assert!(all.iter().all(Option::is_some));
        assert!(all.iter().flatten().any(|held| !held.is_counted()));
    }
}
