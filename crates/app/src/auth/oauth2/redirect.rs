//! Back from the provider: the browser brings a code, and the client that waits for it hears of it as an event. The
//! state is that client's id, which nobody else knows.

use serde::Serialize;

use crate::parts::Parts;

/// The topic that a waiting client is subscribed to.
const TOPIC: &str = "@oauth2";

/// What the provider had the browser say.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Returned {
    pub state: String,
    pub code: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// Tells the waiting client, once. Whether there was one and it can go on.
pub fn hand_over(parts: &Parts, returned: &Returned) -> bool {
    let Ok(data) = serde_json::to_vec(returned) else { return false };
    let heard = parts.realtime.send(&returned.state, TOPIC, data);
    if heard {
        // A second browser with the same state brings nothing.
        parts.realtime.unsubscribe(&returned.state, TOPIC);
    }
    heard && returned.error.is_empty() && !returned.code.is_empty()
}
