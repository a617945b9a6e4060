//! Where nodes are found: which address and which port each has.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::error::Error;
use crate::{Result, ports};

/// Addresses for nodes: those of the last run where they are free, so that what was noted of them stays right.
#[derive(Default)]
pub(super) struct Addresses {
    pub before: BTreeMap<String, u16>,
    pub chosen: BTreeMap<String, u16>,
    taken: Vec<u16>,
}

impl Addresses {
    /// Ports of the last run, by what they were for.
    pub fn known(before: BTreeMap<String, u16>) -> Addresses {
        Addresses { before, ..Addresses::default() }
    }

    /// `first` is the port of the first of its kind, and this is number `n`. Where each node has an address of its own,
    /// every port of it is free.
    pub fn find(
        &mut self,
        name: &str,
        own: Option<IpAddr>,
        (first, n): (u16, u32),
        usual: u16,
    ) -> Result<SocketAddr> {
        if let Some(ip) = own {
            return Ok(SocketAddr::new(ip, if first > 0 { first } else { usual }));
        }
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        if first > 0 {
            let port = u16::try_from(u32::from(first) + n - 1).unwrap_or(first);
            if self.taken.contains(&port) || !ports::is_free(ip, port) {
                return Err(Error::Refused(format!(
                    "port {port}, which {name} needs, is taken: end what listens there, or set another port (0 for any)"
                )));
            }
            self.taken.push(port);
            return Ok(SocketAddr::new(ip, port));
        }
        Ok(SocketAddr::new(ip, self.port(name)?))
    }

    /// The port that this had in the last run, if it is free.
    pub fn port(&mut self, name: &str) -> Result<u16> {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let known = self.before.get(name).copied();
        let port = match known.filter(|port| !self.taken.contains(port) && ports::is_free(ip, *port)) {
            Some(port) => port,
            None => self.free()?,
        };
        self.taken.push(port);
        self.chosen.insert(name.to_owned(), port);
        Ok(port)
    }

    fn free(&mut self) -> Result<u16> {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let port =
            ports::free(ip, &self.taken).ok_or_else(|| Error::Refused("there is no free port".into()))?;
        self.taken.push(port);
        Ok(port)
    }
}
