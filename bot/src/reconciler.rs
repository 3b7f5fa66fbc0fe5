//! Compares what Discord shows with what the Hub knows: after events were missed, when a creator asks, and from time
//! to time. What differs becomes a fact; what follows from it is decided as ever.
//!
//! Members are read a thousand at once where the application may see them, else one by one. What a page shows may
//! be older than the last answer to a call, so whatever differs is read once more before it counts. A comparison that
//! is cut off goes on from where it was.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use chrono::{DateTime, Utc};
use domain::{
    DiscordUserId, FanId, GuildId, RoleId, Trouble,
    access::{Removed, joined_anew},
    discord::RoleList,
    integration::{Phase, State},
    personal::Personal,
};
use eventstore::Position;
use futures_util::{StreamExt, stream};
use projections::{FanRow, IntegrationRow, ViewError, Views};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    desk::{Comparison, Desk, DeskError},
    discord::{Answer, Discord, Seen},
    hub::Hub,
    members::Looks,
    wire::{Observation, StillThere},
};

/// How often everything is compared although nobody asked.
const SWEEP: Duration = Duration::from_hours(6);

/// How many members are read together.
const TOGETHER: usize = 8;

/// How many servers are compared together.
const SERVERS: usize = 4;

/// How many rows are read at once.
const PAGE: u32 = 500;

/// How often a server is read again because something was recorded of it meanwhile.
const LOOKS: usize = 3;

/// The pause before a comparison that was cut off goes on, unless Discord asks for a longer one; it doubles as long as
/// it does not come further.
const PAUSE: Duration = Duration::from_secs(10);

/// The longest pause before it goes on.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// How many are read one by one before a comparison counts as having come further.
const ONE_BY_ONE: usize = 100;

/// Nobody comes after this one.
const LAST: DiscordUserId = DiscordUserId(u64::MAX);

/// Who is told to have seen it.
const NAME: &str = "reconciler";

/// The comparison with Discord.
pub struct Reconciler {
    desk: Desk,
    discord: Discord,
    asked: mpsc::UnboundedReceiver<Comparison>,
    /// How often servers in trouble are looked at.
    round: Duration,
}

/// A server that is to be compared, and how far that has come.
#[derive(Debug, Clone, Copy)]
struct Task {
    guild: GuildId,
    /// Whether its roles are still to be read.
    roles: bool,
    /// Whether its members are to be looked at too.
    members: bool,
    /// Whether what waits there for somebody is tried again.
    again: bool,
    /// Everybody up to this account has been looked at.
    after: DiscordUserId,
    tries: u32,
}

/// How a comparison was cut off.
enum Cut {
    /// It goes on from here, not before this long.
    Later(Task, Duration),
    /// There is nothing to compare with: what that means is known already, or will be told.
    Ends,
    /// The Hub could not be asked; it begins anew.
    Failed(DeskError),
}

impl<E: Into<DeskError>> From<E> for Cut {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// How a comparison ended; one that was cut off goes on after a pause.
enum Ended {
    Done,
    Cut(Task, Duration),
}

/// What the Hub believes of an account in a server.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Believed {
    present: Option<bool>,
    joined_at: Option<DateTime<Utc>>,
    /// The roles that it has, from the Hub or from elsewhere, as far as nothing stands in the way.
    roles: BTreeSet<RoleId>,
    /// What was taken away last.
    removed: Option<Removed>,
}

impl Believed {
    /// `list`: the server's roles. What is left of a deleted one is nobody's.
    fn of(row: FanRow, list: Option<&RoleList>) -> Self {
        let (mut roles, removed) = (row.given, row.removed);
        if row.trouble.is_none() {
            roles.extend(row.desired.roles);
        }
        let removed = removed.map(|removed| removed.of(list));
        Self { present: row.present, joined_at: row.joined_at, roles, removed }
    }

    /// Of an account that is not the fan's any more, only what was taken from it counts.
    fn let_go(removed: Removed, list: Option<&RoleList>) -> Self {
        let (present, removed) = (Some(!removed.member), Some(removed.of(list)));
        Self { present, joined_at: None, roles: BTreeSet::new(), removed }
    }

