//! Looks at one server, and at everybody in it who has something from the Hub.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use domain::{DiscordUserId, GuildId, Trouble};
use futures_util::{StreamExt, stream};

use super::{
    believed::{Believed, holders, still_there},
    waiting::{Roles, Task},
};
use crate::{
    desk::{Desk, DeskError},
    discord::{Answer, Discord, Seen},
    hub::Hub,
    members::Looks,
    wire::Observation,
};

/// How many members are read together.
const TOGETHER: usize = 8;

/// How often a server is read again because something was recorded of it meanwhile.
const LOOKS: usize = 3;

/// The longest pause before it goes on.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// How many are read one by one before a comparison counts as having come further.
const ONE_BY_ONE: usize = 100;

/// Everybody comes after this one.
pub(super) const FIRST: DiscordUserId = DiscordUserId(0);

/// Nobody comes after this one.
const LAST: DiscordUserId = DiscordUserId(u64::MAX);

/// Who is told to have seen it.
const NAME: &str = "reconciler";

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
pub(super) enum Ended {
    Done,
    Cut(Task, Duration),
}

/// What a comparison needs.
#[derive(Clone, Copy)]
pub(super) struct Looker<'a> {
    pub(super) desk: &'a Desk,
    pub(super) discord: &'a Discord,
    /// Whether Discord has refused to show members; with every sweep it is asked again.
    pub(super) hidden: &'a AtomicBool,
    /// The pause before a comparison that was cut off goes on, unless Discord asks for a longer one; it doubles as long
    /// as it does not come further.
    pub(super) pause: Duration,
}

impl Looker<'_> {
    pub(super) async fn compare(self, task: Task) -> (GuildId, Ended) {
        let guild = task.guild;
        let (ended, found) = match self.look_over(task).await {
            Ok(found) => (Ended::Done, Some(found)),
            Err(Cut::Ends) => (Ended::Done, None),
            Err(Cut::Later(task, asked)) => {
                let pause = self.pause.saturating_mul(1 << task.tries.saturating_sub(1).min(8));
                (Ended::Cut(task, pause.min(LONGEST_PAUSE).max(asked)), None)
            }
            Err(Cut::Failed(error)) => {
                tracing::warn!(%error, %guild, "a server could not be compared; it is compared again in a while");
                (Ended::Cut(task, LONGEST_PAUSE), None)
            }
        };
        // One that goes on later has not ended.
        if task.members && matches!(ended, Ended::Done) {
            self.desk.comparisons.end(guild, self.desk.now(), found);
        }
        (guild, ended)
    }

    /// Looks at a server and at everybody in it who has something from the Hub. Answers how often something had been
    /// missed when it began: all of that is found.
    async fn look_over(self, mut task: Task) -> Result<u64, Cut> {
        let guild = task.guild;
        if task.after == FIRST {
            task.misses = self.desk.comparisons.misses(guild);
        }
        let integrations = self.desk.views().integrations().by_guild(guild).await?;
        if integrations.is_empty() {
            return Ok(task.misses);
        }
        if task.roles == Roles::ToRead {
            self.look_at_server(task).await?;
            task.roles = Roles::Shown;
        }
        if !task.members {
            return Ok(task.misses);
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
        Ok(task.misses)
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
            && !self.desk.is_out(guild)
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
            // Of a server that it does not show either, the refusal tells nothing about members.
            if task.roles != Roles::Shown {
                return Err(Cut::Later(
                    Task { roles: Roles::ToRead, tries: task.tries + 1, ..task },
                    Duration::ZERO,
                ));
            }
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
            let again = Task { roles: Roles::ToRead, tries: task.tries + 1, ..task };
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
