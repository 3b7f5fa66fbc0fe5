//! All the views of a node: opened, followed, asked, rebuilt, verified.

use std::{path::Path, sync::Arc, time::Duration};

use eventstore::{Position, Store};
use tokio::{
    sync::{Mutex, broadcast, mpsc, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    audit::{self, Audit},
    check::{self, Verdict},
    fan_access::{self, FanAccess},
    file::{Generation, Place, Reader},
    follow::{Live, READ, Run, catch_up},
    integrations::{self, Integrations},
    notifications::{self, Notifications},
    timers::{self, Timers},
    view::{Change, Projection, ViewError},
};

/// The names of the views.
pub const VIEWS: [&str; 5] = [
    integrations::Follow::NAME,
    fan_access::Follow::NAME,
    timers::Follow::NAME,
    notifications::Follow::NAME,
    audit::Follow::NAME,
];

/// How long whoever asks waits for the views to see what the log holds.
pub const CATCH_UP: Duration = Duration::from_secs(2);

/// One of the views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    Integrations,
    FanAccess,
    Timers,
    Notifications,
    Audit,
}

impl View {
    /// Those that tell how everybody stands.
    pub const PRESENT: [Self; 3] = [Self::Integrations, Self::FanAccess, Self::Notifications];
}

/// Where a view stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewStatus {
    pub name: &'static str,
    pub version: u32,
    pub position: Position,
    /// The log's last position.
    pub head: Position,
}

/// How far a rebuild or a comparison is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub done: Position,
    pub head: Position,
}

/// The views did not come to a position in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the views are behind the log; try again in a moment")]
pub struct Behind;

/// The live views of a node. Cloning is cheap.
#[derive(Clone)]
pub struct Views {
    store: Store,
    integrations: Arc<Live>,
    fan_access: Arc<Live>,
    timers: Arc<Live>,
    notifications: Arc<Live>,
    audit: Arc<Live>,
    generations: Arc<Mutex<Option<Generations>>>,
    answers: Arc<Answers>,
    changes: broadcast::Sender<Arc<Vec<Change>>>,
}

/// The questions that can be asked.
struct Answers {
    integrations: Integrations,
    fan_access: FanAccess,
    timers: Timers,
    notifications: Notifications,
    audit: Audit,
}

/// The writers of the live generations, until somebody follows the log with them.
struct Generations {
    integrations: Generation,
    fan_access: Generation,
    timers: Generation,
    notifications: Generation,
    audit: Generation,
}

/// How many changes a slow listener may fall behind before it misses some and has to read anew.
const CHANGES: usize = 1_024;

impl Views {
    /// Opens the views in `folder`, which is made where it is missing. A view without a generation of
    /// this program's version starts at the log's beginning.
    pub async fn open(folder: &Path, store: &Store) -> Result<Self, ViewError> {
        std::fs::create_dir_all(folder)?;
        let head = store.log().head();
        let generations = Generations {
            integrations: open::<integrations::Follow>(folder, head).await?,
            fan_access: open::<fan_access::Follow>(folder, head).await?,
            timers: open::<timers::Follow>(folder, head).await?,
            notifications: open::<notifications::Follow>(folder, head).await?,
            audit: open::<audit::Follow>(folder, head).await?,
        };
        let (changes, _) = broadcast::channel(CHANGES);
        let live = |generation: &Generation| {
            Arc::new(Live {
                folder: folder.to_owned(),
                reader: Reader::new(generation.readers()),
                position: watch::Sender::new(generation.position()),
                changes: changes.clone(),
            })
        };
        let (integrations, fan_access) =
            (live(&generations.integrations), live(&generations.fan_access));
        let (timers, notifications) = (live(&generations.timers), live(&generations.notifications));
        let audit = live(&generations.audit);
        let answers = Arc::new(Answers {
            integrations: Integrations(integrations.reader.clone()),
            fan_access: FanAccess(fan_access.reader.clone()),
            timers: Timers(timers.reader.clone()),
            notifications: Notifications(notifications.reader.clone()),
            audit: Audit(audit.reader.clone()),
        });
        let generations = Arc::new(Mutex::new(Some(generations)));
        Ok(Self {
            store: store.clone(),
            integrations,
            fan_access,
            timers,
            notifications,
            audit,
            generations,
            answers,
            changes,
        })
    }

