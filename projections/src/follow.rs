//! Following the log: one reading, decoded once, handed to every view.

use std::{path::PathBuf, sync::Arc, time::Duration};

use eventstore::{Envelope, Position, Store};
use tokio::{
    sync::{broadcast, mpsc, watch},
    time::{MissedTickBehavior, interval},
};

use crate::{
    file::{Generation, Place, Reader},
    view::{Change, Projection, ViewError},
};

/// Events that are handed on together, in the order of the log.
pub(crate) type Run = Arc<[Arc<Envelope>]>;

/// Events that are read at once while catching up. Larger runs cost memory and gain nothing.
pub(crate) const READ: usize = 4_096;

/// How often a view looks whether another process has built a new generation of it.
const LOOK: Duration = Duration::from_secs(1);

/// A view that follows the log, as the others see it.
pub(crate) struct Live {
    pub(crate) folder: PathBuf,
    pub(crate) reader: Reader,
    pub(crate) position: watch::Sender<Position>,
    pub(crate) changes: broadcast::Sender<Arc<Vec<Change>>>,
}

impl Live {
    /// Applies runs as they come, and takes up a newer generation when there is one.
    pub(crate) async fn follow<P: Projection>(
        self: Arc<Self>,
        mut generation: Generation,
        store: Store,
        mut runs: mpsc::Receiver<Run>,
    ) -> Result<(), ViewError> {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                run = runs.recv() => match run {
                    Some(run) => {
                        let changes = generation.apply::<P>(&run).await?;
                        // Before anybody hears of the position: whoever waited for it may look at the file.
                        if is_near(generation.position(), store.log().head()) {
                            generation.finish().await?;
                        }
                        self.tell(&generation, changes);
                    }
                    None => return generation.close().await,
                },
                _ = look.tick() => {
                    // A reader may have been in the way of it.
                    if generation.position() >= store.log().head() {
                        generation.finish().await?;
                    }
                    if let Some(newer) = self.newer::<P>(&generation).await? {
                        generation = self.take_up::<P>(generation, newer, &store).await?;
                    }
                }
            }
        }
    }

    fn tell(&self, generation: &Generation, changes: Vec<Change>) {
        self.position.send_replace(generation.position());
        if !changes.is_empty() {
            // Nobody listening is not a failure.
            let _ = self.changes.send(Arc::new(changes));
        }
    }

    /// A newer generation of this program's shape, if another process has built one.
    pub(crate) async fn newer<P: Projection>(
        &self,
        generation: &Generation,
    ) -> Result<Option<Generation>, ViewError> {
        match Place::of::<P>(&self.folder).current()? {
            Some(path) if path != generation.path => Generation::open::<P>(path).await,
            Some(_) | None => Ok(None),
        }
    }

    /// Brings a newer generation to where this one stands, lets it answer, and deletes this one.
    async fn take_up<P: Projection>(
        &self,
        old: Generation,
        mut new: Generation,
        store: &Store,
    ) -> Result<Generation, ViewError> {
        catch_up::<P>(&mut new, store, old.position(), |_| ()).await?;
        let before = self.reader.swap(new.readers());
        before.close().await;
        old.close().await?;
        Place::of::<P>(&self.folder).keep_only(&new.path)?;
        tracing::info!(
            view = P::NAME,
            position = new.position().0,
            "a rebuilt view took the live one's place"
        );
        Ok(new)
    }
}

/// Whether what is left is one run at most. A run says nothing about that: it is short where its events are large.
fn is_near(at: Position, head: Position) -> bool {
    head.0.saturating_sub(at.0) < READ as u64
}

/// Applies the log to a generation up to `to`, and calls `progress` with each position reached.
pub(crate) async fn catch_up<P: Projection>(
    generation: &mut Generation,
    store: &Store,
    to: Position,
    mut progress: impl FnMut(Position),
) -> Result<(), ViewError> {
    while generation.position() < to {
        let left = usize::try_from(to.0 - generation.position().0).unwrap_or(READ);
        let read = store.log().read_after(generation.position(), left.min(READ)).await?;
        if read.is_empty() {
            return Ok(());
        }
        let run: Vec<_> = store.decode(read.clone()).await?.into_iter().map(Arc::new).collect();
        generation.apply::<P>(&run).await?;
        progress(generation.position());
    }
    Ok(())
}
