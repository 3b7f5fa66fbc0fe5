//! The one writer: takes what waits and commits it together.
//!
//! While one commit is on its way to the disk, the next batch gathers by itself, so a lone append waits
//! for nobody and many share one fsync. A conflict fails only its own append.

use std::{mem, path::Path, sync::Arc};

use sqlx::{ConnectOptions, SqliteConnection};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    Append, AppendError, Appended, Request,
    checkpoints::{self, LastPart},
    insert::{self, Rows, Statements},
    plan::Plan,
    recent::Recent,
    versions::Versions,
};
use crate::{database, metadata::Position};

/// The most appends that one commit takes together.
const BATCH: usize = 512;

/// SQLite's code for what a constraint refuses.
const CONSTRAINT: i32 = 19;

/// How often the writer steps aside without anybody coming before it closes a batch.
const PATIENCE: u32 = 8;

pub(super) struct Writer {
    db: SqliteConnection,
    last_part: LastPart,
    /// Copies the write-ahead log beside the writer; dropped, it stops.
    _checkpoints: JoinSet<()>,
    head: watch::Sender<Position>,
    recent: Arc<Recent>,
    versions: Versions,
    statements: Statements,
    /// The last batch, which is dropped while SQLite is at work on the next.
    answered: Vec<Append>,
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
        Ok(Self {
            db,
            last_part,
            _checkpoints: checkpoints,
            head,
            recent,
            versions: Versions::new(),
            statements: Statements::new(),
            answered: vec![],
            stopped,
        })
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
                    let plan = self.gather(&mut requests, &mut batch, last).await;
                    last = batch.len();
                    if let Err(reason) = self.write(&mut batch, plan).await {
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

    /// Lets those who were just answered come again before the batch is closed, and decides on them as they come. As many
    /// as came last time are likely to: without this, the first of them would be committed alone and the others wait
    /// for the next commit.
    async fn gather(
        &mut self,
        requests: &mut mpsc::Receiver<Request>,
        batch: &mut Vec<Request>,
        last: usize,
    ) -> Plan {
        let (mut plan, mut silent) = (self.plan(last), 0);
        loop {
            plan.take(batch, &mut self.versions, false);
            if batch.len() >= last.min(BATCH) || silent == PATIENCE {
                return plan;
            }
            tokio::task::yield_now().await;
            silent += 1;
            if !requests.is_empty() {
                requests.recv_many(batch, BATCH.saturating_sub(batch.len())).await;
                silent = 0;
            }
        }
    }

    /// Writes what was taken, in parts that one commit can carry.
    async fn write(&mut self, batch: &mut Vec<Request>, mut plan: Plan) -> Result<(), String> {
        loop {
            let answers = self.commit(batch, plan).await?;
            for (request, answer) in batch.drain(..answers.len()).zip(answers) {
                // Whoever gave up waiting finds the answer under its key.
                let _ = request.answer.send(answer);
                self.answered.push(request.append);
            }
            if batch.is_empty() {
                return Ok(());
            }
            plan = self.plan(batch.len());
        }
    }

    /// Commits the first appends of a batch together, and one by one where together is refused, so that one that cannot
    /// be stored fails alone. `Err`: the disk failed, and what it holds is not known.
    async fn commit(&mut self, batch: &[Request], mut plan: Plan) -> Result<Vec<Answer>, String> {
        let failed = match self.commit_new(batch, &mut plan).await {
            Ok(true) => return Ok(self.publish(plan)),
            Ok(false) => None,
            Err(error) => Some(error).filter(|error| code(error) != Some(CONSTRAINT)),
        };
        self.versions.forget(&plan.events);
        self.roll_back().await;
        let part = &batch[..plan.answers.len().max(1)];
        let error = match failed {
            Some(error) => error,
            None => match self.commit_known(part).await {
                Ok(answers) => return Ok(answers),
                Err(error) => error,
            },
        };
        let refused = self.refusal(error).await?;
        if part.len() == 1 {
            return Ok(vec![Err(refused)]);
        }
        let mut answers = vec![];
        for append in part.chunks(1) {
            match self.commit_known(append).await {
                Ok(answer) => answers.extend(answer),
                Err(error) => answers.push(Err(self.refusal(error).await?)),
            }
        }
        Ok(answers)
    }

    /// One round trip in the usual case: streams and keys that the writer does not remember are taken for new ones
    /// where they can be. `false`, or refused by a constraint of the database: it takes a look to tell, because
    /// something was not new, or a stream has moved on under an append that may be a repetition.
    async fn commit_new(
        &mut self,
        batch: &[Request],
        plan: &mut Plan,
    ) -> Result<bool, sqlx::Error> {
        let rest = batch.iter().skip(plan.answers.len()).map(|request| &request.append);
        self.versions.read(&mut self.db, rest, false).await?;
        plan.take(batch, &mut self.versions, true);
        if plan.is_doubtful {
            return Ok(false);
        }
        self.insert(mem::take(&mut plan.rows), false).await?;
        Ok(true)
    }

    /// Looks everything up before. Keys are stored by others too, so the transaction begins before that.
    async fn commit_known(&mut self, part: &[Request]) -> Result<Vec<Answer>, sqlx::Error> {
        let appends = || part.iter().map(|request| &request.append);
        sqlx::query("begin immediate").execute(&mut self.db).await?;
        let mut plan = self.plan(part.len());
        self.versions.read(&mut self.db, appends(), true).await?;
        plan.read_keys(&mut self.db, appends()).await?;
        plan.take(part, &mut self.versions, true);
        if let Err(error) = self.insert(mem::take(&mut plan.rows), true).await {
            self.versions.forget(&plan.events);
            return Err(error);
        }
        Ok(self.publish(plan))
    }

    /// Commits rows, and lets go of what is old while SQLite is at work: nobody waits for that.
    async fn insert(&mut self, rows: Rows, open: bool) -> Result<(), sqlx::Error> {
        let Self { db, statements, answered, versions, recent, .. } = self;
        let inserting = async {
            if open || !rows.is_empty() {
                rows.commit(db, statements, open).await?;
            }
            Ok(())
        };
        let tidying = async {
            answered.clear();
            versions.trim();
            recent.trim();
        };
        tokio::join!(inserting, tidying).0
    }

    fn plan(&self, appends: usize) -> Plan {
        Plan::new(*self.head.borrow(), appends)
    }

    /// Tells what was committed to whoever follows; answers what it came to.
    fn publish(&mut self, plan: Plan) -> Vec<Answer> {
        if let Some(last) = plan.events.last().map(|event| event.position) {
            self.recent.extend(plan.events);
            self.head.send_replace(last);
        }
        plan.answers
    }

    /// Why SQLite took nothing; `Err` where it is not known what the disk holds.
    async fn refusal(&mut self, error: sqlx::Error) -> Result<AppendError, String> {
        self.roll_back().await;
        match code(&error) {
            // Full disk, busy, constraint, too big: SQLite has taken the transaction back.
            Some(13 | 5 | CONSTRAINT | 18) => Ok(AppendError::Refused(error.to_string())),
            _ => Err(error.to_string()),
        }
    }

    /// A failed statement may have ended its transaction already; then there is nothing to take back.
    async fn roll_back(&mut self) {
        let _ = sqlx::query("rollback").execute(&mut self.db).await;
    }
}

/// SQLite's primary result code: <https://www.sqlite.org/rescode.html>.
fn code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code?.parse::<i32>().ok().map(|code| code & 0xff)
}