    pub fn integrations(&self) -> &Integrations {
        &self.answers.integrations
    }

    pub fn fan_access(&self) -> &FanAccess {
        &self.answers.fan_access
    }

    pub fn timers(&self) -> &Timers {
        &self.answers.timers
    }

    pub fn notifications(&self) -> &Notifications {
        &self.answers.notifications
    }

    pub fn audit(&self) -> &Audit {
        &self.answers.audit
    }

    /// What changes from now on, a message for each run of events that a view has applied.
    pub fn changes(&self) -> broadcast::Receiver<Arc<Vec<Change>>> {
        self.changes.subscribe()
    }

    pub fn status(&self) -> Vec<ViewStatus> {
        let head = self.store.log().head();
        self.each()
            .map(|(name, version, live)| ViewStatus {
                name,
                version,
                position: *live.position.borrow(),
                head,
            })
            .into()
    }

    /// Waits until every view has seen `position`.
    pub async fn seen(&self, position: Position, within: Duration) -> Result<(), Behind> {
        let all = self.each().into_iter().map(|(_, _, live)| live);
        all_seen(all, position, within).await
    }

    /// Waits until some views have seen `position`: whoever asks one need not wait for another that is being built.
    pub async fn seen_by(
        &self,
        views: &[View],
        position: Position,
        within: Duration,
    ) -> Result<(), Behind> {
        all_seen(views.iter().map(|view| self.live(*view)), position, within).await
    }

    /// How far all of some views have come.
    pub fn reached(&self, views: &[View]) -> Position {
        let all = views.iter().map(|view| *self.live(*view).position.borrow());
        all.min().unwrap_or_default()
    }

    fn live(&self, view: View) -> &Arc<Live> {
        match view {
            View::Integrations => &self.integrations,
            View::FanAccess => &self.fan_access,
            View::Timers => &self.timers,
            View::Notifications => &self.notifications,
            View::Audit => &self.audit,
        }
    }

