//! The member list, in groups by everybody's highest role, and who is not in it.

use std::collections::BTreeMap;

use crate::{
    pages::look::{self, Avatar},
    permissions,
    world::{Guild, Member, World},
};

/// More are found by their name.
const MOST: usize = 150;

pub(super) struct Person {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) avatar: Avatar,
    pub(super) tint: String,
    pub(super) bot: bool,
    pub(super) owner: bool,
    pub(super) pending: bool,
}

pub(super) struct Group {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) people: Vec<Person>,
}

pub(super) struct Shown {
    pub(super) groups: Vec<Group>,
    pub(super) hidden: usize,
}

pub(in crate::pages) fn name_of(world: &World, user: u64) -> String {
    world.users.get(&user).map_or("deleted_user", |user| &user.username).to_owned()
}

pub(super) fn avatar(world: &World, user: u64, name: &str) -> Avatar {
    if user == world.bot_user { Avatar::drawn("bot") } else { Avatar::new(user, name) }
}

fn person(world: &World, user: u64) -> Person {
    let name = name_of(world, user);
    Person {
        id: user,
        avatar: avatar(world, user, &name),
        name,
        tint: String::new(),
        bot: user == world.bot_user,
        owner: false,
        pending: false,
    }
}

/// A member's name has the colour of the highest of their roles that has one.
pub(super) fn tint_of(guild: &Guild, member: &Member) -> String {
    let held = member.roles.iter().filter_map(|id| guild.roles.get(id));
    let highest = held.filter(|role| role.color != 0).max_by(|a, b| permissions::rank(a, b));
    highest.map(|role| look::tint(role.color)).unwrap_or_default()
}

fn member(world: &World, guild: &Guild, member: &Member) -> Person {
    Person {
        tint: tint_of(guild, member),
        owner: member.user == guild.owner,
        pending: member.pending,
        ..person(world, member.user)
    }
}

pub(super) fn shown(world: &World, guild: &Guild, find: &str) -> Shown {
    let find = find.trim().to_lowercase();
    let found = |member: &&Member| {
        find.is_empty() || name_of(world, member.user).to_lowercase().contains(&find)
    };
    let mut by_role: BTreeMap<u64, Vec<&Member>> = BTreeMap::new();
    for member in guild.members.values().filter(found) {
        let top = permissions::top(guild, member).map_or(guild.id, |role| role.id);
        by_role.entry(top).or_default().push(member);
    }
    let mut left = MOST;
    let mut hidden = 0;
    let mut groups = vec![];
    for role in guild.lowest_first().into_iter().rev() {
        let Some(members) = by_role.remove(&role.id) else { continue };
        let mut people: Vec<Person> =
            members.into_iter().map(|known| member(world, guild, known)).collect();
        people.sort_by_cached_key(|person| person.name.to_lowercase());
        hidden += people.len().saturating_sub(left);
        people.truncate(left);
        left -= people.len();
        if !people.is_empty() {
            let name = if role.id == guild.id { "No role".to_owned() } else { role.name.clone() };
            groups.push(Group { id: role.id, name, people });
        }
    }
    Shown { groups, hidden }
}

/// People who could join.
pub(super) fn outside(world: &World, guild: &Guild) -> Vec<Person> {
    let may_join = |user: &&u64| {
        **user != world.bot_user && !guild.members.contains_key(user) && !guild.bans.contains(user)
    };
    world.users.keys().filter(may_join).take(MOST).map(|user| person(world, *user)).collect()
}

pub(super) fn banned(world: &World, guild: &Guild) -> Vec<Person> {
    guild.bans.iter().take(MOST).map(|user| person(world, *user)).collect()
}
