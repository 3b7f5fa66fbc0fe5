//! Discord's own rules as far as the Hub must know them: role order, permissions, who can be managed.
//!
//! Sources: Discord's documentation of permissions and roles; ties rank by id, the lower id higher.

use std::{cmp::Ordering, collections::BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    ids::{GuildId, RoleId},
    trouble::Trouble,
};

/// A set of permissions. A decimal string in JSON, as Discord writes it.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[0-9]+$")]
pub struct Permissions(pub u64);

impl Permissions {
    pub const CREATE_INSTANT_INVITE: Self = Self(1);
    pub const KICK_MEMBERS: Self = Self(1 << 1);
    pub const BAN_MEMBERS: Self = Self(1 << 2);
    pub const ADMINISTRATOR: Self = Self(1 << 3);
    pub const MANAGE_CHANNELS: Self = Self(1 << 4);
    pub const MANAGE_GUILD: Self = Self(1 << 5);
    pub const MENTION_EVERYONE: Self = Self(1 << 17);
    pub const MANAGE_ROLES: Self = Self(1 << 28);
    pub const MANAGE_WEBHOOKS: Self = Self(1 << 29);
    pub const MODERATE_MEMBERS: Self = Self(1 << 40);
    /// What the bot asks for when it is installed.
    pub const INSTALL: Self =
        Self(Self::CREATE_INSTANT_INVITE.0 | Self::KICK_MEMBERS.0 | Self::MANAGE_ROLES.0);

    /// What lets somebody change the server or act against others, as Discord names it: nothing to sell unawares.
    pub fn powers(self) -> Vec<&'static str> {
        [
            (Self::ADMINISTRATOR, "Administrator"),
            (Self::MANAGE_GUILD, "Manage Server"),
            (Self::MANAGE_ROLES, "Manage Roles"),
            (Self::MANAGE_CHANNELS, "Manage Channels"),
            (Self::MANAGE_WEBHOOKS, "Manage Webhooks"),
            (Self::KICK_MEMBERS, "Kick Members"),
            (Self::BAN_MEMBERS, "Ban Members"),
            (Self::MODERATE_MEMBERS, "Timeout Members"),
            (Self::MENTION_EVERYONE, "Mention @everyone"),
        ]
        .into_iter()
        .filter(|(power, _)| self.0 & power.0 != 0)
        .map(|(_, name)| name)
        .collect()
    }

    /// Whether every one of `wanted` is granted; an administrator has all of them.
    pub fn allow(self, wanted: Self) -> bool {
        self.0 & Self::ADMINISTRATOR.0 != 0 || self.0 & wanted.0 == wanted.0
    }
}

impl TryFrom<String> for Permissions {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<Permissions> for String {
    fn from(permissions: Permissions) -> String {
        permissions.0.to_string()
    }
}

/// A role of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Role {
    pub id: RoleId,
    pub name: String,
    pub position: i64,
    /// RGB, 0 for none.
    pub color: u32,
    /// Given by an app, by boosting or by a subscription only.
    pub managed: bool,
    pub permissions: Permissions,
}

impl Role {
    /// Discord's order: the greater role ranks higher.
    fn rank(&self, other: &Self) -> Ordering {
        self.position.cmp(&other.position).then(other.id.cmp(&self.id))
    }
}

/// A server as Discord showed it at one moment: its roles, and where the bot stands among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RoleList {
    /// In Discord's order, highest first.
    roles: Vec<Role>,
    bot_roles: BTreeSet<RoleId>,
}

impl RoleList {
    pub fn new(mut roles: Vec<Role>, bot_roles: impl IntoIterator<Item = RoleId>) -> Self {
        roles.sort_by(|a, b| b.rank(a));
        Self { roles, bot_roles: bot_roles.into_iter().collect() }
    }

    /// In Discord's order, highest first.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The same list for those who only ask which roles can be given.
    pub fn without_names(mut self) -> Self {
        for role in &mut self.roles {
            role.name.clear();
            role.color = 0;
        }
        self
    }

    pub fn role(&self, id: RoleId) -> Option<&Role> {
        self.roles.iter().find(|role| role.id == id)
    }

    /// The bot's highest role, over all that it has.
    pub fn bot_top(&self) -> Option<&Role> {
        self.roles.iter().find(|role| self.bot_roles.contains(&role.id))
    }

    /// What the bot may do in the whole server.
    pub fn bot_permissions(&self, guild: GuildId) -> Permissions {
        let held = |role: &&Role| role.id == guild.everyone() || self.bot_roles.contains(&role.id);
        Permissions(self.roles.iter().filter(held).fold(0, |all, role| all | role.permissions.0))
    }