    /// Whether what Discord shows is something to look at; `None`: it shows no such member.
    fn differs(&self, seen: Option<&Seen>, now: DateTime<Utc>) -> bool {
        match seen {
            Some(seen) => {
                self.present != Some(true)
                    || joined_anew(self.joined_at, seen.joined_at)
                    || !self.roles.iter().all(|role| seen.roles.contains(role))
                    || still_there(self.removed.as_ref(), seen, now).is_some()
            }
            None => self.present == Some(true),
        }
    }

    /// Whether there is nothing more to find: everything was taken away, and nobody shows them any more.
    fn is_over(&self, now: DateTime<Utc>) -> bool {
        let old = self.removed.as_ref().is_some_and(|removed| removed.is_old(now));
        self.present == Some(false) && self.roles.is_empty() && old
    }
}

/// What of a removal a member still has.
fn still_there(removed: Option<&Removed>, seen: &Seen, now: DateTime<Utc>) -> Option<StillThere> {
    let roles = seen.roles.iter().copied().collect();
    let (roles, member) = removed?.left(seen.joined_at, &roles, now)?;
    Some(StillThere { roles, member })
}

impl Reconciler {
    /// `asked`: the servers that the desk asks for. `round`: how often a server is looked at whose roles, or whose
    /// missing bot, stand in somebody's way.
    pub fn new(
        desk: Desk,
        discord: Discord,
        asked: mpsc::UnboundedReceiver<Comparison>,
        round: Duration,
    ) -> Self {
        Self { desk, discord, asked, round }
    }

    /// Compares whatever is asked for, until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once; what was missed while nobody listened is told by the gateway.
        sweep.tick().await;
        let mut round = interval(self.round);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        round.tick().await;
        let hidden = AtomicBool::new(false);
        let looker = Looker { desk: &self.desk, discord: &self.discord, hidden: &hidden };
        let (mut waiting, mut put_off) = (Waiting::default(), VecDeque::new());
        let mut running = stream::FuturesUnordered::new();
        loop {
            while running.len() < SERVERS
                && let Some(task) = waiting.next()
            {
                running.push(looker.compare(task));
            }
            let wakes: Option<Instant> = put_off.front().map(|(at, _)| *at);
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(asked) = self.asked.recv() => waiting.put(asked),
                _ = round.tick() => match servers(self.desk.views(), in_trouble).await {
                    Ok(troubled) => for guild in troubled {
                        let (roles, members, again) = (true, false, false);
                        waiting.put(Comparison { guild, roles, members, again });
                    },
                    Err(error) => tracing::error!(%error, "the servers in trouble cannot be listed"),
                },
                _ = sweep.tick() => match connected(self.desk.views()).await {
                    Ok(all) => {
                        hidden.store(false, Ordering::Relaxed);
                        for guild in all {
                            let (roles, members, again) = (true, true, false);
                            waiting.put(Comparison { guild, roles, members, again });
                        }
                    }
                    Err(error) => tracing::error!(%error, "the servers cannot be listed for the comparison"),
                },
                Some((guild, ended)) = running.next() => {
                    waiting.ended(guild);
                    if let Ended::Cut(task, pause) = ended {
                        put_off.push_back((Instant::now() + pause, task));
                        put_off.make_contiguous().sort_by_key(|(at, _)| *at);
                    }
                }
                () = wake(wakes) => waiting.resume(put_off.pop_front().map(|(_, task)| task)),
            }
        }
    }
}

async fn wake(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The servers that wait, each once; never two comparisons of one at the same time.
#[derive(Default)]
struct Waiting {
    tasks: VecDeque<Task>,
    running: BTreeSet<GuildId>,
}

impl Waiting {
    fn put(&mut self, Comparison { guild, roles, members, again }: Comparison) {
        let fresh = Task { guild, roles, members, again, after: DiscordUserId(0), tries: 0 };
        // Whoever asks means the server as it is now, so one that is on its way begins anew.
        match self.tasks.iter_mut().find(|task| task.guild == guild) {
            Some(task) => {
                let (roles, members) = (roles || task.roles, members || task.members);
                *task = Task { roles, members, again: again || task.again, ..fresh };
            }
            None => self.tasks.push_back(fresh),
        }
    }

    fn resume(&mut self, task: Option<Task>) {
        if let Some(task) = task
            && !self.tasks.iter().any(|known| known.guild == task.guild)
        {
            self.tasks.push_back(task);
        }
    }

    fn next(&mut self) -> Option<Task> {
        let at = self.tasks.iter().position(|task| !self.running.contains(&task.guild))?;
        let task = self.tasks.remove(at)?;
        self.running.insert(task.guild);
        Some(task)
    }

    fn ended(&mut self, guild: GuildId) {
        self.running.remove(&guild);
    }
}

/// What a comparison needs.
#[derive(Clone, Copy)]
struct Looker<'a> {
    desk: &'a Desk,
    discord: &'a Discord,
    /// Whether Discord has refused to show members; with every sweep it is asked again.
    hidden: &'a AtomicBool,
}

