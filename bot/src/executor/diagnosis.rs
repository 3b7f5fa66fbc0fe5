//! Finds out why Discord refused something, and whether that is so.

use domain::{RoleId, Trouble, discord::RoleList};

use super::{Ended, Execution, RolesRead, Stop};
use crate::discord::{Refusal, Seen};

impl Execution<'_> {
    /// One such answer is no proof: the server's roles must not show the role either.
    pub(super) async fn is_deleted(&mut self, role: RoleId) -> Result<(), Stop> {
        match self.role_list().await? {
            Some(list) if list.role(role).is_none() => Ok(()),
            Some(_) | None => Err(Stop::now(Ended::Later {
                why: "Discord did not know a role, and does not show that it is gone".to_owned(),
                after: None,
            })),
        }
    }

    /// Whether the server's roles, read after a refusal, tell that this one would be refused too; that counts as its
    /// refusal.
    pub(super) fn would_be_refused(&mut self, role: RoleId) -> bool {
        let guild = self.guild();
        let why = self.roles.as_ref().and_then(|read| read.list.why_not(guild, role));
        let Some(trouble) = why else { return false };
        let detail = "the server's roles show that Discord would refuse it".to_owned();
        self.refuse(trouble, Some(role), Refusal { trouble, http_status: 0, code: 0, detail });
        true
    }

    /// Whether a role was refused that the server's roles, read after it, show nothing against: what stood in the way
    /// may be over, and then one more call tells.
    pub(super) async fn is_mended(
        &mut self,
        role: RoleId,
        refusal: &Refusal,
    ) -> Result<bool, Stop> {
        let asked = refusal.trouble == Trouble::MissingPermissions && refusal.http_status > 0;
        let unread = self.roles.is_none();
        Ok(asked && unread && self.diagnose(Some(role)).await? == Trouble::MissingPermissions)
    }

    pub(super) async fn role_refused(
        &mut self,
        role: RoleId,
        refusal: Refusal,
    ) -> Result<(), Stop> {
        match refusal.trouble {
            _ if refusal.not_a_member() => Err(Stop::Gone),
            Trouble::BotMissing => self.bot_missing(refusal).await,
            Trouble::MissingPermissions => {
                let trouble = self.diagnose(Some(role)).await?;
                let shown = trouble != Trouble::MissingPermissions;
                if shown {
                    self.discord.refuses_role(self.guild(), role, &refusal);
                } else if refusal.http_status == 0 {
                    let why = "the server's roles have changed since it was refused".to_owned();
                    return Err(Stop::now(Ended::Later { why, after: None }));
                }
                self.refuse(trouble, Some(role), refusal);
                Ok(())
            }
            Trouble::RoleDeleted => {
                self.is_deleted(role).await?;
                self.refuse(refusal.trouble, Some(role), refusal);
                Ok(())
            }
            Trouble::RoleInvalid => {
                let guild = self.guild();
                let list = self.role_list().await?;
                let trouble = list.and_then(|list| list.why_not(guild, role));
                self.refuse(trouble.unwrap_or(refusal.trouble), Some(role), refusal);
                Ok(())
            }
            trouble => {
                self.refuse(trouble, None, refusal);
                Err(Stop::Refused)
            }
        }
    }

    /// What exactly stands behind a 50013.
    pub(super) async fn diagnose(&mut self, role: Option<RoleId>) -> Result<Trouble, Stop> {
        let guild = self.guild();
        let Some(list) = self.role_list().await? else { return Ok(Trouble::MissingPermissions) };
        let missing = list.missing_permissions(guild);
        Ok(match role {
            Some(role) => list.why_not(guild, role).unwrap_or(Trouble::MissingPermissions),
            None if missing.contains(&Trouble::MissingCreateInvite) => Trouble::MissingCreateInvite,
            None => Trouble::MissingPermissions,
        })
    }

    /// The server's roles as they are now; `None` where Discord does not show them.
    pub(super) async fn role_list(&mut self) -> Result<Option<&RoleList>, Stop> {
        if self.roles.is_none() {
            let since = self.announcing.hub.position();
            let read = self.discord.role_list(self.guild()).await.settled()?.ok();
            self.roles = read.map(|(_, list)| RolesRead { list, since });
        }
        Ok(self.roles.as_ref().map(|read| &read.list))
    }

    /// One such answer is no proof that the bot is gone: Discord gives it in outages too.
    pub(super) async fn bot_missing(&mut self, refusal: Refusal) -> Result<(), Stop> {
        if self.discord.is_out(self.guild()) {
            let why = "the server is out of order".to_owned();
            return Err(Stop::now(Ended::Later { why, after: None }));
        }
        match self.discord.role_list(self.guild()).await.settled()? {
            Ok(_) => Err(Stop::now(Ended::Later {
                why: "Discord said that the bot is not in the server, and then that it is"
                    .to_owned(),
                after: None,
            })),
            Err(second) => {
                let trouble = if second.trouble == Trouble::BotMissing {
                    Trouble::BotMissing
                } else {
                    refusal.trouble
                };
                self.refuse(trouble, None, refusal);
                Err(Stop::Refused)
            }
        }
    }

    /// The member as Discord shows them; `None` where they are not in the server.
    pub(super) async fn member(&mut self) -> Result<Option<Seen>, Stop> {
        match self.discord.member(self.guild(), self.command.user).await.settled()? {
            Ok(seen) => Ok(Some(seen)),
            Err(refusal) if refusal.not_a_member() => Ok(None),
            Err(refusal) if refusal.trouble == Trouble::BotMissing => {
                self.unseen = self.is_unsure();
                self.bot_missing(refusal).await.map(|()| None)
            }
            Err(refusal) => {
                self.unseen = self.is_unsure();
                self.refuse(refusal.trouble, None, refusal);
                Err(Stop::Refused)
            }
        }
    }
}