    /// The permissions of the installation that the bot lacks.
    pub fn missing_permissions(&self, guild: GuildId) -> Vec<Trouble> {
        let has = self.bot_permissions(guild);
        [
            (Permissions::MANAGE_ROLES, Trouble::MissingManageRoles),
            (Permissions::KICK_MEMBERS, Trouble::MissingKickMembers),
            (Permissions::CREATE_INSTANT_INVITE, Trouble::MissingCreateInvite),
        ]
        .into_iter()
        .filter(|(wanted, _)| !has.allow(*wanted))
        .map(|(_, trouble)| trouble)
        .collect()
    }

    /// Why the bot cannot give a role; `None` if it can.
    pub fn why_not(&self, guild: GuildId, role: RoleId) -> Option<Trouble> {
        let Some(role) = self.role(role) else { return Some(Trouble::RoleDeleted) };
        if role.id == guild.everyone() {
            return Some(Trouble::RoleEveryone);
        }
        if role.managed {
            return Some(Trouble::RoleManaged);
        }
        if !self.bot_permissions(guild).allow(Permissions::MANAGE_ROLES) {
            return Some(Trouble::MissingManageRoles);
        }
        match self.bot_top() {
            Some(top) if role.rank(top) == Ordering::Less => None,
            Some(top) if role.position == top.position => Some(Trouble::RoleTied),
            Some(_) | None => Some(Trouble::RoleAboveBot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUB: GuildId = GuildId(1);

    fn role(id: u64, position: i64, permissions: Permissions) -> Role {
        Role {
            id: RoleId(id),
            name: format!("r{id}"),
            position,
            color: 0,
            managed: false,
            permissions,
        }
    }

    fn none() -> Permissions {
        Permissions::default()
    }

    fn list(bot_position: i64, bot: Permissions) -> RoleList {
        let mut bot = role(50, bot_position, bot);
        bot.managed = true;
        RoleList::new(
            vec![role(1, 0, none()), role(40, 5, none()), role(60, 5, none()), bot],
            [RoleId(50)],
        )
    }

    #[test]
    fn a_role_below_the_bot_can_be_given() {
        assert_eq!(list(6, Permissions::INSTALL).why_not(CLUB, RoleId(40)), None);
    }

    #[test]
    fn a_role_above_the_bot_cannot_be_given_even_by_an_administrator() {
        assert_eq!(
            list(4, Permissions::ADMINISTRATOR).why_not(CLUB, RoleId(40)),
            Some(Trouble::RoleAboveBot)
        );
    }

    #[test]
    fn on_a_tie_the_lower_id_ranks_higher() {
        let tied = list(5, Permissions::INSTALL);
        assert_eq!(tied.why_not(CLUB, RoleId(40)), Some(Trouble::RoleTied));
        assert_eq!(tied.why_not(CLUB, RoleId(60)), None);
    }

    #[test]
    fn everyone_managed_and_unknown_roles_are_never_given() {
        let list = list(6, Permissions::INSTALL);
        assert_eq!(list.why_not(CLUB, CLUB.everyone()), Some(Trouble::RoleEveryone));
        assert_eq!(list.why_not(CLUB, RoleId(50)), Some(Trouble::RoleManaged));
        assert_eq!(list.why_not(CLUB, RoleId(99)), Some(Trouble::RoleDeleted));
    }

    #[test]
    fn without_manage_roles_nothing_can_be_given() {
        assert_eq!(list(6, none()).why_not(CLUB, RoleId(40)), Some(Trouble::MissingManageRoles));
        assert_eq!(
            list(6, none()).missing_permissions(CLUB),
            [
                Trouble::MissingManageRoles,
                Trouble::MissingKickMembers,
                Trouble::MissingCreateInvite
            ]
        );
    }

    #[test]
    fn the_bot_s_top_role_is_the_highest_of_all_it_has() {
        let extra = role(70, 9, none());
        let mut roles = list(4, Permissions::INSTALL).roles;
        roles.push(extra);
        let list = RoleList::new(roles, [RoleId(50), RoleId(70)]);
        assert_eq!(list.why_not(CLUB, RoleId(40)), None);
    }

    #[test]
    fn powers_are_named_as_discord_names_them() {
        let staff =
            Permissions(Permissions::ADMINISTRATOR.0 | Permissions::BAN_MEMBERS.0 | 1 << 10);
        assert_eq!(staff.powers(), ["Administrator", "Ban Members"]);
    }

    #[test]
    fn the_install_permissions_are_the_ones_that_the_authorize_page_shows() {
        assert_eq!(Permissions::INSTALL.0, 268_435_459);
    }
}
