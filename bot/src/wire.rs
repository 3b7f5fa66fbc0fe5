//! What a bot process and the Hub say to each other over REST. Any program in any language can say the same.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::{
    DiscordUserId, GuildId, RoleId,
    access::{Desired, Found, Seen, Standing},
    desired::Plan,
    discord::RoleList,
};
use projections::{CommandKind, CommandRow};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::discord;

/// Asks for shards: `want` of the `of` into which all servers fall by Discord's formula.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaseRequest {
    /// The process's name: the same process asks under the same name again.
    pub bot: String,
    pub of: u32,
    pub want: u32,
}

/// A shard that a process holds until `until`, unless it renews it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lease {
    pub shard: u32,
    pub of: u32,
    /// Goes with every report; a report under an older epoch is refused.
    pub epoch: u64,
    pub until: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Leases {
    pub data: Vec<Lease>,
    /// Where the log stands: what is read on Discord from now on goes back with it as `since`.
    pub position: u64,
}

/// Names a lease to renew or release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaseRef {
    pub bot: String,
    pub epoch: u64,
}

/// Asks for a share of the calls that Discord allows to the bot's token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareRequest {
    /// The process's name.
    pub bot: String,
    /// Calls a second that it may be making now: what it was given, or more where its last second still shows it.
    pub using: u32,
    /// Calls a second that it could make now; 0 where it has nothing to do.
    pub wanted: u32,
    /// Calls that Discord refused with 401, 403 or 429 since the last time, except 429 with the scope `shared`.
    pub refused: u32,
}

/// What a process may use of the calls that Discord allows to the bot's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Share {
    /// Never more than this in any second; 0: none until it asks again.
    pub calls_per_second: u32,
    /// How long it may use them unless it asks again, from the moment it asked.
    pub for_seconds: u32,
}

/// What somebody should have in a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DesiredAccess {
    pub present: bool,
    pub roles: BTreeSet<RoleId>,
}

/// The calls that are left to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Calls {
    /// Bring the user in with the token that `start` answers.
    pub join: bool,
    pub grant: BTreeSet<RoleId>,
    pub remove: BTreeSet<RoleId>,
    /// Remove the user from the server, if the Hub is found to have brought them in.
    pub kick: bool,
}

impl From<Plan> for Calls {
    fn from(Plan { join, grant, remove, kick }: Plan) -> Self {
        Self { join, grant, remove, kick }
    }
}

/// What is known of where the user stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Known {
    pub present: Option<bool>,
    pub brought_in: bool,
    /// Since when the user is in the server, by Discord's clock: who came anew has another time.
    pub joined_at: Option<DateTime<Utc>>,
    pub given: BTreeSet<RoleId>,
    /// Desired roles that the user has from elsewhere; they are never taken away.
    pub kept: BTreeSet<RoleId>,
    /// Roles of attempts whose outcome is not known.
    pub maybe_given: BTreeSet<RoleId>,
    /// The first join whose outcome is not known.
    pub join_attempted: Option<DateTime<Utc>>,
    /// The first removal from the server whose outcome is not known.
    pub removal_attempted: Option<DateTime<Utc>>,
}

/// An instruction to bring one user in one server to the desired access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Command {
    pub id: String,
    /// The log position of the decision, the same as `version`.
    pub position: u64,
    pub guild: GuildId,
    pub user: DiscordUserId,
    pub shard: u32,
    /// `grant`, `change` or `revoke`.
    pub kind: CommandKind,
    pub desired: DesiredAccess,
    /// The position of the decision; a command with a higher one supersedes this.
    pub version: u64,
    pub calls: Calls,
    pub known: Known,
    /// A stable code where the command waits for somebody; it is tried again on a slow schedule only.
    pub parked: Option<String>,
}

impl Known {
    /// What is known once a member was looked at.
    pub(crate) fn found(Found { joined_at, brought_in, given, kept }: Found) -> Self {
        Self {
            present: Some(true),
            brought_in,
            joined_at,
            given,
            kept,
            maybe_given: BTreeSet::new(),
            join_attempted: None,
            removal_attempted: None,
        }
    }

