//! The one writer: takes what waits and commits it together.
//!
//! While one commit is on its way to the disk, the next batch gathers by itself, so a lone append waits
//! for nobody and many share one fsync. A conflict fails only its own append.

use std::{num::NonZeroUsize, path::Path, sync::Arc};

use domain::StreamName;
use lru::LruCache;
use sqlx::{ConnectOptions, SqliteConnection};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    Append, AppendError, Appended, Request, Write,
    checkpoints::{self, LastPart},
    insert,
    plan::{Known, Plan},
    recent::Recent,
};
use crate::{database, metadata::Position};

/// The most appends that one commit takes together.
const BATCH: usize = 512;

/// Where a batch is closed, in bytes of event data.
const BATCH_BYTES: usize = 1 << 20;

/// How often the writer steps aside without anybody coming before it closes a batch.
const PATIENCE: u32 = 8;

/// How many streams' versions are kept in memory.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

pub(super) struct Writer {
    db: SqliteConnection,
    last_part: LastPart,
    /// Copies the write-ahead log beside the writer; dropped, it stops.
    _checkpoints: JoinSet<()>,
    head: watch::Sender<Position>,
    recent: Arc<Recent>,
    /// The versions of streams that were appended to lately. Nobody else appends, so they are true.
    versions: LruCache<StreamName, u64>,
    stopped: CancellationToken,
}

pub(super) type Answer = Result<Appended, AppendError>;

impl Writer {
    pub(super) async fn open(
        path: &Path,
        last: Position,
        head: watch::Sender<Position>,
        recent: Arc<Recent>,
        stopped: CancellationToken,
    ) -> Result<Self, sqlx::Error> {
        let mut db = database::options(path).connect().await?;
        insert::prepare(&mut db).await?;
        let (last_part, mut checkpoints) = (LastPart::default(), JoinSet::new());
        checkpoints.spawn(checkpoints::run(
            database::options(path).connect().await?,
            Arc::clone(&last_part),
        ));
        head.send_replace(last);
        let versions = LruCache::new(REMEMBERED);
        Ok(Self { db, last_part, _checkpoints: checkpoints, head, recent, versions, stopped })
    }

