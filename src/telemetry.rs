//! What the process says of itself: log lines on standard error, metrics for whoever asks.

use std::{io::IsTerminal, sync::OnceLock};

use clap::ValueEnum;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Starts logging. `filter` is in the form of `RUST_LOG`, for example `info,bot=debug`.
pub fn start(filter: &str, format: LogFormat) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines =
        fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let started = match format {
        LogFormat::Text => {
            tracing_subscriber::registry().with(filter).with(lines.with_target(false)).try_init()
        }
        LogFormat::Json => {
            tracing_subscriber::registry().with(filter).with(lines.json()).try_init()
        }
    };
    // A second start in one process (tests do that) keeps the first.
    drop(started);
}

/// What renders the process's metrics as Prometheus reads them. Recording starts with the first call.
pub fn metrics() -> Box<dyn Fn() -> String + Send + Sync> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    let handle = HANDLE.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("metrics are recorded elsewhere in this process; /metrics stays empty");
        }
        handle
    });
    Box::new(|| {
        handle.run_upkeep();
        handle.render()
    })
}