impl Looker<'_> {
    async fn compare(self, task: Task) -> (GuildId, Ended) {
        let guild = task.guild;
        let ended = match self.look_over(task).await {
            Ok(()) | Err(Cut::Ends) => Ended::Done,
            Err(Cut::Later(task, asked)) => {
                let pause = PAUSE.saturating_mul(1 << task.tries.saturating_sub(1).min(8));
                Ended::Cut(task, pause.min(LONGEST_PAUSE).max(asked))
            }
            Err(Cut::Failed(error)) => {
                tracing::warn!(%error, %guild, "a server could not be compared; it is compared again in a while");
                Ended::Cut(task, LONGEST_PAUSE)
            }
        };
        // One that goes on later has not ended.
        if task.members && matches!(ended, Ended::Done) {
            self.desk.comparisons.end(guild, self.desk.now());
        }
        (guild, ended)
    }

    /// Looks at a server and at everybody in it who has something from the Hub.
    async fn look_over(self, mut task: Task) -> Result<(), Cut> {
        let guild = task.guild;
        let integrations = self.desk.views().integrations().by_guild(guild).await?;
        if integrations.is_empty() {
            return Ok(());
        }
        if task.roles {
            self.look_at_server(task).await?;
            task.roles = false;
        }
        if !task.members {
            return Ok(());
        }
        let mut believed = BTreeMap::new();
        for integration in integrations {
            holders(self.desk.views(), &integration, guild, &mut believed).await?;
        }
        let count = |looked_at: usize| u64::try_from(looked_at).unwrap_or(u64::MAX);
        while let Some((first, _)) = believed.range(after(task.after)..).next() {
            let looked_at = believed.range(..=task.after).count();
            self.desk.comparisons.reach(guild, count(looked_at), count(believed.len()));
            task = if self.hidden.load(Ordering::Relaxed) {
                self.look_at_some(task, &believed).await?
            } else {
                self.look_at_page(task, *first, &believed).await?
            };
        }
        Ok(())
    }

    /// Reads a server's roles and tells them.
    async fn look_at_server(self, task: Task) -> Result<(), Cut> {
        for _ in 0..LOOKS {
            let since = Some(self.position());
            let answer = self.discord.look_at_roles(task.guild).await;
            if let Answer::Refused(refusal) = &answer
                && refusal.trouble == Trouble::BotMissing
            {
                self.is_bot_gone(task.guild).await?;
            }
            let (_, roles) = shown(task, answer)?.ok_or(Cut::Ends)?;
            if !self.desk.see_server(NAME, task.guild, roles, since, task.again).await?.confirm {
                break;
            }
        }
        Ok(())
    }

    /// One refusal is no proof that the bot was thrown out; a second one, of another route, is, outside of an outage.
    async fn is_bot_gone(self, guild: GuildId) -> Result<(), DeskError> {
        let Answer::Done(bot) = self.discord.bot_user().await else { return Ok(()) };
        if let Answer::Refused(refusal) = self.discord.look_at(guild, bot).await
            && refusal.trouble == Trouble::BotMissing
            && !self.discord.is_out(guild)
        {
            self.desk.observe(NAME, Observation::BotRemoved { guild }).await?;
        }
        Ok(())
    }

    /// Reads a page of members. It begins where the next one stands whom the Hub knows, so there are never more
    /// pages than members to read one by one.
    async fn look_at_page(
        self,
        task: Task,
        first: DiscordUserId,
        believed: &BTreeMap<DiscordUserId, Believed>,
    ) -> Result<Task, Cut> {
        let (before, since) = (DiscordUserId(first.0.saturating_sub(1)), self.position());
        let Some(page) = shown(task, self.discord.members(task.guild, before).await)? else {
            self.hidden.store(true, Ordering::Relaxed);
            return Ok(task);
        };
        let whole = page.len() >= Discord::PAGE;
        let last = page.last().map(|(id, _)| *id).filter(|_| whole).unwrap_or(LAST);
        let page: BTreeMap<_, _> = page.into_iter().collect();
        let now = self.desk.now();
        let differ = believed
            .range(first..=last)
            .filter(|(user, believed)| believed.differs(page.get(user), now));
        self.look(task, differ.collect(), since).await?;
        Ok(Task { after: last, tries: 0, ..task })
    }

    /// Reads some members one by one.
    async fn look_at_some(
        self,
        task: Task,
        believed: &BTreeMap<DiscordUserId, Believed>,
    ) -> Result<Task, Cut> {
        let (now, since) = (self.desk.now(), self.position());
        let some =
            believed.range(after(task.after)..).filter(|(_, believed)| !believed.is_over(now));
        let some: Vec<_> = some.take(ONE_BY_ONE).collect();
        let last = if some.len() < ONE_BY_ONE { None } else { some.last() };
        let last = last.map_or(LAST, |(user, _)| **user);
        self.look(task, some, since).await?;
        Ok(Task { after: last, tries: 0, ..task })
    }

    /// Where the log stands.
    fn position(self) -> u64 {
        self.desk.store().log().head().0
    }

    async fn look(
        self,
        task: Task,
        members: Vec<(&DiscordUserId, &Believed)>,
        since: u64,
    ) -> Result<(), Cut> {
        let looks = Looks {
            hub: Hub::Direct(self.desk.clone()),
            discord: self.discord.clone(),
            name: NAME.to_owned(),
        };
        let look = |(user, believed): (&DiscordUserId, &Believed)| {
            let (user, removed) = (*user, believed.removed.clone());
            let left = move |seen: &Seen| still_there(removed.as_ref(), seen, self.desk.now());
            looks.look(task.guild, user, since, left)
        };
        let mut looks = stream::iter(members).map(look).buffer_unordered(TOGETHER);
        while let Some(answer) = looks.next().await {
            // One refusal tells little; whether the bot is out is looked at first when it goes on.
            let again = Task { roles: true, tries: task.tries + 1, ..task };
            shown(task, answer)?.ok_or(Cut::Later(again, Duration::ZERO))?;
        }
        Ok(())
    }
}