    /// Writes until nobody can append any more, or the disk fails.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let last_part = Arc::clone(&self.last_part);
        let mut batch = Vec::with_capacity(BATCH);
        let mut last = 0;
        loop {
            tokio::select! {
                biased;
                () = last_part.notified() => checkpoints::finish(&mut self.db).await,
                taken = requests.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        break;
                    }
                    gather(&mut requests, &mut batch, last).await;
                    last = batch.len();
                    if let Err(reason) = self.write(&mut batch).await {
                        tracing::error!(%reason, "the disk failed to keep an append; the log stops");
                        self.stop(&reason, batch, requests).await;
                        return;
                    }
                }
            }
        }
        self.stopped.cancel();
    }

    /// Whatever was not acknowledged is answered as not kept, and nothing is acknowledged from here on.
    async fn stop(self, reason: &str, batch: Vec<Request>, mut requests: mpsc::Receiver<Request>) {
        requests.close();
        self.stopped.cancel();
        for request in batch {
            let _ = request.answer.send(Err(AppendError::Stopped(reason.to_owned())));
        }
        while let Some(request) = requests.recv().await {
            let _ = request.answer.send(Err(AppendError::Stopped(reason.to_owned())));
        }
    }

    /// Writes what was taken, in parts that one commit can carry.
    async fn write(&mut self, batch: &mut Vec<Request>) -> Result<(), String> {
        while !batch.is_empty() {
            let mut bytes = 0;
            let fits = batch.iter().position(|request| {
                bytes += request
                    .append
                    .writes
                    .iter()
                    .flat_map(|w| &w.events)
                    .map(|e| e.data.len())
                    .sum::<usize>();
                bytes > BATCH_BYTES
            });
            let part = fits.unwrap_or(batch.len()).max(1);
            let answers = self.commit(&batch[..part]).await?;
            for (request, answer) in batch.drain(..part).zip(answers) {
                // Whoever gave up waiting finds the answer under its key.
                let _ = request.answer.send(answer);
            }
        }
        Ok(())
    }

    /// Commits some appends together, and one by one where together is refused, so that one that cannot
    /// be stored fails alone. `Err`: the disk failed, and what it holds is not known.
    async fn commit(&mut self, requests: &[Request]) -> Result<Vec<Answer>, String> {
        let appends: Vec<&Append> = requests.iter().map(|request| &request.append).collect();
        let together = match self.commit_new(&appends).await {
            Ok(Some(answers)) => Ok(answers),
            Ok(None) => self.commit_known(&appends).await,
            Err(error) => Err(error),
        };
        let refused = match together {
            Ok(answers) => return Ok(answers),
            Err(error) => self.refusal(error).await?,
        };
        if appends.len() == 1 {
            return Ok(vec![Err(refused)]);
        }
        let mut answers = vec![];
        for append in appends {
            answers.push(match self.commit_known(&[append]).await {
                Ok(mut answer) => answer.pop().unwrap_or(Err(AppendError::Overloaded)),
                Err(error) => Err(self.refusal(error).await?),
            });
        }
        Ok(answers)
    }

    /// One round trip in the usual case: streams and keys that the writer does not remember are taken for new ones
    /// where they can be. `None`, and nothing is written, where it takes a look to tell: a constraint of the
    /// database says that something was not new, or a stream has moved on under an append that may be a repetition.
    async fn commit_new(
        &mut self,
        appends: &[&Append],
    ) -> Result<Option<Vec<Answer>>, sqlx::Error> {
        let mut known = Known::new(&self.versions, appends);
        let not_new = |write: &Write| write.expected > 0 || write.events.is_empty();
        known.read_streams(&mut self.db, not_new).await?;
        let mut plan = Plan::new(*self.head.borrow());
        let answers: Vec<_> = appends.iter().map(|append| plan.take(append, &mut known)).collect();
        let mut both = appends.iter().zip(&answers);
        if both.any(|(append, answer)| append.key.is_some() && answer.is_err()) {
            return Ok(None);
        }
        if !plan.is_empty() {
            match insert::commit(&mut self.db, &plan, false).await {
                Ok(()) => self.publish(plan),
                Err(error) if is_constraint(&error) => {
                    self.roll_back().await;
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(answers))
    }

    /// Looks everything up before. Keys are stored by others too, so the transaction begins before that.
    async fn commit_known(&mut self, appends: &[&Append]) -> Result<Vec<Answer>, sqlx::Error> {
        sqlx::query("begin immediate").execute(&mut self.db).await?;
        let mut known = Known::new(&self.versions, appends);
        known.read_streams(&mut self.db, |_| true).await?;
        known.read_keys(&mut self.db).await?;
        let mut plan = Plan::new(*self.head.borrow());
        let answers = appends.iter().map(|append| plan.take(append, &mut known)).collect();
        insert::commit(&mut self.db, &plan, true).await?;
        self.publish(plan);
        Ok(answers)
    }

    fn publish(&mut self, plan: Plan) {
        let Some(last) = plan.events.last().map(|event| event.position) else { return };
        for event in &plan.events {
            self.versions.put(event.stream.clone(), event.version);
        }
        self.recent.extend(plan.events);
        self.head.send_replace(last);
    }

    /// Why SQLite took nothing; `Err` where it is not known what the disk holds.
    async fn refusal(&mut self, error: sqlx::Error) -> Result<AppendError, String> {
        self.roll_back().await;
        match code(&error) {
            // Full disk, busy, constraint, too big: SQLite has taken the transaction back.
            Some(13 | 5 | 19 | 18) => Ok(AppendError::Refused(error.to_string())),
            _ => Err(error.to_string()),
        }
    }

    /// A failed statement may have ended its transaction already; then there is nothing to take back.
    async fn roll_back(&mut self) {
        let _ = sqlx::query("rollback").execute(&mut self.db).await;
    }
}

/// Lets those who were just answered come again before the next batch is closed. As many as came last time are
/// likely to: without this, the first of them would be committed alone and the others wait for the next commit.
async fn gather(requests: &mut mpsc::Receiver<Request>, batch: &mut Vec<Request>, last: usize) {
    let mut silent = 0;
    while batch.len() < last.min(BATCH) && silent < PATIENCE {
        tokio::task::yield_now().await;
        silent += 1;
        while batch.len() < BATCH
            && let Ok(request) = requests.try_recv()
        {
            batch.push(request);
            silent = 0;
        }
    }
}

fn is_constraint(error: &sqlx::Error) -> bool {
    code(error) == Some(19)
}

/// SQLite's primary result code: <https://www.sqlite.org/rescode.html>.
fn code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code?.parse::<i32>().ok().map(|code| code & 0xff)
}
