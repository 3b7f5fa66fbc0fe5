//! Members, read one by one, and what is seen told to the Hub.

use domain::{DiscordUserId, GuildId};

use crate::{
    discord::{Answer, Discord, Seen},
    hub::Hub,
    wire::{Noted, Observation, StillThere},
};

/// How often a member is read again because something was reported meanwhile.
const LOOKS: usize = 3;

/// Reads members and tells the Hub. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Looks {
    pub(crate) hub: Hub,
    pub(crate) discord: Discord,
    /// Who is told to have seen it.
    pub(crate) name: String,
}

impl Looks {
    /// Reads one member and tells what is seen. `since`: where the log stood before. [`Answer::Later`] where the Hub does
    /// not take it in, too.
    pub(crate) async fn look_at(
        &self,
        guild: GuildId,
        user: DiscordUserId,
        since: u64,
    ) -> Answer<()> {
        self.look(guild, user, since, |_| None).await
    }

    /// The same; `still_there`: what of the member was said to have been taken away.
    pub(crate) async fn look(
        &self,
        guild: GuildId,
        user: DiscordUserId,
        mut since: u64,
        still_there: impl Fn(&Seen) -> Option<StillThere>,
    ) -> Answer<()> {
        for _ in 0..LOOKS {
            let seen = match self.discord.look_at(guild, user).await {
                Answer::Done(seen) => Some(seen),
                Answer::Refused(refusal) if refusal.not_a_member() => None,
                other => return other.without(),
            };
            let observation = Observation::Member {
                guild,
                user,
                still_there: seen.as_ref().and_then(&still_there),
                joined_at: seen.as_ref().and_then(|seen| seen.joined_at),
                roles: seen.map(|seen| seen.roles.into_iter().collect()),
                confirmed: true,
                since: Some(since),
            };
            match self.hub.observe(&self.name, observation).await {
                // Something was reported while the member was read.
                Ok(Noted { confirm: true, position }) => since = position,
                Ok(_) => break,
                Err(error) => return Answer::Later { why: error.to_string(), after: None },
            }
        }
        Answer::Done(())
    }
}