    pub(crate) fn of(standing: &Standing) -> Self {
        Self {
            present: standing.present,
            brought_in: standing.brought_in,
            joined_at: standing.joined_at,
            given: standing.given.clone(),
            kept: standing.kept.clone(),
            maybe_given: standing.maybe_given.clone(),
            join_attempted: standing.join_attempted,
            removal_attempted: standing.removal_attempted,
        }
    }
}

impl Command {
    /// A command as one of `of` shards is told it; `None` where the account's data is erased.
    pub fn of(row: &CommandRow, of: u32) -> Option<Self> {
        let Desired { present, roles } = row.desired.clone();
        Some(Self {
            id: row.id.clone(),
            position: row.version,
            guild: row.guild,
            user: row.account.known()?.id,
            shard: row.guild.shard(of),
            kind: row.kind,
            desired: DesiredAccess { present, roles },
            version: row.version,
            calls: row.plan.clone().into(),
            known: Known::of(&row.standing),
            parked: row.parked.map(|(trouble, _)| trouble.code().to_owned()),
        })
    }
}

/// Announces the calls of a command before they are made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRequest {
    pub epoch: u64,
    /// The member as Discord showed them just now. Whoever is in the server already is looked at before roles are given,
    /// so that what they have from elsewhere is never taken for the Hub's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<SeenMember>,
    /// The token that `start` answered, where Discord refused it with 50025. It is renewed once, whatever time it has
    /// left; the answer has no token where Discord does not renew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_token: Option<String>,
}

/// A member as Discord shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeenMember {
    #[serde(default)]
    pub joined_at: Option<DateTime<Utc>>,
    pub roles: BTreeSet<RoleId>,
    /// As `known` told it before: the first join whose answer is lost. Where there is none, the join was answered with
    /// "already there", so the Hub did not bring them in.
    #[serde(default)]
    pub join_attempted: Option<DateTime<Utc>>,
}

impl From<SeenMember> for Seen {
    fn from(SeenMember { joined_at, roles, join_attempted }: SeenMember) -> Self {
        Self { joined_at, roles, join_attempted }
    }
}

/// The attempt is recorded: Discord may be called.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Started {
    /// When this attempt was recorded.
    pub attempted_at: DateTime<Utc>,
    /// Whether the server's members have been compared since a gateway session missed anything of them. If not, or
    /// where nobody listens, look at a user before removing them from the server: they may have left and come again
    /// by themselves.
    pub compared: bool,
    /// The user's token for the join. Missing where the command has none, or where Discord takes none any more:
    /// then only a user who is in the server already can be given roles.
    pub access_token: Option<String>,
    /// The calls that are left to make, as they stand now.
    pub calls: Calls,
    /// The roles to give: after a join that was answered 201, or to the member that `seen` shows. Empty where the user
    /// is, or may be, in the server and was not looked at: look, and start again with `seen`.
    pub give: BTreeSet<RoleId>,
    /// What is known of where the user stands before the calls; with `seen`, what it tells beside.
    pub known: Known,
}

/// How executing a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeResult {
    /// Discord accepted all of it.
    Done,
    /// It is not known what became of it, or Discord asked to wait: it will be tried again.
    TryLater,
    /// Discord refused; `observed` says what was done of it.
    Refused,
    /// A newer command had come; nothing was called.
    Superseded,
}

/// What Discord showed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Observed {
    /// Whether the user is in the server.
    pub present: Option<bool>,
    /// Whether the Hub brought them in: the join was answered 201, or an earlier attempt is found to have been.
    /// Only who says so is ever removed from the server.
    pub brought_in: Option<bool>,
    /// Since when the user is in the server, by Discord's clock, where it told.
    pub joined_at: Option<DateTime<Utc>>,
    /// The roles that the user has from the Hub now; `roles` is understood too.
    #[serde(alias = "roles")]
    pub given: Option<BTreeSet<RoleId>>,
    /// Desired roles that the user had before the Hub came; they are never taken away.
    pub kept: BTreeSet<RoleId>,
    /// The user was a member and is no more.
    pub left: bool,
    /// Discord refused to show the user: what was not known of them before is not known now.
    pub unseen: bool,
}

