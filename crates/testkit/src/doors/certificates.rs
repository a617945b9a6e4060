//! The certificates of the front doors in a run: files that all of them look at, and what comes to lie there.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use cluster::Node;
use tempfile::TempDir;

use crate::tls::{Issued, Tls};

/// Whom clients ask for.
pub const NAME: &str = "front.example";
const FILE: &str = "front";
/// One is shown at the start; an event brings two more.
const ISSUED: usize = 9;
const TAKE_MAX: Duration = Duration::from_secs(60);
/// What a front door says of a key that belongs to another certificate.
const MISMATCH: &str = "is not the key of";

pub struct Certificates {
    dir: TempDir,
    issued: Vec<Issued>,
    shown: Cell<usize>,
}

impl Certificates {
    pub fn new() -> Result<Certificates> {
        let issued = (0..ISSUED).map(|_| Issued::for_names(&[NAME])).collect::<Result<Vec<Issued>>>()?;
        let certificates = Certificates { dir: crate::topology::directory()?, issued, shown: Cell::new(0) };
        certificates.write()?;
        Ok(certificates)
    }

    /// As a front door's configuration names them.
    pub fn pair(&self) -> String {
        let path = |kind: &str| self.dir.path().join(format!("{FILE}.{kind}")).display().to_string();
        format!("{}:{}", path("pem"), path("key"))
    }

    fn write(&self) -> Result<()> {
        self.current().write(self.dir.path(), FILE).map(drop)
    }

    fn current(&self) -> &Issued {
        &self.issued[self.shown.get() % self.issued.len()]
    }

    /// A client for each front door, who trusts all that will ever be shown.
    pub fn clients(&self, doors: &[Arc<Node>]) -> Vec<Tls> {
        let trusted: Vec<&Issued> = self.issued.iter().collect();
        doors.iter().filter_map(|door| Some(Tls::to(door.https()?, &trusted))).collect()
    }

    /// Puts another certificate in place, and waits until all front doors show it.
    pub fn renew(&self, doors: &[Arc<Node>]) -> Result<()> {
        self.shown.set(self.shown.get() + 1);
        self.write()?;
        self.until_shown(doors)
    }

    /// Puts a key there that belongs to another certificate, and waits until all front doors say so and show what they had.
    pub fn spoil(&self, doors: &[Arc<Node>]) -> Result<()> {
        let said = || doors.iter().map(count).collect::<Vec<usize>>();
        let before = said();
        let other = &self.issued[(self.shown.get() + 1) % self.issued.len()];
        std::fs::write(self.dir.path().join(format!("{FILE}.key")), &other.key)?;
        let until = Instant::now() + TAKE_MAX;
        while said().iter().zip(&before).any(|(now, before)| now <= before) {
            if Instant::now() > until {
                bail!("a front door does not say that its certificate is broken");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.until_shown(doors)
    }

    fn until_shown(&self, doors: &[Arc<Node>]) -> Result<()> {
        let until = Instant::now() + TAKE_MAX;
        let is_shown =
            |tls: &Tls| tls.connect(NAME).is_ok_and(|open| open.shown() == Some(self.current().der()));
        for tls in self.clients(doors) {
            while !is_shown(&tls) {
                if Instant::now() > until {
                    bail!("a front door does not show the certificate that it should");
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }
}

fn count(door: &Arc<Node>) -> usize {
    std::fs::read_to_string(door.log()).unwrap_or_default().matches(MISMATCH).count()
}
