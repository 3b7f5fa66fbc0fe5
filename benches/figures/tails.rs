//! How long an append takes whoever waits for it: under load, and until those who follow the log have it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use eventstore::{Clock, Mode, Position, Store, StoreOptions};
use tempfile::TempDir;

use crate::{
    append::append,
    table::{heading, line, ms, percentile},
};

const WRITERS: usize = 64;
const DURING: Duration = Duration::from_secs(5);
const ALONE: u64 = 2_000;

/// What each append of many writers took.
async fn under_load(store: &Store, next: &Arc<AtomicU64>) -> Vec<Duration> {
    let began = Instant::now();
    let tasks: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (log, next) = (store.log().clone(), Arc::clone(next));
            tokio::spawn(async move {
                let mut took = vec![];
                while began.elapsed() < DURING {
                    let asked = Instant::now();
                    log.append(append(next.fetch_add(1, Ordering::Relaxed), true)).await.unwrap();
                    took.push(asked.elapsed());
                }
                took
            })
        })
        .collect();
    let mut all = vec![];
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all
}

/// What each append of a lone writer took until it was answered, and until a subscription handed it over.
async fn followed(store: &Store, next: &Arc<AtomicU64>) -> (Vec<Duration>, Vec<Duration>) {
    let first = store.log().head().0;
    let mut subscription = store.log().subscribe(Position(first));
    let following = tokio::spawn(async move {
        let mut seen = vec![];
        while (seen.len() as u64) < ALONE {
            let events = subscription.next().await.unwrap();
            seen.extend(events.iter().map(|_| Instant::now()));
        }
        seen
    });
    let (mut asked, mut answered) = (vec![], vec![]);
    for _ in 0..ALONE {
        asked.push(Instant::now());
        store.log().append(append(next.fetch_add(1, Ordering::Relaxed), true)).await.unwrap();
        answered.push(Instant::now());
    }
    let seen = following.await.unwrap();
    let since =
        |times: Vec<Instant>| times.iter().zip(&asked).map(|(at, asked)| *at - *asked).collect();
    (since(answered), since(seen))
}

pub(crate) async fn run() {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let options = StoreOptions { clock: Clock::system(), master_key: None, mode: Mode::Serve };
    let store = Store::open(&folder.path().join("data"), options).await.unwrap();
    let next = Arc::new(AtomicU64::new(0));
    followed(&store, &next).await;
    let (mut answered, mut seen) = followed(&store, &next).await;
    let mut loaded = under_load(&store, &next).await;
    heading("How long an append takes: p50, p99");
    let both = |of: &mut [Duration]| {
        format!("{:.2} ms, {:.2} ms", ms(percentile(of, 50)), ms(percentile(of, 99)))
    };
    line("1 writer, until it is answered", &both(&mut answered), "");
    let later = ms(percentile(&mut seen, 50)) - ms(percentile(&mut answered, 50));
    let against = format!("{later:.2} ms after the answer (goal 0.3), p99 at most 6 ms");
    line("1 writer, until a subscription hands it over", &both(&mut seen), &against);
    let spread = ms(percentile(&mut loaded, 99)) / ms(percentile(&mut loaded, 50));
    let against = format!("p99 is {spread:.1} × p50 (goal 6), at most 10 ms");
    line("64 writers, until it is answered", &both(&mut loaded), &against);
}
