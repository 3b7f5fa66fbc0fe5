//! What the gateway says, read into as little as is needed: a field more or less of the rest changes nothing.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::{DiscordUserId, GuildId, RoleId, discord::RoleList};
use serde::Deserialize;

use crate::discord::{RoleSeen, Seen, UserSeen};

/// Something that the gateway told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A new session, for these servers.
    Ready {
        bot: DiscordUserId,
        guilds: BTreeSet<GuildId>,
        /// Those of them that it does not show yet. Each comes by itself, unless there is an outage.
        unavailable: BTreeSet<GuildId>,
    },
    Resumed,
    /// A server that came with a new session, after an outage or with the bot; without roles where it does not tell
    /// which of them the bot has.
    Server {
        guild: GuildId,
        roles: Option<RoleList>,
    },
    Outage {
        guild: GuildId,
    },
    /// The bot is out.
    Gone {
        guild: GuildId,
    },
    /// The server, its roles or the bot's own roles changed.
    ServerChanged {
        guild: GuildId,
    },
    /// A member; without, somebody who is not a member any more.
    Member {
        guild: GuildId,
        user: DiscordUserId,
        seen: Option<Seen>,
    },
}

#[derive(Deserialize)]
struct Dispatch<'a> {
    #[serde(default)]
    t: Option<&'a str>,
    #[serde(default, borrow)]
    d: Option<&'a serde_json::value::RawValue>,
}

#[derive(Deserialize)]
struct Ready {
    user: UserSeen,
    guilds: Vec<Server>,
}

#[derive(Deserialize)]
struct Server {
    id: GuildId,
    #[serde(default)]
    unavailable: Option<bool>,
    #[serde(default)]
    roles: Vec<RoleSeen>,
    #[serde(default)]
    members: Vec<Member>,
}

#[derive(Deserialize)]
struct OfServer {
    guild_id: GuildId,
}

#[derive(Deserialize)]
struct Member {
    #[serde(default)]
    guild_id: Option<GuildId>,
    user: UserSeen,
    #[serde(default)]
    roles: Vec<RoleId>,
    #[serde(default)]
    joined_at: Option<DateTime<Utc>>,
}

impl Heard {
    /// Reads a message; `None` where it tells nothing that matters. `bot`: the bot's own account, once it is known.
    pub(crate) fn read(
        message: &str,
        bot: Option<DiscordUserId>,
    ) -> Result<Option<Self>, serde_json::Error> {
        let Dispatch { t: Some(kind), d } = serde_json::from_str(message)? else {
            return Ok(None);
        };
        let data = d.map_or("null", serde_json::value::RawValue::get);
        Ok(Some(match kind {
            "READY" => {
                let Ready { user, guilds } = serde_json::from_str(data)?;
                let hidden = guilds.iter().filter(|guild| guild.unavailable == Some(true));
                Self::Ready {
                    bot: user.id,
                    unavailable: hidden.map(|guild| guild.id).collect(),
                    guilds: guilds.iter().map(|guild| guild.id).collect(),
                }
            }
            "RESUMED" => Self::Resumed,
            "GUILD_CREATE" => {
                let Server { id, unavailable, roles, members } = serde_json::from_str(data)?;
                if unavailable == Some(true) {
                    return Ok(Some(Self::Outage { guild: id }));
                }
                let own = members.into_iter().find(|member| Some(member.user.id) == bot);
                let roles = own.map(|own| {
                    RoleList::new(roles.into_iter().map(Into::into).collect(), own.roles)
                });
                Self::Server { guild: id, roles }
            }
            "GUILD_DELETE" => {
                let Server { id, unavailable, .. } = serde_json::from_str(data)?;
                match unavailable {
                    Some(true) => Self::Outage { guild: id },
                    Some(false) | None => Self::Gone { guild: id },
                }
            }
            "GUILD_UPDATE" => {
                let Server { id, .. } = serde_json::from_str(data)?;
                Self::ServerChanged { guild: id }
            }
            "GUILD_ROLE_CREATE" | "GUILD_ROLE_UPDATE" | "GUILD_ROLE_DELETE" => {
                let OfServer { guild_id: guild } = serde_json::from_str(data)?;
                Self::ServerChanged { guild }
            }
            "GUILD_MEMBER_ADD" | "GUILD_MEMBER_UPDATE" | "GUILD_MEMBER_REMOVE" => {
                let Member { guild_id, user, roles, joined_at } = serde_json::from_str(data)?;
                let Some(guild) = guild_id else { return Ok(None) };
                if Some(user.id) == bot && kind != "GUILD_MEMBER_REMOVE" {
                    return Ok(Some(Self::ServerChanged { guild }));
                }
                let seen = Seen { joined_at, roles };
                let seen = (kind != "GUILD_MEMBER_REMOVE").then_some(seen);
                Self::Member { guild, user: user.id, seen }
            }
            _ => return Ok(None),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOT: DiscordUserId = DiscordUserId(9);
    const CLUB: GuildId = GuildId(1);

    fn heard(message: &str) -> Option<Heard> {
        Heard::read(message, Some(BOT)).unwrap()
    }

    #[test]
    fn little_is_needed_of_what_is_told() {
        let ready =
            r#"{"op":0,"t":"READY","s":1,"d":{"user":{"id":"9"},"guilds":[{"id":"1"}],"new":1}}"#;
        let (guilds, unavailable) = ([CLUB].into(), [].into());
        assert_eq!(heard(ready), Some(Heard::Ready { bot: BOT, guilds, unavailable }));
        let server = r#"{"t":"GUILD_CREATE","d":{"id":"1","members":[{"user":{"id":"9"},"roles":["5"]}],
            "roles":[{"id":"5","name":"bot","position":2,"permissions":"8"}]}}"#;
        let Some(Heard::Server { guild: CLUB, roles: Some(roles) }) = heard(server) else {
            panic!("a server with its roles")
        };
        assert_eq!(roles.bot_top().unwrap().id, RoleId(5));
        let server = r#"{"t":"GUILD_CREATE","d":{"id":"1"}}"#;
        assert_eq!(heard(server), Some(Heard::Server { guild: CLUB, roles: None }));
        assert_eq!(heard(r#"{"t":"TYPING_START","d":{}}"#), None);
        assert_eq!(heard(r#"{"op":11}"#), None);
        assert!(Heard::read("{", None).is_err());
    }

    #[test]
    fn an_outage_is_told_apart_from_a_bot_that_is_out() {
        let gone = |more: &str| heard(&format!(r#"{{"t":"GUILD_DELETE","d":{{"id":"1"{more}}}}}"#));
        assert_eq!(gone(r#","unavailable":true"#), Some(Heard::Outage { guild: CLUB }));
        assert_eq!(gone(""), Some(Heard::Gone { guild: CLUB }));
    }

    #[test]
    fn a_change_of_the_bot_s_own_roles_is_a_change_of_the_server() {
        let member = |kind: &str, user: u64| {
            let data = format!(r#"{{"guild_id":"1","user":{{"id":"{user}"}},"roles":["5"]}}"#);
            heard(&format!(r#"{{"t":"GUILD_MEMBER_{kind}","d":{data}}}"#)).unwrap()
        };
        assert_eq!(member("UPDATE", 9), Heard::ServerChanged { guild: CLUB });
        let (guild, user) = (CLUB, DiscordUserId(7));
        let seen = Some(Seen { joined_at: None, roles: vec![RoleId(5)] });
        assert_eq!(member("ADD", 7), Heard::Member { guild, user, seen });
        assert_eq!(member("REMOVE", 7), Heard::Member { guild, user, seen: None });
    }
}
