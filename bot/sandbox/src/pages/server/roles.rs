//! The role list, highest first, with the line below which the bot can give roles.

use crate::{
    pages::look,
    permissions::{self, MANAGE_ROLES},
    world::{Guild, Role, World},
};

pub(super) struct RoleRow {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) tint: String,
    pub(super) holders: usize,
    pub(super) kind: Kind,
    pub(super) highest: bool,
    pub(super) lowest: bool,
    /// What stands below the row where the bot's rank ends.
    pub(super) line: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Everyone,
    OfTheBot,
    OfAnotherApp,
}

impl Kind {
    fn of(world: &World, guild: &Guild, role: &Role) -> Self {
        match role {
            _ if role.id == guild.id => Self::Everyone,
            _ if role.bot == Some(world.bot_user) => Self::OfTheBot,
            _ if role.managed => Self::OfAnotherApp,
            _ => Self::Plain,
        }
    }

    pub(super) fn is_everyone(self) -> bool {
        self == Self::Everyone
    }

    pub(super) fn is_of_the_bot(self) -> bool {
        self == Self::OfTheBot
    }

    pub(super) fn is_managed(self) -> bool {
        matches!(self, Self::OfTheBot | Self::OfAnotherApp)
    }
}

pub(super) fn rows(world: &World, guild: &Guild) -> Vec<RoleRow> {
    let bot = guild.members.get(&world.bot_user);
    let top = bot.and_then(|bot| permissions::top(guild, bot)).map(|role| role.id);
    let line = match bot {
        Some(bot) if permissions::allows(guild, bot, MANAGE_ROLES) => "can give the roles below",
        _ => "lacks Manage Roles",
    };
    let mut order = guild.lowest_first();
    order.reverse();
    let lowest = order.len().checked_sub(2);
    let row = |(at, role): (usize, &&Role)| RoleRow {
        id: role.id,
        name: role.name.clone(),
        tint: look::tint(role.color),
        holders: holders(guild, role.id),
        kind: Kind::of(world, guild, role),
        highest: at == 0,
        lowest: Some(at) == lowest,
        line: (Some(role.id) == top && role.id != guild.id).then_some(line),
    };
    order.iter().enumerate().map(row).collect()
}

fn holders(guild: &Guild, role: u64) -> usize {
    if role == guild.id {
        return guild.members.len();
    }
    guild.members.values().filter(|member| member.roles.contains(&role)).count()
}
