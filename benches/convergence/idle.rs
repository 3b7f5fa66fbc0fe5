//! From a reported membership to the call that Discord accepted, with nothing else to do.

use std::time::{Duration, Instant};

use discord_sandbox::Limits;

use crate::{
    field::Field,
    table::{line, percentile},
};

/// Well under every limit.
const EVERY: Duration = Duration::from_millis(30);

pub(crate) async fn measure(field: &Field, limits: &Limits, changes: usize) {
    field.sandbox.set_limits(limits.clone());
    field.sandbox.forget_calls();
    let mut took = vec![];
    for n in 0..changes {
        // The first fan of each server in turn: brought in, and in the next round removed.
        let club = &field.clubs[n % field.clubs.len()];
        let (fan, there) = (club.fans[0], (n / field.clubs.len()).is_multiple_of(2));
        tokio::time::sleep(EVERY).await;
        let began = Instant::now();
        field.report(club, fan, if there { "active" } else { "expired" }).await;
        while field.is_there(club, fan) != there {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        took.push(began.elapsed());
        field.until_reported_of(club, usize::from(there)).await;
    }
    let took = &mut took[changes / 20..];
    let ms = |took: Duration| took.as_secs_f64() * 1_000.0;
    let both = format!("{:.1} ms, {:.1} ms", ms(percentile(took, 50)), ms(percentile(took, 99)));
    line("p50, p99", &both, "");
}