/// Reports what came of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    pub epoch: u64,
    pub result: OutcomeResult,
    /// For `refused`: Discord's own error code as a number in a text, or one of the Hub's trouble codes.
    #[serde(default)]
    pub code: Option<String>,
    /// The role that a refusal is about.
    #[serde(default)]
    pub role: Option<RoleId>,
    #[serde(default)]
    pub http_status: Option<u16>,
    /// Discord's own words.
    #[serde(default)]
    pub detail: Option<String>,
    /// Where it is missing, `done` means that every call of the command had its effect.
    #[serde(default)]
    pub observed: Option<Observed>,
}

/// A process wants to begin a session on the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentifyRequest {
    /// The process's name.
    pub bot: String,
    pub shard: u32,
    /// How many sessions may begin together, as Discord's `GET /gateway/bot` says.
    #[schema(minimum = 1)]
    pub max_concurrency: u16,
}

/// When it may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IdentifyTurn {
    /// Milliseconds to wait before the session is begun. Whoever asks again before that keeps the turn.
    pub wait_ms: u64,
}

/// The report is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Recorded {
    /// The log position that the report reached.
    pub position: u64,
    /// The command stands still and is to be executed again: what is to be done has grown meanwhile, or the report
    /// does not show all of it.
    #[serde(default)]
    pub again: bool,
}

/// What a bot process saw on Discord beside the answers to its calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Observation {
    /// A server's roles, and which of them the bot has. The bot is in it.
    Server {
        guild: GuildId,
        roles: RoleList,
        /// The log position that was known before the server was read: what was recorded of it after that may be newer
        /// than what was read.
        #[serde(default)]
        since: Option<u64>,
    },
    /// The bot is not in the server any more; an outage does not count.
    BotRemoved { guild: GuildId },
    /// Discord tells that the server is out of order. It is over with the server's roles, with `bot_removed`, and with a
    /// new session of its shard.
    Outage { guild: GuildId },
    /// Events of this server may have been missed: everybody in it is to be looked at.
    Missed {
        guild: GuildId,
        /// Whether its roles are to be read, too, and whether the bot is in it.
        #[serde(default)]
        roles: bool,
    },
    /// A member's roles; without `roles`, somebody who is not a member any more.
    Member {
        guild: GuildId,
        user: DiscordUserId,
        roles: Option<BTreeSet<RoleId>>,
        /// Since when the user is in the server, by Discord's clock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        joined_at: Option<DateTime<Utc>>,
        /// Read for this, and not told by an event that may be older than the last answer.
        confirmed: bool,
        /// The log position that was known before the member was read: whatever was decided or reported about them
        /// after it may be newer than what was read.
        #[serde(default)]
        since: Option<u64>,
        /// What the last report says was taken away, and this reading still shows.
        #[serde(default)]
        still_there: Option<StillThere>,
    },
    /// The servers that a new gateway session says the bot is in, of those that fall into a shard.
    Session { shard: u32, of: u32, guilds: BTreeSet<GuildId> },
}

impl Observation {
    /// A member as the gateway told of them: a hint, to be confirmed by reading. `None`: somebody who is none any more.
    pub(crate) fn heard(guild: GuildId, user: DiscordUserId, seen: Option<discord::Seen>) -> Self {
        Self::Member {
            guild,
            user,
            joined_at: seen.as_ref().and_then(|seen| seen.joined_at),
            roles: seen.map(|seen| seen.roles.into_iter().collect()),
            confirmed: false,
            since: None,
            still_there: None,
        }
    }
}

/// A removal that Discord accepted and that had no effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StillThere {
    pub roles: BTreeSet<RoleId>,
    /// The user is still in the server, and had been brought in by the Hub.
    pub member: bool,
}

/// What became of an observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Noted {
    /// It would be recorded if it were confirmed: read the member and say it again.
    pub confirm: bool,
    /// Where the log stands: what is read from now on goes back with it as `since`.
    pub position: u64,
}
