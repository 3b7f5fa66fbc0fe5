//! What the hub logs as failed, line by line.

use std::{fmt::Write as _, sync::OnceLock};

use tokio::sync::broadcast;
use tracing::{Event, Level, Subscriber, field};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _};

/// Listens from now on. Where stories share a process, each hears of all.
pub(crate) fn failures() -> broadcast::Receiver<String> {
    static LINES: OnceLock<broadcast::Sender<String>> = OnceLock::new();
    let lines = LINES.get_or_init(|| {
        let (lines, _) = broadcast::channel(100);
        let heard = tracing_subscriber::registry().with(Failures(lines.clone()));
        tracing::subscriber::set_global_default(heard).unwrap();
        lines
    });
    lines.subscribe()
}

struct Failures(broadcast::Sender<String>);

impl<S: Subscriber> Layer<S> for Failures {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::ERROR {
            let mut line = String::new();
            event.record(&mut |field: &field::Field, value: &dyn std::fmt::Debug| {
                let _ = write!(line, "{field}={value:?} ");
            });
            // Nobody listening is not a failure.
            let _ = self.0.send(line);
        }
    }
}
