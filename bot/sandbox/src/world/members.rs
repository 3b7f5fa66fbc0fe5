//! Members: who joins, leaves, is banned, and the roles they hold.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Member, What, World};
use crate::gateway::Event;

impl World {
    /// Tells of a member as if they had just come, as Discord sometimes does of those who are there.
    pub fn tell_of_member_again(&mut self, guild: u64, user: u64) {
        let mut told = self.member_json(guild, user);
        told["guild_id"] = json!(guild.to_string());
        self.tell_of_members("GUILD_MEMBER_ADD", guild, told);
    }

    /// Lets somebody join by themselves. Whoever is there already stays as they are.
    pub fn add_member(&mut self, guild: u64, user: u64) -> bool {
        let now = self.now;
        let Some(known) = self.guilds.get_mut(&guild) else { return false };
        if known.members.contains_key(&user) {
            return false;
        }
        let pending = known.screening && user != known.owner;
        known
            .members
            .insert(user, Member { user, roles: BTreeSet::new(), joined_at: now, pending });
        // A bot that comes hears of the server as a whole, and not of itself.
        if user != self.bot_user {
            self.tell_of_member_again(guild, user);
        }
        self.note(guild, What::Joined(self.named(user)));
        true
    }

    /// Lets somebody go, by themselves or otherwise; Discord tells a bot no more than that they are gone.
    pub fn remove_member(&mut self, guild: u64, user: u64) -> bool {
        let gone = self.part(guild, user);
        if gone {
            self.note(guild, What::Gone(self.named(user)));
        }
        gone
    }

    /// Removes somebody by a moderator's hand; they may come back.
    pub fn kick(&mut self, guild: u64, user: u64, reason: Option<String>) -> bool {
        let gone = self.part(guild, user);
        if gone {
            self.audit(guild, 20, user, reason);
            self.note(guild, What::Kicked(self.named(user)));
        }
        gone
    }

    fn part(&mut self, guild: u64, user: u64) -> bool {
        let gone =
            self.guilds.get_mut(&guild).and_then(|guild| guild.members.remove(&user)).is_some();
        if gone && user == self.bot_user {
            // The last that it hears of the server.
            let (kind, data) = ("GUILD_DELETE", json!({ "id": guild.to_string() }));
            self.told.push(Event { kind, guild, of_members: false, data });
            self.remove_bot_role(guild);
        } else if gone {
            let told = json!({ "guild_id": guild.to_string(), "user": self.user_json(user) });
            self.tell_of_members("GUILD_MEMBER_REMOVE", guild, told);
        }
        gone
    }

    /// Removes somebody and keeps them out.
    pub fn ban(&mut self, guild: u64, user: u64) {
        self.part(guild, user);
        self.audit(guild, 22, user, None);
        if self.guilds.get_mut(&guild).is_some_and(|guild| guild.bans.insert(user)) {
            self.note(guild, What::Banned(self.named(user)));
        }
    }

    pub fn unban(&mut self, guild: u64, user: u64) {
        if self.guilds.get_mut(&guild).is_some_and(|guild| guild.bans.remove(&user)) {
            self.note(guild, What::Unbanned(self.named(user)));
        }
    }

    /// Gives or takes a role by a moderator's hand.
    pub fn set_role(&mut self, guild: u64, user: u64, role: u64, held: bool) -> bool {
        let member = self.guilds.get_mut(&guild).and_then(|guild| guild.members.get_mut(&user));
        let Some(member) = member else { return false };
        let changed = if held { member.roles.insert(role) } else { member.roles.remove(&role) };
        if changed {
            self.member_updated(guild, user);
            let (member, role) = (self.named(user), self.role_named(guild, role));
            let what =
                if held { What::Given { member, role } } else { What::Taken { member, role } };
            self.note(guild, what);
        }
        true
    }

    /// Lets a new member accept the server's rules.
    pub fn accept_rules(&mut self, guild: u64, user: u64) {
        if let Some(member) =
            self.guilds.get_mut(&guild).and_then(|guild| guild.members.get_mut(&user))
        {
            let was_pending = std::mem::take(&mut member.pending);
            self.member_updated(guild, user);
            if was_pending {
                self.note(guild, What::AcceptedRules(self.named(user)));
            }
        }
    }

    pub(crate) fn member_updated(&mut self, guild: u64, user: u64) {
        let mut told = self.member_json(guild, user);
        told["guild_id"] = json!(guild.to_string());
        self.tell_of_members("GUILD_MEMBER_UPDATE", guild, told);
    }
}
