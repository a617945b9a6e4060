//! The name of the request that something is done for, from the client to the last job on another node. Whoever works
//! for a request can ask for it, and every message that is told meanwhile carries it.

use std::future::Future;
use std::sync::Arc;

use base::limits::REQUEST_ID_CHARS_MAX;

tokio::task_local! {
    /// Of the task that runs, as a tracing span would be, but for nothing where no message is told.
    static CURRENT: RequestId;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// A name that nobody has given yet.
    pub fn make() -> Self {
        RequestId(base::id::record().into())
    }

    /// A name that somebody gave. `None` unless it is short and of letters that mean nothing in a log, a header or a
    /// shell.
    pub fn read(text: &[u8]) -> Option<Self> {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:=+/@".contains(byte);
        let fits = (1..=REQUEST_ID_CHARS_MAX).contains(&text.len()) && text.iter().all(plain);
        let text = std::str::from_utf8(text).ok().filter(|_| fits)?;
        Some(RequestId(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Does the work in the name of this request. What it spawns must be told anew, see [`carried`].
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }
}

/// The request that is worked for, if it is one.
pub fn current() -> Option<RequestId> {
    CURRENT.try_with(RequestId::clone).ok()
}

/// The work as a task of its own does it: in the name of the request that is worked for here.
pub async fn carried<F: Future>(id: Option<RequestId>, work: F) -> F::Output {
    match id {
        Some(id) => id.scope(work).await,
        None => work.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_short() {
        for good in ["a", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "Root=1-67891233-abcdef012345678912345678"]
        {
            assert_eq!(RequestId::read(good.as_bytes()).unwrap().as_str(), good);
        }
        let long = "x".repeat(REQUEST_ID_CHARS_MAX + 1);
        for bad in ["", "a b", "a\nb", "a\"b", "a\x1b[31m", "<a>", "é", &long] {
            assert_eq!(RequestId::read(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[tokio::test]
    async fn tasks_carry_the_name_when_they_are_told() {
        assert_eq!(current(), None);
        let id = RequestId::make();
        id.clone()
            .scope(async {
                assert_eq!(current(), Some(id.clone()));
                let told = tokio::spawn(carried(current(), async { current() }));
                assert_eq!(told.await.unwrap(), Some(id.clone()));
                assert_eq!(tokio::spawn(async { current() }).await.unwrap(), None);
            })
            .await;
        assert_eq!(current(), None);
    }
}