fn after(user: DiscordUserId) -> DiscordUserId {
    DiscordUserId(user.0.saturating_add(1))
}

/// What Discord shows; `None` where it refuses to.
fn shown<T>(task: Task, answer: Answer<T>) -> Result<Option<T>, Cut> {
    match answer {
        Answer::Done(shown) => Ok(Some(shown)),
        Answer::Refused(_) => Ok(None),
        Answer::Later { after, .. } => {
            let task = Task { tries: task.tries + 1, ..task };
            Err(Cut::Later(task, after.unwrap_or_default()))
        }
        Answer::TokenDead => Err(Cut::Later(task, LONGEST_PAUSE)),
        Answer::Unwanted => Err(Cut::Ends),
    }
}

/// Also one that is being let go: what was refused of it may be a matter of roles that no tier gives any more.
fn in_trouble(state: &State) -> bool {
    let let_go = matches!(state.phase, Phase::Removing { .. });
    let_go || state.bot_missing || !state.troubles().is_empty()
}

/// The servers in which access is given, or has not been taken away yet.
pub(crate) async fn connected(views: &Views) -> Result<BTreeSet<GuildId>, ViewError> {
    servers(views, |_| true).await
}

/// Those of them of which something is so.
async fn servers(
    views: &Views,
    is: impl Fn(&State) -> bool,
) -> Result<BTreeSet<GuildId>, ViewError> {
    let (mut guilds, mut after) = (BTreeSet::new(), Position(0));
    loop {
        let page = views.integrations().changed(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(guilds) };
        after = last.position;
        let some = page.iter().filter(|row| is(&row.state));
        guilds.extend(some.filter_map(|row| row.state.held_guild()));
    }
}

