//! Closes a connection from outside, for streams whose client does not read: the connection's own task waits for
//! room to write, and would wait for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;

use futures_util::task::AtomicWaker;

/// Travels with a request's extensions.
#[derive(Clone, Default)]
pub struct Cut(Arc<Inner>);

#[derive(Default)]
struct Inner {
    cut: AtomicBool,
    waker: AtomicWaker,
}

impl Cut {
    pub fn now(&self) {
        self.0.cut.store(true, Ordering::Release);
        self.0.waker.wake();
    }

    /// Whether it was cut; the task is woken when it is later.
    pub fn poll(&self, context: &mut Context<'_>) -> bool {
        self.0.waker.register(context.waker());
        self.0.cut.load(Ordering::Acquire)
    }
}
