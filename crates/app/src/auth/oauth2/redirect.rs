//! Back from the provider: the browser brings a code, and the client that waits for it hears of it as an event. The
//! state is that client's id, which nobody else knows.

use base::limits::REALTIME_CLIENT_ID_BYTES_MAX;
use serde::Serialize;

use crate::across;
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

/// Tells the waiting client, once, on whichever node it is. Whether there was one and it can go on.
pub async fn hand_over(parts: &Parts, returned: &Returned) -> bool {
    let Ok(data) = serde_json::to_string(returned) else { return false };
    let client = &returned.state;
    let heard = hand_over_here(parts, client, data.clone())
        || (is_client(client) && across::hand_over(parts, client, data).await);
    heard && returned.error.is_empty() && !returned.code.is_empty()
}

/// The others need not be asked about what cannot be a client's id.
fn is_client(id: &str) -> bool {
    !id.is_empty() && id.len() <= REALTIME_CLIENT_ID_BYTES_MAX
}

/// The same for a client that is connected to this node.
pub(crate) fn hand_over_here(parts: &Parts, client: &str, data: String) -> bool {
    let heard = parts.realtime.send(client, TOPIC, data);
    if heard {
        // A second browser with the same state brings nothing.
        parts.realtime.unsubscribe(client, TOPIC);
    }
    heard
}
