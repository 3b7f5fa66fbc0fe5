//! Discord's REST API with the bot's token: the one file that calls it.
//!
//! twilight builds every request; the room's own client carries it, because rate limits and refusals speak in
//! headers that twilight's client keeps to itself. Of an answer only what is needed is read.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use domain::{
    DiscordUserId, GuildId, RoleId, Trouble,
    discord::{Permissions, Role, RoleList},
    integration::Server,
    trouble,
};
use reqwest::{StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{sync::OnceCell, time::timeout};
use tokio_util::sync::CancellationToken;
use twilight_http::{
    Client,
    request::{AuditLogReason, Method, Request, TryIntoRequest},
};
use twilight_model::id::Id;

use crate::{
    http::{self, ClientError, DEADLINE},
    pacing::{Pacer, Route, retry_after},
    settings::DiscordSettings,
};

/// What Discord said to a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer<T> {
    Done(T),
    Refused(Refusal),
    /// It is not known what became of the call, or Discord asked to wait.
    Later {
        why: String,
        after: Option<Duration>,
    },
    /// Discord does not take the bot's token any more: nothing can be done until it is changed.
    TokenDead,
    /// The call was not made: while it waited for its turn, what it was for was no longer wanted.
    Unwanted,
}

/// Discord's no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub trouble: Trouble,
    pub http_status: u16,
    /// Discord's own error code; 0 where it gave none.
    pub code: u64,
    pub detail: String,
}

impl Refusal {
    /// Whether the user is not in the server: 10007, or 10013 for an account that is gone.
    pub fn not_a_member(&self) -> bool {
        matches!(self.code, 10007 | 10013)
    }
}

/// How a join ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// 201: the call brought them in, at this time by Discord's clock.
    Added(Option<DateTime<Utc>>),
    /// 204: they were there; nothing changed.
    Already,
}

/// A member as Discord shows them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Seen {
    #[serde(default)]
    pub joined_at: Option<DateTime<Utc>>,
    pub roles: Vec<RoleId>,
}

/// What is read of a server. Whatever else Discord tells, or may tell one day, is nobody's business here.
#[derive(Deserialize)]
struct GuildSeen {
    name: String,
    #[serde(default)]
    icon: Option<String>,
    roles: Vec<RoleSeen>,
    /// 1: whoever moderates needs two-factor authentication, for a bot its owner.
    #[serde(default)]
    mfa_level: u8,
}

#[derive(Deserialize)]
pub(crate) struct RoleSeen {
    id: RoleId,
    name: String,
    position: i64,
    #[serde(default)]
    managed: bool,
    permissions: Permissions,
    /// Superseded by `colors`, which a server that stands in for Discord may not have.
    #[serde(default)]
    color: u32,
    #[serde(default)]
    colors: Option<ColorsSeen>,
    #[serde(default)]
    tags: serde_json::Map<String, serde_json::Value>,
}

impl From<RoleSeen> for Role {
    fn from(role: RoleSeen) -> Self {
        Self {
            id: role.id,
            name: role.name,
            position: role.position,
            color: role.colors.map_or(role.color, |colors| colors.primary_color),
            managed: role.managed || OWNED.iter().any(|tag| role.tags.contains_key(*tag)),
            permissions: role.permissions,
        }
    }
}

/// The tags of roles that only their owner gives: an app, boosting, a subscription, linked accounts. A tag that has no
/// value is there.
const OWNED: [&str; 5] = [
    "bot_id",
    "integration_id",
    "premium_subscriber",
    "subscription_listing_id",
    "guild_connections",
];

#[derive(Deserialize)]
struct ColorsSeen {
    primary_color: u32,
}

#[derive(Deserialize)]
pub(crate) struct UserSeen {
    pub(crate) id: DiscordUserId,
    /// Of a bot it tells whether its owner has two-factor authentication.
    #[serde(default)]
    mfa_enabled: Option<bool>,
}

/// The application's flags that allow to hear of members: for many servers, and for few.
const MEMBERS_INTENT: u64 = 1 << 14 | 1 << 15;

#[derive(Deserialize)]
struct ApplicationSeen {
    #[serde(default)]
    flags: Option<u64>,
}

