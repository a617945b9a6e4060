//! The switch. Everybody who wants to write waits while the last records are carried over and compared; then the old
//! database is left in one step. What takes too long is given up in time, so that those who wait need not fail.

use std::time::{Duration, Instant};

use base::limits::{TRANSFER_HOLD_MS, TRANSFER_HOLDS_MAX};
use store::transfer::{Arrival, Departure, Hold, travels};

use super::sum::{Sum, carry_over};
use super::tables::Plan;
use super::{Broken, Outcome, Transfer, deltas};

pub async fn switch(
    transfer: &Transfer<'_>,
    departure: &mut dyn Departure,
    arrival: &mut dyn Arrival,
    plan: &Plan,
    sums: &mut [Sum],
) -> Outcome<Duration> {
    let limit = Duration::from_millis(TRANSFER_HOLD_MS);
    let mut hold = hold(departure, limit).await?;
    let begun = Instant::now();
    let carried = tokio::time::timeout(limit, async {
        let touched = hold.touched().await?;
        let deltas = deltas(hold.stand(), plan, touched).await?;
        let meta = hold.stand().meta().await?;
        let meta: Vec<(String, String)> = meta.into_iter().filter(|(key, _)| travels(key)).collect();
        carry_over(arrival, plan, &deltas, &meta, sums).await
    })
    .await;
    match carried {
        Ok(done) => done?,
        // The hold ends here, and the old database goes on.
        Err(_) => return Err(Broken::Anew("the last records took too long to carry over")),
    }
    hold.leave(&transfer.mark.text()).await?;
    Ok(begun.elapsed())
}

/// Somebody may write for a while, all the time: then another moment must do.
async fn hold(departure: &mut dyn Departure, limit: Duration) -> Outcome<Box<dyn Hold>> {
    for _ in 1..TRANSFER_HOLDS_MAX {
        match departure.hold(limit).await {
            Err(error) if error.kind() == base::Kind::Unavailable => {}
            other => return Ok(other?),
        }
    }
    Ok(departure.hold(limit).await?)
}
