//! What the figures share: medians, a table, a folder on the disk that is measured.

use std::{path::Path, time::Duration};

/// The middle of some measurements.
pub(crate) fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// The time under which so many of a hundred measurements lie.
pub(crate) fn percentile(of: &mut [Duration], percent: usize) -> Duration {
    of.sort_unstable();
    of[(of.len() * percent / 100).min(of.len() - 1)]
}

/// A time in milliseconds.
pub(crate) fn ms(of: Duration) -> f64 {
    of.as_secs_f64() * 1_000.0
}

/// A line of the table that goes into the README.
pub(crate) fn line(what: &str, value: &str, compared: &str) {
    println!("| {what} | {value} | {compared} |");
}

pub(crate) fn heading(title: &str) {
    println!("\n## {title}\n\n| what | measured | compared |\n|---|---|---|");
}

/// Appends of one page, each made durable, for a while; answers how many in a second.
pub(crate) fn fdatasyncs(folder: &Path, during: Duration, over: bool) -> f64 {
    use std::os::unix::fs::FileExt;

    /// As many pages as are written over in turn.
    const PAGES: u64 = 4_096;
    let file = std::fs::File::create(folder.join("floor")).unwrap();
    let page = [7u8; 4096];
    if over {
        (0..PAGES).for_each(|n| file.write_all_at(&page, n * 4096).unwrap());
        file.sync_all().unwrap();
    }
    let (mut count, began) = (0u32, std::time::Instant::now());
    while began.elapsed() < during {
        let n = u64::from(count);
        file.write_all_at(&page, if over { n % PAGES } else { n } * 4096).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    f64::from(count) / began.elapsed().as_secs_f64()
}