/// Adds what the Hub believes of the accounts that have something in a server, or were seen in it.
async fn holders(
    views: &Views,
    integration: &IntegrationRow,
    guild: GuildId,
    believed: &mut BTreeMap<DiscordUserId, Believed>,
) -> Result<(), ViewError> {
    let (mut after, roles) = (None::<FanId>, integration.state.roles.as_ref());
    loop {
        let page = views.fan_access().fans(integration.id, None, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.fan.clone());
        let there = page.into_iter().filter(|row| {
            row.guild == Some(guild)
                && (row.present != Some(false)
                    || !row.given.is_empty()
                    || row.desired.present
                    || row.removed.is_some()
                    || !row.let_go.is_empty())
        });
        for mut row in there {
            for (account, removed) in std::mem::take(&mut row.let_go) {
                if let Some(account) = account.known() {
                    believed.entry(account.id).or_insert_with(|| Believed::let_go(removed, roles));
                }
            }
            let account = row.account.as_ref().and_then(Personal::known).map(|account| account.id);
            if let Some(account) = account {
                believed.insert(account, Believed::of(row, roles));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles<C: FromIterator<RoleId>>(roles: &[u64]) -> C {
        roles.iter().map(|role| RoleId(*role)).collect()
    }

    fn believed(present: Option<bool>, has: &[u64]) -> Believed {
        Believed { present, joined_at: None, roles: roles(has), removed: None }
    }

    fn minute(n: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + 60 * n, 0).unwrap()
    }

    fn seen(has: &[u64]) -> Seen {
        Seen { joined_at: Some(minute(0)), roles: roles(has) }
    }

    #[test]
    fn only_what_differs_is_looked_at() {
        let differs =
            |believed: &Believed, shown: &[u64]| believed.differs(Some(&seen(shown)), minute(9));
        let there = believed(Some(true), &[1, 2]);
        assert!(!differs(&there, &[1, 2, 9]));
        assert!(differs(&there, &[1]));
        assert!(there.differs(None, minute(9)));
        let gone = believed(Some(false), &[]);
        assert!(differs(&gone, &[]));
        assert!(!gone.differs(None, minute(9)));
        let unknown = believed(None, &[]);
        assert!(differs(&unknown, &[]) && !unknown.differs(None, minute(9)));
    }

    #[test]
    fn what_a_removal_took_is_looked_for_while_it_can_be_told_whose_doing_it_is() {
        let took = |member: bool| {
            let removed = Removed { at: minute(8), roles: roles(&[3]), member, joined_at: None };
            Believed { removed: Some(removed), ..believed(Some(!member), &[]) }
        };
        let stays = took(false);
        assert!(stays.differs(Some(&seen(&[3, 4])), minute(9)));
        assert!(!stays.differs(Some(&seen(&[4])), minute(9)));
        assert!(!stays.differs(Some(&seen(&[3])), minute(20)));
        let gone = took(true);
        assert!(!gone.is_over(minute(9)) && gone.is_over(minute(20)) && !stays.is_over(minute(20)));
    }

    #[test]
    fn a_server_waits_once_and_is_compared_once_at_a_time() {
        let (kim, eve) = (GuildId(1), GuildId(2));
        let mut waiting = Waiting::default();
        let members = |guild| Comparison { guild, roles: false, members: true, again: true };
        waiting.put(members(kim));
        waiting.put(members(eve));
        waiting.put(Comparison { guild: kim, roles: true, members: false, again: false });
        let first = waiting.next().unwrap();
        assert_eq!((first.guild, first.roles, first.members, first.again), (kim, true, true, true));
        waiting.put(members(kim));
        assert_eq!(waiting.next().unwrap().guild, eve);
        assert!(waiting.next().is_none());
        waiting.ended(kim);
        assert_eq!(waiting.next().unwrap().guild, kim);
    }

    #[test]
    fn one_that_was_cut_off_goes_on_unless_it_was_asked_for_anew() {
        let guild = GuildId(1);
        let (members, after) = (true, DiscordUserId(500));
        let cut = Task { guild, roles: false, members, again: false, after, tries: 1 };
        let mut waiting = Waiting::default();
        waiting.resume(Some(cut));
        assert_eq!(waiting.next().unwrap().after, DiscordUserId(500));
        waiting.ended(guild);
        waiting.put(Comparison { guild, roles: false, members, again: false });
        waiting.resume(Some(cut));
        assert_eq!(waiting.next().unwrap().after, DiscordUserId(0));
        assert!(waiting.next().is_none());
    }
}
