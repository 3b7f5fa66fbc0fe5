//! Takes away what an account has from the Hub.

use domain::{RoleId, Trouble};

use super::{Execution, Stop, Took};

impl Execution<'_> {
    pub(super) async fn revoke(&mut self) -> Result<(), Stop> {
        let hearing = self.discord.hearing(self.guild());
        let compared = self.start(None).await?;
        // Where it is not known what became of a join or a removal, neither is what of the member is the Hub's doing.
        // Nor is it of who may have left and come again by themselves with nobody listening.
        let goes_on = hearing.is_some() && hearing == self.discord.hearing(self.guild());
        let heard = compared && goes_on;
        let unsure = self.known.join_attempted.is_some()
            || (self.calls.kick && (self.known.removal_attempted.is_some() || !heard));
        if unsure {
            self.look().await?;
        }
        if self.calls.kick && self.brought_in && self.kick().await? {
            return Ok(());
        }
        for role in self.started_roles() {
            self.take(role).await?;
        }
        Ok(())
    }

    /// Removes the account from the server, and its roles with it; false where only the roles can be taken.
    async fn kick(&mut self) -> Result<bool, Stop> {
        let refusal = match self
            .discord
            .kick(self.guild(), self.command.user, &self.reason)
            .await
            .settled()?
        {
            Ok(()) => {
                self.took = Took { roles: self.started_roles(), member: true };
                self.changed = true;
                self.is_gone();
                return Ok(true);
            }
            Err(refusal) => refusal,
        };
        match refusal.trouble {
            _ if refusal.not_a_member() => Err(Stop::Gone),
            Trouble::BotMissing => self.bot_missing(refusal).await.map(|()| false),
            Trouble::MissingPermissions => {
                let guild = self.guild();
                let missing = self
                    .role_list()
                    .await?
                    .map(|list| list.missing_permissions(guild))
                    .unwrap_or_default();
                // A bot that may remove members is refused those who stand above it.
                let trouble = match (&self.roles, missing.contains(&Trouble::MissingKickMembers)) {
                    (None, _) => Trouble::MissingPermissions,
                    (Some(_), true) => Trouble::MissingKickMembers,
                    (Some(_), false) => Trouble::FanAboveBot,
                };
                self.refuse(trouble, None, refusal);
                Ok(false)
            }
            trouble => {
                self.refuse(trouble, None, refusal);
                Ok(false)
            }
        }
    }

    pub(super) async fn take(&mut self, role: RoleId) -> Result<(), Stop> {
        let deleted = self.roles.as_ref().is_some_and(|read| read.list.role(role).is_none());
        if !deleted && self.would_be_refused(role) {
            return Ok(());
        }
        let (guild, user) = (self.guild(), self.command.user);
        let mut taken =
            self.discord.remove_role(guild, user, role, &self.reason).await.settled()?;
        if let Err(refusal) = &taken
            && self.is_mended(role, refusal).await?
        {
            taken = self.discord.remove_role(guild, user, role, &self.reason).await.settled()?;
        }
        match taken {
            Ok(()) => {
                self.took.roles.insert(role);
                self.changed = true;
                self.is_nobody_s(role);
                Ok(())
            }
            // A role that is gone is nobody's any more.
            Err(refusal) if refusal.trouble == Trouble::RoleDeleted => {
                self.is_deleted(role).await?;
                self.is_nobody_s(role);
                Ok(())
            }
            Err(refusal) => self.role_refused(role, refusal).await,
        }
    }

    fn is_nobody_s(&mut self, role: RoleId) {
        self.given.remove(&role);
        self.unsure.remove(&role);
    }
}
