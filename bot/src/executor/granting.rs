//! Brings an account in and gives it its roles.

use domain::{RoleId, Trouble};

use super::{Execution, Stop};
use crate::discord::{Joined, Refusal};

/// Nobody can be brought in without their token.
fn no_token() -> Refusal {
    let detail =
        "Discord gives no token for this account any more; its fan has to connect Discord again";
    Refusal { trouble: Trouble::LinkBroken, http_status: 0, code: 0, detail: detail.to_owned() }
}

impl Execution<'_> {
    pub(super) async fn grant(&mut self) -> Result<(), Stop> {
        // What somebody has from elsewhere is not the Hub's to take later, so it is looked at before giving.
        if self.calls.join || self.calls.grant.is_empty() {
            self.start(None).await?;
        }
        if !self.calls.join && !self.calls.grant.is_empty() {
            self.look().await?;
        } else if self.calls.join {
            self.join().await?;
        }
        // First what is given, then what is taken: nobody stands without access in between.
        let missing: Vec<_> = self.give.iter().copied().collect();
        for role in missing {
            self.give(role).await?;
        }
        for role in self
            .started_roles()
            .difference(&self.command.desired.roles)
            .copied()
            .collect::<Vec<_>>()
        {
            self.take(role).await?;
        }
        Ok(())
    }

    /// Brings the account in. A token may die before its time and have a living successor: it is renewed once.
    async fn join(&mut self) -> Result<(), Stop> {
        let (guild, user) = (self.guild(), self.command.user);
        let Some(token) = self.token.take() else {
            return self.only_if_member(no_token()).await;
        };
        let mut joined = self.discord.join(guild, user, &token).await.settled()?;
        if let Err(refusal) = &joined
            && refusal.trouble == Trouble::LinkBroken
        {
            self.announce(None, Some(&token)).await?;
            if let Some(renewed) = self.token.take() {
                joined = self.discord.join(guild, user, &renewed).await.settled()?;
            }
        }
        match joined {
            Ok(Joined::Added(at)) => {
                self.is_gone();
                (self.present, self.brought_in, self.joined_at) = (Some(true), true, at);
                self.changed = true;
                Ok(())
            }
            Ok(Joined::Already) => self.look().await,
            Err(refusal)
                if matches!(refusal.trouble, Trouble::LinkBroken | Trouble::MissingScope) =>
            {
                self.only_if_member(refusal).await
            }
            Err(refusal) if refusal.trouble == Trouble::BotMissing => {
                self.unseen = self.is_unsure();
                self.bot_missing(refusal).await
            }
            Err(mut refusal) => {
                if refusal.trouble == Trouble::MissingPermissions {
                    refusal.trouble = self.diagnose(None).await?;
                }
                // An earlier join that was not answered may have brought them in.
                if self.is_unsure() {
                    return self.only_if_member(refusal).await;
                }
                self.refuse(refusal.trouble, None, refusal);
                Err(Stop::Refused)
            }
        }
    }

    /// Nobody can be brought in; whoever is in the server already can be given roles all the same.
    async fn only_if_member(&mut self, refusal: Refusal) -> Result<(), Stop> {
        if let Some(seen) = self.member().await? {
            self.start(Some(seen)).await.map(|_| ())
        } else {
            self.is_gone();
            self.refuse(refusal.trouble, None, refusal);
            Err(Stop::Refused)
        }
    }

    async fn give(&mut self, role: RoleId) -> Result<(), Stop> {
        if self.would_be_refused(role) {
            return Ok(());
        }
        let (guild, user) = (self.guild(), self.command.user);
        let mut given = self.discord.add_role(guild, user, role, &self.reason).await.settled()?;
        if let Err(refusal) = &given
            && self.is_mended(role, refusal).await?
        {
            given = self.discord.add_role(guild, user, role, &self.reason).await.settled()?;
        }
        match given {
            Ok(()) => {
                self.unsure.remove(&role);
                self.given.insert(role);
                (self.present, self.changed) = (Some(true), true);
                Ok(())
            }
            Err(refusal) => self.role_refused(role, refusal).await,
        }
    }
}
