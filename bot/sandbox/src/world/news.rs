//! What happened in the servers, for people to read; bots hear the same from the gateway.

use chrono::{DateTime, Utc};

use super::World;

/// Somebody or something, by the name that it had when it was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) id: u64,
    pub(crate) name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Joined(Named),
    Gone(Named),
    Kicked(Named),
    Banned(Named),
    Unbanned(Named),
    AcceptedRules(Named),
    Given { member: Named, role: Named },
    Taken { member: Named, role: Named },
    RoleMade(Named),
    RoleChanged(Named),
    RoleDeleted(Named),
    RoleMoved(Named),
    Outage { begins: bool },
}

#[derive(Debug, Clone)]
pub(crate) struct News {
    pub(crate) at: DateTime<Utc>,
    pub(crate) guild: u64,
    pub(crate) what: What,
}

/// How many are kept.
const KEPT: usize = 1_000;

impl World {
    pub(super) fn note(&mut self, guild: u64, what: What) {
        if self.news.len() == KEPT {
            self.news.pop_front();
        }
        self.news.push_back(News { at: self.now, guild, what });
    }

    pub(super) fn named(&self, user: u64) -> Named {
        let name = self.users.get(&user).map_or("deleted_user", |user| &user.username);
        Named { id: user, name: name.to_owned() }
    }

    pub(super) fn role_named(&self, guild: u64, role: u64) -> Named {
        let known = self.guilds.get(&guild).and_then(|guild| guild.roles.get(&role));
        Named { id: role, name: known.map_or("deleted-role", |role| &role.name).to_owned() }
    }
}
