//! The figures of the README: `cargo bench` measures and prints them, floors and all.
//!
//! `cargo bench --bench figures -- append` measures one part alone: `append`, `tails`, `replay` or `latency`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it prints, and ends where it cannot go on"
)]

mod append;
mod latency;
mod replay;
mod table;
mod tails;

// The same as the binary's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    // Cargo adds options of its own.
    let asked: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|asked| asked == part);
    if wanted("append") {
        append::run().await;
    }
    if wanted("tails") {
        tails::run().await;
    }
    if wanted("replay") {
        replay::run().await;
    }
    if wanted("latency") {
        latency::run().await;
    }
}