/// How the bot stands in a server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Standing {
    pub(crate) roles: RoleList,
    /// Whether the server wants whoever moderates it to have two-factor authentication.
    pub(crate) asks_for_two_factor: bool,
    /// Whether whoever owns the bot has it; `None` where Discord does not tell.
    pub(crate) two_factor: Option<bool>,
    /// Whether the application may hear of members; `None` where Discord does not tell.
    pub(crate) hears_of_members: Option<bool>,
}

/// Where the gateway is, and how it wants to be used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Gateway {
    pub(crate) url: String,
    /// Into how many shards Discord would divide the servers of this bot.
    pub(crate) shards: u32,
    pub(crate) session_start_limit: SessionStartLimit,
}

/// How often sessions may be started.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct SessionStartLimit {
    pub(crate) total: u32,
    pub(crate) remaining: u32,
    /// Milliseconds.
    pub(crate) reset_after: u64,
    pub(crate) max_concurrency: u16,
}

/// Speaks to Discord as the bot. Cloning is cheap.
#[derive(Clone)]
pub struct Discord {
    inner: Arc<Inner>,
    /// No call begins once this is cancelled: what it was for is no longer wanted.
    until: CancellationToken,
}

struct Inner {
    /// Builds requests; it never sends them.
    requests: Client,
    http: reqwest::Client,
    settings: DiscordSettings,
    pacer: Pacer,
    bot_user: OnceCell<DiscordUserId>,
    /// The servers that are out of order, as the gateway tells: what is answered about them proves nothing.
    outages: Mutex<BTreeSet<GuildId>>,
}

/// An answer that has arrived.
struct Arrived {
    status: StatusCode,
    body: Vec<u8>,
}

