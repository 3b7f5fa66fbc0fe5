//! Roles: made, changed, put in order; and the bot, which has a role of its own.

use serde_json::json;

use super::{Guild, Named, NewRole, Role, What, World, shapes::role_json};
use crate::permissions;

impl Guild {
    /// The roles by rank, `@everyone` first.
    pub fn lowest_first(&self) -> Vec<&Role> {
        let mut roles: Vec<_> = self.roles.values().collect();
        // A role at position 0 beside `@everyone` would rank below it where its id is higher.
        roles.sort_by(|a, b| {
            (a.id != self.id).cmp(&(b.id != self.id)).then_with(|| permissions::rank(a, b))
        });
        roles
    }
}

impl World {
    pub fn add_role(&mut self, guild: u64, new: NewRole) -> Option<u64> {
        let id = new.id.unwrap_or_else(|| self.make_id());
        let role = Role {
            id,
            name: new.name,
            position: new.position,
            permissions: new.permissions,
            color: new.color,
            managed: new.managed,
            bot: None,
            mark: new.mark,
        };
        self.guilds.get_mut(&guild)?.roles.insert(id, role.clone());
        self.tell(
            "GUILD_ROLE_CREATE",
            guild,
            json!({ "guild_id": guild.to_string(), "role": role_json(&role) }),
        );
        self.note(guild, What::RoleMade(Named { id, name: role.name }));
        Some(id)
    }

    /// Changes a role; whoever made the change is not asked for permission.
    pub fn edit_role(&mut self, guild: u64, role: u64, edit: impl FnOnce(&mut Role)) -> bool {
        let Some(known) = self.guilds.get_mut(&guild).and_then(|guild| guild.roles.get_mut(&role))
        else {
            return false;
        };
        let position = known.position;
        edit(known);
        let named = Named { id: role, name: known.name.clone() };
        let moved = known.position != position;
        self.role_updated(guild, role);
        self.note(guild, if moved { What::RoleMoved(named) } else { What::RoleChanged(named) });
        true
    }

    /// Puts a role right above another one, as dragging it does: every role but `@everyone` then has a
    /// position of its own. `above` is `@everyone` for the lowest place.
    pub fn place_role(&mut self, guild: u64, role: u64, above: u64) -> bool {
        let Some(known) = self.guilds.get_mut(&guild) else { return false };
        if role == guild || role == above || !known.roles.contains_key(&role) {
            return false;
        }
        let mut order: Vec<u64> = known.lowest_first().into_iter().map(|role| role.id).collect();
        let before = order.clone();
        order.retain(|id| *id != role);
        let Some(below) = order.iter().position(|id| *id == above) else { return false };
        order.insert(below + 1, role);
        let mut updated = vec![];
        for (position, id) in (0..).zip(&order) {
            if let Some(role) = known.roles.get_mut(id)
                && role.position != position
            {
                role.position = position;
                updated.push(*id);
            }
        }
        for role in updated {
            self.role_updated(guild, role);
        }
        if order != before {
            self.note(guild, What::RoleMoved(self.role_named(guild, role)));
        }
        true
    }

    fn role_updated(&mut self, guild: u64, role: u64) {
        let known = self.guilds.get(&guild).and_then(|guild| guild.roles.get(&role));
        if let Some(role) = known.map(role_json) {
            let told = json!({ "guild_id": guild.to_string(), "role": role });
            self.tell("GUILD_ROLE_UPDATE", guild, told);
        }
    }

    pub fn delete_role(&mut self, guild: u64, role: u64) -> bool {
        let Some(known) = self.guilds.get_mut(&guild) else { return false };
        let gone = known.roles.remove(&role);
        for member in known.members.values_mut() {
            member.roles.remove(&role);
        }
        let told = json!({ "guild_id": guild.to_string(), "role_id": role.to_string() });
        self.tell("GUILD_ROLE_DELETE", guild, told);
        if let Some(Role { id, name, .. }) = &gone {
            self.note(guild, What::RoleDeleted(Named { id: *id, name: name.clone() }));
        }
        gone.is_some()
    }

    /// Deletes a role and leaves its id with its members, as Discord does on large servers.
    pub fn delete_role_leaving_ghosts(&mut self, guild: u64, role: u64) {
        let Some(known) = self.guilds.get_mut(&guild) else { return };
        known.roles.remove(&role);
        let told = json!({ "guild_id": guild.to_string(), "role_id": role.to_string() });
        self.tell("GUILD_ROLE_DELETE", guild, told);
    }

    /// Brings the bot into a server with a role of its own that holds `granted`, below every other role.
    pub fn add_bot(&mut self, guild: u64, granted: u64) {
        let bot = self.bot_user;
        let id = self.make_id();
        let name = self.users.get(&bot).map(|user| user.username.clone()).unwrap_or_default();
        let Some(known) = self.guilds.get_mut(&guild) else { return };
        let own = known.roles.values().find(|role| role.bot == Some(bot)).map(|role| role.id);
        let own = own.unwrap_or_else(|| {
            // Discord puts a new app's role at the bottom, above @everyone.
            for role in known.roles.values_mut().filter(|role| role.position > 0) {
                role.position += 1;
            }
            let role = Role {
                id,
                name,
                position: 1,
                permissions: 0,
                color: 0,
                managed: true,
                bot: Some(bot),
                mark: None,
            };
            known.roles.insert(id, role);
            id
        });
        if let Some(role) = known.roles.get_mut(&own) {
            role.permissions = granted;
        }
        self.add_member(guild, bot);
        if let Some(member) =
            self.guilds.get_mut(&guild).and_then(|guild| guild.members.get_mut(&bot))
        {
            member.roles.insert(own);
        }
        self.audit(guild, 28, bot, None);
        let told = self.guild_create_json(guild);
        self.tell("GUILD_CREATE", guild, told);
    }

    /// An app's role goes with the app.
    pub(super) fn remove_bot_role(&mut self, guild: u64) {
        let own = self.bot_role(guild);
        if let (Some(own), Some(known)) = (own, self.guilds.get_mut(&guild)) {
            known.roles.remove(&own);
        }
    }

    /// The role that belongs to the bot in a server.
    pub fn bot_role(&self, guild: u64) -> Option<u64> {
        self.guilds
            .get(&guild)?
            .roles
            .values()
            .find(|role| role.bot == Some(self.bot_user))
            .map(|role| role.id)
    }
}
