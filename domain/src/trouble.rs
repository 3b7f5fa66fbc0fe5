//! What can stand between a fan and their access: a stable code, who can mend it, and how.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::RoleId;

/// Who can mend a trouble.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    Fan,
    Creator,
    Operator,
}

/// What the matter is, and which role it is about.
pub type Matter = (Trouble, Option<RoleId>);

macro_rules! troubles {
    ($($(#[$doc:meta])* $name:ident, $code:literal, $who:ident, $detail:literal, $fix:literal;)*) => {
        /// A trouble's stable code. The number in a variant's doc is Discord's own error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Trouble {
            $($(#[$doc])* #[serde(rename = $code)] $name,)*
        }

        impl Trouble {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            pub fn who(self) -> Who {
                match self { $(Self::$name => Who::$who),* }
            }

            /// What is the matter, in a sentence.
            pub fn detail(self) -> &'static str {
                match self { $(Self::$name => $detail),* }
            }

            /// What to do about it, in a sentence.
            pub fn fix(self) -> &'static str {
                match self { $(Self::$name => $fix),* }
            }
        }
    };
}

troubles! {
    /// `invalid_grant`, 50025
    LinkBroken, "link_broken", Fan,
        "Discord no longer accepts the connection to this account.",
        "Connect Discord again.";
    /// `invalid_grant` after a renewal whose answer was lost
    RenewalLost, "renewal_lost", Fan,
        "Discord's answer to the last renewal of this connection was lost, and it no longer accepts the one before.",
        "Connect Discord again; nobody disconnected anything.";
    /// 50026
    MissingScope, "missing_scope", Fan,
        "Discord was not allowed to add this account to servers.",
        "Connect Discord again and leave “Join servers for you” allowed.";
    LeftServer, "left_server", Fan,
        "This account left the server or was removed from it.",
        "Choose “Restore access” to be brought in again, or join the server by yourself.";
    /// 30001
    ServerLimit, "server_limit_reached", Fan,
        "This account is in as many Discord servers as Discord allows.",
        "Leave a server in Discord, then choose “Restore access”.";
    /// 340015
    JoiningLimited, "joining_limited", Fan,
        "Discord limits how many servers this account may join for now.",
        "Wait some hours, then choose “Restore access”.";
    /// 40002, 50178
    AccountUnverified, "account_unverified", Fan,
        "Discord wants this account to be verified first.",
        "Verify the account's e-mail address or phone in Discord, then choose “Restore access”.";
    /// 10013
    AccountGone, "account_gone", Fan,
        "This Discord account does not exist any more.",
        "Connect another Discord account.";
    /// 40007
    Banned, "banned", Creator,
        "This account is banned from the server.",
        "Lift the ban in Discord under Server Settings → Bans if the fan may come back.";
    /// 30019
    ServerFull, "server_full", Creator,
        "The server has as many members as Discord allows.",
        "Remove members or ask Discord for a higher limit.";
    /// 10004, 50001
    BotMissing, "bot_missing", Creator,
        "The bot is not in the server.",
        "Connect Discord again to bring the bot back.";
    /// 50013
    MissingPermissions, "missing_permissions", Creator,
        "Discord does not let the bot do this: a permission is missing, or the fan stands above the bot.",
        "Check in Discord that the bot's role has Manage Roles, Kick Members and Create Invite and stands above the roles to give, then choose Refresh Roles.";
    /// 50013
    MissingManageRoles, "missing_manage_roles", Creator,
        "The bot lacks the permission Manage Roles.",
        "Give the bot's role Manage Roles in Discord, then choose Refresh Roles.";
    /// 50013
    MissingKickMembers, "missing_kick_members", Creator,
        "The bot lacks the permission Kick Members.",
        "Give the bot's role Kick Members in Discord, or keep fans in the server when their membership ends.";
    /// 50013
    MissingCreateInvite, "missing_create_invite", Creator,
        "The bot lacks the permission Create Invite, which Discord asks for to bring fans in.",
        "Give the bot's role Create Invite in Discord, then choose Refresh Roles.";
    /// 50013 for a removal by a bot that may remove members
    FanAboveBot, "fan_above_bot", Creator,
        "The fan owns the server or stands above the bot, so the bot cannot remove them from it.",
        "Remove them from the server by hand, let them stay, or drag the bot's role above theirs.";
    RoleAboveBot, "role_above_bot", Creator,
        "The role stands above the bot's highest role.",
        "Drag the bot's role above it in Discord under Server Settings → Roles, then choose Refresh Roles.";
    RoleTied, "role_tied_with_bot", Creator,
        "The role has the same position as the bot's highest role and ranks before it.",
        "Drag the bot's role above it in Discord under Server Settings → Roles, then choose Refresh Roles.";
    RoleManaged, "role_managed", Creator,
        "The role belongs to another app or to Discord itself; only its owner gives it.",
        "Choose another role.";
    RoleEveryone, "role_everyone", Creator,
        "Everybody in the server has @everyone; it cannot be given.",
        "Choose another role, or none to give access to the server alone.";
    /// 10011
    RoleDeleted, "role_deleted", Creator,
        "The role does not exist in the server any more.",
        "Choose another role for the tier.";
    /// 50028
    RoleInvalid, "role_invalid", Creator,
        "Discord does not let this role be given.",
        "Choose another role for the tier.";
    Withheld, "withheld", Creator,
        "The creator withholds the access of this fan.",
        "Lift the withholding if the fan may come back.";
    RemovalHeld, "removal_held", Creator,
        "The access is to be taken away together with that of many others, which waits for approval.",
        "Look at the held removals and approve or reject this one; a renewal lifts it by itself.";
    RemovalRejected, "removal_rejected", Creator,
        "The removal was rejected: the access stays although what gave it has ended.",
        "Nothing has to be done. The next report of the membership decides anew; to end it now, withhold the access.";
    RoleTakenAway, "role_taken_away", Creator,
        "Somebody took the role away in Discord, and this integration only reports that.",
        "Give the role again in Discord, or let the integration repair what is taken away.";
    RoleContested, "role_contested", Creator,
        "The role is taken away every time it is given; another bot may be fighting for it.",
        "Find who takes it away in the server's audit log and stop that, then choose Refresh Roles.";
    LeftBehind, "left_behind", Creator,
        "The server was let go before this was taken away, so the Hub does nothing there any more.",
        "Take it away in Discord by hand; where this integration is still there, connecting the server again has it done.";
    /// 60003
    TwoFactorNeeded, "two_factor_needed", Operator,
        "The server asks for two-factor authentication from whoever moderates it.",
        "Turn on two-factor authentication for the Discord account that owns the bot.";
    /// 401, 40001, 50014
    BotTokenDead, "bot_token_dead", Operator,
        "Discord does not accept the bot's token.",
        "Set a new bot token and start the Hub again.";
    Refused, "refused_by_discord", Operator,
        "Discord refused in a way that the Hub does not know.",
        "Look at the answer in the fan's history, and tell the maintainers of the Hub.";
}

impl Trouble {
    /// Whether the server's roles tell it, and so tell for everybody at once when it is over.
    pub fn is_fact_of_server(self) -> bool {
        matches!(
            self,
            Self::BotMissing
                | Self::MissingManageRoles
                | Self::RoleAboveBot
                | Self::RoleTied
                | Self::RoleManaged
                | Self::RoleEveryone
                | Self::RoleDeleted
        )
    }

    /// Whether somebody decided against one fan's access: nothing is out of order then.
    pub fn is_decision(self) -> bool {
        matches!(self, Self::Banned | Self::Withheld)
    }

    /// Whether trying again from time to time can help. Where the fan has to act, their click tries again, and
    /// what is a fact of the server is looked at once for everybody.
    pub fn is_tried_again(self) -> bool {
        self.who() != Who::Fan && self != Self::Banned && !self.is_fact_of_server()
    }

    /// Whether it is about a Discord account, whatever the server.
    pub fn is_of_account(self) -> bool {
        matches!(
            self,
            Self::LinkBroken
                | Self::RenewalLost
                | Self::MissingScope
                | Self::ServerLimit
                | Self::JoiningLimited
                | Self::AccountUnverified
                | Self::AccountGone
        )
    }

    /// Whether it is about a server as a whole, whatever the role.
    pub fn is_of_server(self) -> bool {
        matches!(
            self,
            Self::BotMissing
                | Self::MissingManageRoles
                | Self::MissingKickMembers
                | Self::MissingCreateInvite
        )
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The trouble of a stable code.
pub fn of_code(code: &str) -> Option<Trouble> {
    Trouble::ALL.iter().copied().find(|trouble| trouble.code() == code)
}

/// The trouble that one of Discord's JSON error codes stands for; `None` for codes that do not speak of
/// a fan's access.
pub fn of_discord_code(code: u64) -> Option<Trouble> {
    Some(match code {
        10004 | 50001 => Trouble::BotMissing,
        10011 => Trouble::RoleDeleted,
        10013 => Trouble::AccountGone,
        30001 => Trouble::ServerLimit,
        30019 => Trouble::ServerFull,
        340_015 => Trouble::JoiningLimited,
        40001 | 50014 => Trouble::BotTokenDead,
        40002 | 50178 => Trouble::AccountUnverified,
        40007 => Trouble::Banned,
        50013 => Trouble::MissingPermissions,
        50025 => Trouble::LinkBroken,
        50026 => Trouble::MissingScope,
        50028 => Trouble::RoleInvalid,
        60003 => Trouble::TwoFactorNeeded,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trouble_has_a_code_of_its_own_and_says_what_to_do() {
        let codes: std::collections::BTreeSet<_> = Trouble::ALL.iter().map(|t| t.code()).collect();
        assert_eq!(codes.len(), Trouble::ALL.len());
        for trouble in Trouble::ALL {
            assert!(trouble.detail().ends_with('.') && trouble.fix().ends_with('.'), "{trouble}");
            assert_eq!(serde_json::to_value(trouble).unwrap(), trouble.code());
        }
    }
}
