//! The settings in force in this process.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use store::Store;
use tokio::sync::Mutex;

use super::{Cipher, Fixed, Settings, load};
use crate::error::Result;

pub struct Held {
    current: ArcSwap<Settings>,
    fixed: Fixed,
    /// What was read last is what is put in place last.
    reading: Mutex<()>,
}

impl Held {
    /// The defaults, until they are read.
    pub fn new(fixed: Fixed) -> Self {
        let current = ArcSwap::from_pointee(fixed.over(Settings::default()));
        Held { current, fixed, reading: Mutex::new(()) }
    }

    pub fn load(&self) -> Guard<Arc<Settings>> {
        self.current.load()
    }

    pub fn load_full(&self) -> Arc<Settings> {
        self.current.load_full()
    }

    pub fn fixed(&self) -> &Fixed {
        &self.fixed
    }

    /// Reads the stored settings anew.
    pub async fn reload(&self, store: &Store, cipher: &Cipher) -> Result<()> {
        let _reading = self.reading.lock().await;
        let stored = load(store, cipher).await?;
        // Only when they changed: who made something of them sees it by the pointer.
        if let Some(settings) = stored.map(|stored| self.fixed.over(stored))
            && settings != **self.load()
        {
            self.current.store(Arc::new(settings));
        }
        Ok(())
    }
}