impl Discord {
    pub fn new(settings: &DiscordSettings) -> Result<Self, ClientError> {
        let token = settings.bot_token.expose_secret().to_owned();
        let inner = Inner {
            requests: Client::builder().token(token).ratelimiter(None).build(),
            http: http::client(&settings.user_agent())?,
            settings: settings.clone(),
            pacer: Pacer::new(),
            bot_user: OnceCell::new(),
            outages: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner), until: CancellationToken::new() })
    }

    /// The same Discord, for calls that are wanted only until `until` is cancelled.
    pub(crate) fn until(&self, until: CancellationToken) -> Self {
        Self { inner: Arc::clone(&self.inner), until }
    }

    /// Brings a user in with their own token.
    pub async fn join(
        &self,
        guild: GuildId,
        user: DiscordUserId,
        token: &SecretString,
    ) -> Answer<Joined> {
        let request = self.inner.requests.add_guild_member(
            Id::new(guild.0),
            Id::new(user.0),
            token.expose_secret(),
        );
        let answer = self.call("members", guild, false, request.try_into_request()).await;
        match answer {
            Answer::Done(arrived) if arrived.status == StatusCode::CREATED => {
                let member = serde_json::from_slice::<Seen>(&arrived.body).ok();
                Answer::Done(Joined::Added(member.and_then(|member| member.joined_at)))
            }
            Answer::Done(_) => Answer::Done(Joined::Already),
            other => other.without(),
        }
    }

    pub async fn add_role(
        &self,
        guild: GuildId,
        user: DiscordUserId,
        role: RoleId,
        reason: &str,
    ) -> Answer<()> {
        let request = self.inner.requests.add_guild_member_role(
            Id::new(guild.0),
            Id::new(user.0),
            Id::new(role.0),
        );
        self.call("roles", guild, false, request.reason(reason).try_into_request()).await.map(drop)
    }

    pub async fn remove_role(
        &self,
        guild: GuildId,
        user: DiscordUserId,
        role: RoleId,
        reason: &str,
    ) -> Answer<()> {
        let request = self.inner.requests.remove_guild_member_role(
            Id::new(guild.0),
            Id::new(user.0),
            Id::new(role.0),
        );
        self.call("roles", guild, true, request.reason(reason).try_into_request()).await.map(drop)
    }

    /// Removes a member from the server.
    pub async fn kick(&self, guild: GuildId, user: DiscordUserId, reason: &str) -> Answer<()> {
        let request = self.inner.requests.remove_guild_member(Id::new(guild.0), Id::new(user.0));
        self.call("kick", guild, true, request.reason(reason).try_into_request()).await.map(drop)
    }

    pub async fn member(&self, guild: GuildId, user: DiscordUserId) -> Answer<Seen> {
        let request = self.inner.requests.guild_member(Id::new(guild.0), Id::new(user.0));
        read(self.call("member", guild, false, request.try_into_request()).await)
    }

    /// A server, its roles in Discord's order, and where the bot stands among them.
    pub async fn role_list(&self, guild: GuildId) -> Answer<(Server, RoleList)> {
        self.server(guild).await.map(|(server, roles, _)| (server, roles))
    }

    /// How the bot stands in a server: what the doctor looks at.
    pub(crate) async fn standing(&self, guild: GuildId) -> Answer<Standing> {
        let (roles, asks_for_two_factor) = match self.server(guild).await {
            Answer::Done((_, roles, mfa_level)) => (roles, mfa_level > 0),
            other => return other.without(),
        };
        let request = self.inner.requests.current_user().try_into_request();
        let me = read::<UserSeen>(self.call("me", GuildId(0), false, request).await);
        let request = self.inner.requests.current_user_application().try_into_request();
        let application =
            read::<ApplicationSeen>(self.call("application", GuildId(0), false, request).await);
        let flags = application.done().and_then(|application| application.flags);
        Answer::Done(Standing {
            roles,
            asks_for_two_factor,
            two_factor: me.done().and_then(|me| me.mfa_enabled),
            hears_of_members: flags.map(|flags| flags & MEMBERS_INTENT != 0),
        })
    }

    async fn server(&self, guild: GuildId) -> Answer<(Server, RoleList, u8)> {
        let bot = match self.bot_user().await {
            Answer::Done(bot) => bot,
            other => return other.without(),
        };
        let request = self.inner.requests.guild(Id::new(guild.0)).try_into_request();
        let known: GuildSeen = match read(self.call("guild", guild, false, request).await) {
            Answer::Done(known) => known,
            other => return other.without(),
        };
        let seen = match self.member(guild, bot).await {
            Answer::Done(seen) => seen,
            other => return other.without(),
        };
        let roles = known.roles.into_iter().map(Into::into);
        let server = Server { id: guild, name: known.name, icon: known.icon };
        Answer::Done((server, RoleList::new(roles.collect(), seen.roles), known.mfa_level))
    }

    /// Remembers that a server is out of order, or that it is back.
    pub(crate) fn set_outage(&self, guild: GuildId, out: bool) {
        let mut outages = self.inner.outages.lock().unwrap_or_else(PoisonError::into_inner);
        if out {
            outages.insert(guild);
        } else {
            outages.remove(&guild);
        }
    }

    pub(crate) fn is_out(&self, guild: GuildId) -> bool {
        self.inner.outages.lock().unwrap_or_else(PoisonError::into_inner).contains(&guild)
    }

    /// Where the gateway is, and how it wants to be used.
    pub(crate) async fn gateway(&self) -> Answer<Gateway> {
        let request = self.inner.requests.gateway().authed().try_into_request();
        read(self.call("gateway", GuildId(0), false, request).await)
    }

    /// The bot's token, for the gateway.
    pub(crate) fn token(&self) -> String {
        self.inner.settings.bot_token.expose_secret().to_owned()
    }

    /// The bot's own account, asked for once.
    pub async fn bot_user(&self) -> Answer<DiscordUserId> {
        if let Some(known) = self.inner.bot_user.get() {
            return Answer::Done(*known);
        }
        let request = self.inner.requests.current_user().try_into_request();
        let answer =
            read::<UserSeen>(self.call("me", GuildId(0), false, request).await).map(|user| user.id);
        if let Answer::Done(user) = &answer {
            // Two first calls may race; they were told the same.
            let _ = self.inner.bot_user.set(*user);
        }
        answer
    }

    /// Makes one call: waits for its permit, keeps to the deadline, learns from the answer.
    async fn call(
        &self,
        name: &'static str,
        guild: GuildId,
        urgent: bool,
        request: Result<Request, twilight_http::Error>,
    ) -> Answer<Arrived> {
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                return Answer::Later {
                    why: format!("the request cannot be built: {error}"),
                    after: None,
                };
            }
        };
        let route = Route { name, guild: guild.0 };
        if self.until.run_until_cancelled(self.inner.pacer.permit(&route, urgent)).await.is_none() {
            return Answer::Unwanted;
        }
        let sent = timeout(DEADLINE, self.send(&request)).await;
        let (status, headers, body) = match sent {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                self.inner.pacer.answered(&route, None);
                return Answer::Later {
                    why: format!("the connection failed: {}", error.without_url()),
                    after: None,
                };
            }
            Err(_) => {
                self.inner.pacer.answered(&route, None);
                return Answer::Later {
                    why: "Discord did not answer in time".to_owned(),
                    after: None,
                };
            }
        };
        self.inner.pacer.answered(&route, Some(&headers));
        let shared = headers.get("x-ratelimit-scope").is_some_and(|scope| scope == "shared");
        if matches!(status.as_u16(), 401 | 403 | 429) && !shared {
            self.inner.pacer.count_refusal();
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            let (wait, global) = retry_after(&headers, &body);
            self.inner.pacer.refused(&route, wait, global);
            return Answer::Later { why: "Discord asked to wait".to_owned(), after: Some(wait) };
        }
        self.sorted(&route, status, body)
    }

    fn sorted(&self, route: &Route, status: StatusCode, body: Vec<u8>) -> Answer<Arrived> {
        if status.is_success() {
            return Answer::Done(Arrived { status, body });
        }
        if status == StatusCode::UNAUTHORIZED {
            return Answer::TokenDead;
        }
        if status.is_server_error() {
            return Answer::Later { why: format!("Discord answered {status}"), after: None };
        }
        let Ok(error) = serde_json::from_slice::<serde_json::Value>(&body) else {
            // A page of whoever stands in front of Discord: it speaks for every call.
            let (wait, _) = retry_after(&header::HeaderMap::new(), &body);
            self.inner.pacer.refused(route, wait, true);
            return Answer::Later {
                why: format!("the answer {status} is not Discord's"),
                after: Some(wait),
            };
        };
        let code = error["code"].as_u64().unwrap_or_default();
        let trouble = trouble::of_discord_code(code).unwrap_or(Trouble::Refused);
        if matches!(code, 130_000 | 40062) {
            return Answer::Later { why: "Discord is overloaded".to_owned(), after: None };
        }
        if trouble == Trouble::BotTokenDead {
            return Answer::TokenDead;
        }
        let detail = error["message"].as_str().unwrap_or_default().to_owned();
        Answer::Refused(Refusal { trouble, http_status: status.as_u16(), code, detail })
    }

    async fn send(
        &self,
        request: &Request,
    ) -> Result<(StatusCode, header::HeaderMap, Vec<u8>), reqwest::Error> {
        let method = match request.method() {
            Method::Delete => reqwest::Method::DELETE,
            Method::Patch => reqwest::Method::PATCH,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            // Reading, and what twilight may learn that no request of this file uses.
            _ => reqwest::Method::GET,
        };
        let url = self.inner.settings.api(&format!("/api/v10/{}", request.path()));
        let token = format!("Bot {}", self.inner.settings.bot_token.expose_secret());
        let mut built = self.inner.http.request(method, url).header(header::AUTHORIZATION, token);
        for (name, value) in request.headers().into_iter().flatten() {
            built = built.header(name, value);
        }
        built = match request.body() {
            Some(body) => {
                built.header(header::CONTENT_TYPE, "application/json").body(body.to_vec())
            }
            None => built.header(header::CONTENT_LENGTH, 0),
        };
        let answer = built.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok((status, headers, answer.bytes().await?.to_vec()))
    }
}

impl<T> Answer<T> {
    pub(crate) fn map<U>(self, with: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Done(value) => Answer::Done(with(value)),
            other => other.without(),
        }
    }

    /// What was asked for; everything else is not told.
    fn done(self) -> Option<T> {
        if let Self::Done(value) = self { Some(value) } else { None }
    }

    /// The same answer where it is not `Done`; a `Done` whose value is not wanted is asked for again.
    pub(crate) fn without<U>(self) -> Answer<U> {
        match self {
            Self::Done(_) => {
                Answer::Later { why: "the answer was not used".to_owned(), after: None }
            }
            Self::Refused(refusal) => Answer::Refused(refusal),
            Self::Later { why, after } => Answer::Later { why, after },
            Self::TokenDead => Answer::TokenDead,
            Self::Unwanted => Answer::Unwanted,
        }
    }
}

/// Reads an answer's body.
fn read<T: DeserializeOwned>(answer: Answer<Arrived>) -> Answer<T> {
    match answer {
        Answer::Done(arrived) => match serde_json::from_slice(&arrived.body) {
            Ok(value) => Answer::Done(value),
            Err(error) => {
                Answer::Later { why: format!("the answer cannot be read: {error}"), after: None }
            }
        },
        other => other.without(),
    }
}