    fn each(&self) -> [(&'static str, u32, &Arc<Live>); 5] {
        fn entry<P: Projection>(live: &Arc<Live>) -> (&'static str, u32, &Arc<Live>) {
            (P::NAME, P::VERSION, live)
        }
        [
            entry::<integrations::Follow>(&self.integrations),
            entry::<fan_access::Follow>(&self.fan_access),
            entry::<timers::Follow>(&self.timers),
            entry::<notifications::Follow>(&self.notifications),
            entry::<audit::Follow>(&self.audit),
        ]
    }

    /// Follows the log until `shutdown`. Only one call of this at a time does.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), ViewError> {
        let Some(generations) = self.generations.lock().await.take() else {
            return Err(ViewError::Stopped);
        };
        let mut tasks = JoinSet::new();
        let mut views = vec![];
        let Generations { integrations, fan_access, timers, notifications, audit } = generations;
        let from = [&integrations, &fan_access, &timers, &notifications, &audit];
        let from = from.map(Generation::position);
        let from = from.into_iter().min().unwrap_or(Position(0));
        let mut start = |run: mpsc::Sender<Run>| views.push(run);
        self.spawn::<integrations::Follow>(
            &mut tasks,
            &mut start,
            &self.integrations,
            integrations,
        );
        self.spawn::<fan_access::Follow>(&mut tasks, &mut start, &self.fan_access, fan_access);
        self.spawn::<timers::Follow>(&mut tasks, &mut start, &self.timers, timers);
        self.spawn::<notifications::Follow>(
            &mut tasks,
            &mut start,
            &self.notifications,
            notifications,
        );
        self.spawn::<audit::Follow>(&mut tasks, &mut start, &self.audit, audit);

        let reading = self.read(from, &views);
        let stopped = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            read = reading => read,
            // A view that stops while the others go on would answer old news for ever.
            Some(view) = tasks.join_next() => view.unwrap_or(Err(ViewError::Stopped)),
        };
        drop(views);
        while let Some(view) = tasks.join_next().await {
            view.unwrap_or(Err(ViewError::Stopped))?;
        }
        stopped
    }

    fn spawn<P: Projection>(
        &self,
        tasks: &mut JoinSet<Result<(), ViewError>>,
        start: &mut impl FnMut(mpsc::Sender<Run>),
        live: &Arc<Live>,
        generation: Generation,
    ) {
        let (send, receive) = mpsc::channel(2);
        start(send);
        tasks.spawn(Arc::clone(live).follow::<P>(generation, self.store.clone(), receive));
    }

    /// Hands every event after `from` to the views, and waits for more.
    async fn read(&self, from: Position, views: &[mpsc::Sender<Run>]) -> Result<(), ViewError> {
        let mut log = self.store.log().subscribe(from);
        loop {
            let read = log.next().await?;
            for part in read.chunks(READ) {
                let run: Run =
                    self.store.decode(part.to_vec()).await?.into_iter().map(Arc::new).collect();
                for view in views {
                    // A view that has stopped is noticed by who waits for it.
                    let _ = view.send(Arc::clone(&run)).await;
                }
            }
        }
    }

    /// Builds a view anew beside the live one and lets it take its place, in this or in another process.
    pub async fn rebuild(
        folder: &Path,
        store: &Store,
        name: &str,
        progress: impl FnMut(Progress) + Send,
    ) -> Result<Position, ViewError> {
        std::fs::create_dir_all(folder)?;
        match name {
            integrations::Follow::NAME => {
                rebuild::<integrations::Follow>(folder, store, progress).await
            }
            fan_access::Follow::NAME => {
                rebuild::<fan_access::Follow>(folder, store, progress).await
            }
            timers::Follow::NAME => rebuild::<timers::Follow>(folder, store, progress).await,
            notifications::Follow::NAME => {
                rebuild::<notifications::Follow>(folder, store, progress).await
            }
            audit::Follow::NAME => rebuild::<audit::Follow>(folder, store, progress).await,
            unknown => Err(ViewError::Unknown(unknown.to_owned())),
        }
    }

    /// Proves that a view equals what the log says, while it goes on.
    pub async fn verify(
        folder: &Path,
        store: &Store,
        name: &str,
        progress: impl FnMut(Progress) + Send,
    ) -> Result<Verdict, ViewError> {
        match name {
            integrations::Follow::NAME => {
                check::verify::<integrations::Follow>(folder, store, progress).await
            }
            fan_access::Follow::NAME => {
                check::verify::<fan_access::Follow>(folder, store, progress).await
            }
            timers::Follow::NAME => check::verify::<timers::Follow>(folder, store, progress).await,
            notifications::Follow::NAME => {
                check::verify::<notifications::Follow>(folder, store, progress).await
            }
            audit::Follow::NAME => check::verify::<audit::Follow>(folder, store, progress).await,
            unknown => Err(ViewError::Unknown(unknown.to_owned())),
        }
    }

    /// The questions alone, of views that another process follows or has followed. `None` where there are none of
    /// this program's shape yet.
    pub async fn beside(folder: &Path) -> Result<Option<(Integrations, FanAccess)>, ViewError> {
        async fn reader<P: Projection>(folder: &Path) -> Result<Option<Reader>, ViewError> {
            let Some(path) = Place::of::<P>(folder).current()? else { return Ok(None) };
            let generation = Generation::open::<P>(path).await?;
            Ok(generation.map(|generation| Reader::new(generation.readers())))
        }
        let integrations = reader::<integrations::Follow>(folder).await?;
        let fan_access = reader::<fan_access::Follow>(folder).await?;
        Ok(integrations
            .zip(fan_access)
            .map(|(integrations, fan_access)| (Integrations(integrations), FanAccess(fan_access))))
    }

    /// Where the views in a folder stand, without following the log. Views that were never built stand at 0.
    pub async fn list(folder: &Path, store: &Store) -> Result<Vec<ViewStatus>, ViewError> {
        async fn entry<P: Projection>(
            folder: &Path,
            head: Position,
        ) -> Result<ViewStatus, ViewError> {
            let mut position = Position(0);
            if let Some(path) = Place::of::<P>(folder).current()? {
                position = Generation::open::<P>(path)
                    .await?
                    .map_or(position, |generation| generation.position());
            }
            Ok(ViewStatus { name: P::NAME, version: P::VERSION, position, head })
        }
        let head = store.log().head();
        Ok(vec![
            entry::<integrations::Follow>(folder, head).await?,
            entry::<fan_access::Follow>(folder, head).await?,
            entry::<timers::Follow>(folder, head).await?,
            entry::<notifications::Follow>(folder, head).await?,
            entry::<audit::Follow>(folder, head).await?,
        ])
    }
}

