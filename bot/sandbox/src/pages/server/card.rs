//! The card beside a server: a member, a role, or the server itself, and what can be done with it.

use super::{
    Looked,
    members::{avatar, name_of, tint_of},
};
use crate::{
    pages::look::{self, Avatar},
    permissions,
    world::{Guild, Role, World},
};

pub(super) enum Card {
    Member(MemberCard),
    Role(RoleCard),
    Settings(SettingsCard),
}

pub(super) struct MemberCard {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) avatar: Avatar,
    pub(super) tint: String,
    pub(super) bot: bool,
    pub(super) owner: bool,
    /// The day of joining.
    pub(super) since: String,
    pub(super) pending: bool,
    pub(super) held: Vec<Choice>,
    /// Roles that could be given by hand.
    pub(super) more: Vec<Choice>,
}

pub(super) struct Choice {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) tint: String,
    /// By hand, a managed role can be neither given nor taken.
    pub(super) fixed: bool,
}

pub(super) struct RoleCard {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) colour: String,
    pub(super) fixed: bool,
    pub(super) everyone: bool,
    pub(super) permissions: Vec<Permission>,
}

pub(super) struct Permission {
    pub(super) bit: u64,
    pub(super) name: &'static str,
    pub(super) held: bool,
}

pub(super) struct SettingsCard {
    pub(super) name: String,
    pub(super) owner: String,
    pub(super) screening: bool,
    pub(super) mfa: bool,
    pub(super) member_limit: String,
}

impl Card {
    /// Nothing where what was looked at is gone.
    pub(super) fn of(world: &World, guild: &Guild, looked: &Looked) -> Option<Self> {
        if let Some(user) = looked.member {
            return member(world, guild, user).map(Self::Member);
        }
        if let Some(role) = looked.role {
            return card_of_role(guild, role).map(Self::Role);
        }
        looked.settings.as_ref().map(|_| {
            Self::Settings(SettingsCard {
                name: guild.name.clone(),
                owner: name_of(world, guild.owner),
                screening: guild.screening,
                mfa: guild.mfa_level == 1,
                member_limit: guild.member_limit.map(|limit| limit.to_string()).unwrap_or_default(),
            })
        })
    }
}

fn member(world: &World, guild: &Guild, user: u64) -> Option<MemberCard> {
    let known = world.users.get(&user)?;
    let member = guild.members.get(&user)?;
    let choice = |role: &&Role| Choice {
        id: role.id,
        name: role.name.clone(),
        tint: look::tint(role.color),
        fixed: role.managed,
    };
    let roles = guild.lowest_first();
    let roles = roles.into_iter().rev().filter(|role| role.id != guild.id);
    let (held, more): (Vec<_>, Vec<_>) = roles.partition(|role| member.roles.contains(&role.id));
    Some(MemberCard {
        id: user,
        name: known.username.clone(),
        avatar: avatar(world, user, &known.username),
        tint: tint_of(guild, member),
        bot: known.bot,
        owner: guild.owner == user,
        since: member.joined_at.format("%-d %B %Y, %H:%M").to_string(),
        pending: member.pending,
        held: held.iter().map(choice).collect(),
        more: more.iter().filter(|role| !role.managed).map(choice).collect(),
    })
}

fn card_of_role(guild: &Guild, role: u64) -> Option<RoleCard> {
    let role = guild.roles.get(&role)?;
    let permissions = permissions::NAMED.iter().map(|(bit, name)| Permission {
        bit: *bit,
        name,
        held: role.permissions & bit != 0,
    });
    Some(RoleCard {
        id: role.id,
        name: role.name.clone(),
        colour: format!("#{:06x}", role.color & 0x00ff_ffff),
        fixed: role.managed,
        everyone: role.id == guild.id,
        permissions: permissions.collect(),
    })
}
