//! Patience with hiccups of Discord, where a person waits for the answer; and waiting for a time.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

/// How long a person waits before they are told to try again.
const PATIENCE: Duration = Duration::from_secs(8);

/// The first pause between two tries; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Tries until it succeeds, fails for good, or the next try would come too late.
///
/// `hiccup`: how long a failure asks to wait, where it may pass; `None` where it is for good.
pub async fn patiently<T, E, Attempt: Future<Output = Result<T, E>>>(
    attempt: impl FnMut() -> Attempt,
    hiccup: impl Fn(&E) -> Option<Duration>,
) -> Result<T, E> {
    within(PATIENCE, FIRST_PAUSE, attempt, hiccup).await
}

async fn within<T, E, Attempt: Future<Output = Result<T, E>>>(
    patience: Duration,
    mut pause: Duration,
    mut attempt: impl FnMut() -> Attempt,
    hiccup: impl Fn(&E) -> Option<Duration>,
) -> Result<T, E> {
    let began = Instant::now();
    loop {
        let failure = match attempt().await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        let Some(asked) = hiccup(&failure) else { return Err(failure) };
        let wait = asked.max(pause);
        if began.elapsed() + wait > patience {
            return Err(failure);
        }
        sleep(wait).await;
        pause *= 2;
    }
}

/// Waits for a time; for ever where there is none.
pub(crate) async fn wake(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(500);

    /// Fails as often as is told, each time asking to wait so many milliseconds.
    async fn tries(failures: &[Option<u64>]) -> (usize, Result<(), Option<u64>>) {
        let mut made = 0;
        let attempt = || {
            made += 1;
            std::future::ready(failures.get(made - 1).copied().map_or(Ok(()), Err))
        };
        let hiccup = |asked: &Option<u64>| asked.map(Duration::from_millis);
        let ended = within(PATIENCE, Duration::from_millis(1), attempt, hiccup).await;
        (made, ended)
    }

    #[tokio::test]
    async fn a_hiccup_is_waited_out_and_a_refusal_or_a_long_wait_is_told_at_once() {
        assert_eq!(tries(&[]).await, (1, Ok(())));
        assert_eq!(tries(&[Some(0), Some(5)]).await, (3, Ok(())));
        assert_eq!(tries(&[None]).await, (1, Err(None)));
        assert_eq!(tries(&[Some(60_000)]).await, (1, Err(Some(60_000))));
        let (made, ended) = tries(&[Some(0); 50]).await;
        assert!((2..10).contains(&made) && ended.is_err(), "{made}");
    }
}