async fn all_seen(
    views: impl Iterator<Item = &Arc<Live>>,
    position: Position,
    within: Duration,
) -> Result<(), Behind> {
    let all = async {
        for live in views {
            let mut at = live.position.subscribe();
            at.wait_for(|at| *at >= position).await.map_err(|_| Behind)?;
        }
        Ok(())
    };
    timeout(within, all).await.unwrap_or(Err(Behind))
}

async fn open<P: Projection>(folder: &Path, head: Position) -> Result<Generation, ViewError> {
    let place = Place::of::<P>(folder);
    if let Some(path) = place.current()?
        && let Some(generation) = Generation::open::<P>(path).await?
        // One that has seen what the log does not hold belongs to another log, or to a later time of this one.
        && generation.position() <= head
    {
        place.keep_only(&generation.path)?;
        return Ok(generation);
    }
    let mut generation = Generation::create::<P>(place.next()?).await?;
    if head == Position(0) {
        generation.finish().await?;
    }
    place.promote(&generation.path)?;
    place.keep_only(&generation.path)?;
    Ok(generation)
}

async fn rebuild<P: Projection>(
    folder: &Path,
    store: &Store,
    mut progress: impl FnMut(Progress),
) -> Result<Position, ViewError> {
    let place = Place::of::<P>(folder);
    let _lock = place.lock()?;
    let mut generation = Generation::create::<P>(place.next()?).await?;
    // The log may grow meanwhile; what came last is followed once the new generation is live.
    let head = store.log().head();
    catch_up::<P>(&mut generation, store, head, |done| progress(Progress { done, head })).await?;
    generation.finish().await?;
    place.promote(&generation.path)?;
    let position = generation.position();
    generation.close().await?;
    Ok(position)
}

#[cfg(test)]
mod tests {
    use domain::tier::{self, Command, Tier};
    use eventstore::{Actor, Clock, Envelope, Metadata, Mode, StoreOptions};
    use sqlx::SqliteConnection;
    use uuid::Uuid;

    use super::*;

    /// A view that counts, in the shape of one version of a program.
    struct Count<const VERSION: u32>;

    impl<const V: u32> Projection for Count<V> {
        const NAME: &'static str = "count";
        const VERSION: u32 = V;
        const SCHEMA: &'static str = "create table counted (n integer not null) strict;";

        async fn apply(
            db: &mut SqliteConnection,
            run: &[Arc<Envelope>],
        ) -> Result<Vec<Change>, ViewError> {
            for _ in run {
                sqlx::query("insert into counted values (1)").execute(&mut *db).await?;
            }
            Ok(vec![])
        }
    }

    #[tokio::test]
    async fn the_next_program_builds_its_views_while_this_one_answers() {
        let folder = tempfile::TempDir::new().unwrap();
        let clock = Clock::system();
        let (at, mode) = (clock.now(), Mode::Serve);
        let options = StoreOptions { clock, master_key: None, mode };
        let store = Store::open(&folder.path().join("data"), options).await.unwrap();
        let (creator, tier) = ("kim".parse().unwrap(), "gold".parse().unwrap());
        let stream = tier::stream(&creator, &tier);
        let register = Command::Register { creator, tier, name: "Gold".parse().unwrap() };
        let metadata = Metadata { at, actor: Actor::Platform, correlation: Uuid::nil() };
        store.handle::<Tier>(&stream, register, metadata, None).await.unwrap();

        let views = folder.path().join("views");
        std::fs::create_dir_all(&views).unwrap();
        let generation = open::<Count<1>>(&views, store.log().head()).await.unwrap();
        let serving = Live {
            folder: views.clone(),
            reader: Reader::new(generation.readers()),
            position: watch::Sender::new(generation.position()),
            changes: broadcast::channel(1).0,
        };
        assert_eq!(rebuild::<Count<2>>(&views, &store, |_| {}).await.unwrap(), Position(1));
        // What is of another shape is not taken up, and stays for whoever understands it.
        assert!(serving.newer::<Count<1>>(&generation).await.unwrap().is_none());
        generation.close().await.unwrap();
        assert_eq!(
            open::<Count<2>>(&views, store.log().head()).await.unwrap().position(),
            Position(1)
        );
    }
}
