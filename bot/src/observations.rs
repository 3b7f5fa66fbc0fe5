//! What becomes of things that were seen on Discord beside the answers to calls.

use std::collections::BTreeSet;

use domain::{
    DiscordUserId, GuildId, RoleId,
    access::{self, Access, Holder, Sighting},
    account::{self, DiscordAccount},
    integration::{self, Integration},
};
use eventstore::HandleError;

use crate::{
    desk::{Desk, DeskError},
    wire::{Noted, Observation},
};

impl Desk {
    pub async fn observe(&self, bot: &str, observation: Observation) -> Result<Noted, DeskError> {
        match observation {
            Observation::Server { guild, roles } => {
                let seen = [
                    integration::Command::ObserveBot { present: true },
                    integration::Command::RefreshRoles { roles },
                ];
                self.observe_server(bot, guild, &seen).await?;
            }
            Observation::BotRemoved { guild } => {
                let seen = [integration::Command::ObserveBot { present: false }];
                self.observe_server(bot, guild, &seen).await?;
            }
            Observation::Missed { guild } => self.compare(guild),
            Observation::Member { guild, user, roles, confirmed } => {
                return self.observe_member(bot, guild, user, roles, confirmed).await;
            }
        }
        Ok(Noted { confirm: false })
    }

    async fn observe_server(
        &self,
        bot: &str,
        guild: GuildId,
        seen: &[integration::Command],
    ) -> Result<(), DeskError> {
        for row in self.views.integrations().by_guild(guild).await? {
            let mut attempts = self.store.attempts();
            loop {
                let mut decision = self.store.begin(self.metadata(bot), None);
                for command in seen {
                    let stream = integration::stream(row.id);
                    match decision.handle::<Integration>(&stream, command.clone().to(row.id)).await
                    {
                        // One that is not connected there any more has nothing to learn.
                        Ok(_) | Err(HandleError::Refused(_)) => {}
                        Err(HandleError::Store(error)) => return Err(error.into()),
                    }
                }
                if decision.commit(&mut attempts).await?.is_some() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// What a member's roles, or a member's absence, mean for the fan whose account it is.
    async fn observe_member(
        &self,
        bot: &str,
        guild: GuildId,
        user: DiscordUserId,
        roles: Option<BTreeSet<RoleId>>,
        confirmed: bool,
    ) -> Result<Noted, DeskError> {
        let nothing = Noted { confirm: false };
        let account_key = self.store.vault().account_key(user);
        let account =
            self.store.load::<DiscordAccount>(&account::stream(&account_key)).await?.state;
        let Some(fan) = account.holder else { return Ok(nothing) };
        let stream = access::stream(guild, &fan);
        let state = self.store.load::<Access>(&stream).await?.state;
        let Some(standing) = state.standings.get(&account_key) else { return Ok(nothing) };
        // While calls of ours are on their way, what is seen may be their doing.
        let unsettled = standing.removal_attempted.is_some()
            || standing.join_attempted.is_some()
            || !standing.maybe_given.is_empty();
        let sighting = match roles {
            _ if unsettled => return Ok(nothing),
            None if standing.present == Some(true) => Sighting::Left,
            Some(_) if standing.gone.is_some() => Sighting::Returned,
            Some(roles) => Sighting::Missing(standing.given.difference(&roles).copied().collect()),
            None => return Ok(nothing),
        };
        if let Sighting::Missing(missing) = &sighting {
            if missing.is_empty() {
                return Ok(nothing);
            }
            if !confirmed {
                return Ok(Noted { confirm: true });
            }
        }
        let holder = Holder { guild, fan, account: standing.account.clone(), account_key };
        let command = access::Command::Observe { holder, sighting };
        match self.store.handle::<Access>(&stream, command, self.metadata(bot), None).await {
            Ok(_) | Err(HandleError::Refused(_)) => Ok(nothing),
            Err(HandleError::Store(error)) => Err(error.into()),
        }
    }
}
