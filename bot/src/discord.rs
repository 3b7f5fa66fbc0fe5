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
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use twilight_http::{
    Client,
    request::{AuditLogReason, Method, Request, TryIntoRequest},
};
use twilight_model::id::Id;

use crate::{
    http::{self, ClientError, DEADLINE},
    pacing::{Breakers, NoPermit, Pacer, Route, Subject, Turn, Wait, retry_after},
    settings::DiscordSettings,
};

/// How often a call is repeated that Discord asked to wait with.
const WAITS: u32 = 3;

/// How long somebody waits for the turn of a call whose answer they want to see.
const ASKED_WAIT: Duration = Duration::from_secs(10);

/// How many members Discord shows at once.
const MEMBERS: u16 = 1_000;

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

#[derive(Deserialize)]
struct MemberSeen {
    user: UserSeen,
    #[serde(flatten)]
    seen: Seen,
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
    breakers: Breakers,
    bot_user: OnceCell<DiscordUserId>,
    /// The servers that are out of order, as the gateway tells: what is answered about them proves nothing.
    outages: Mutex<BTreeSet<GuildId>>,
}

/// What a call is, for whoever decides when it may be made.
struct Call {
    route: Route,
    turn: Turn,
    /// What holds it back where Discord refuses it to others.
    subjects: Vec<Subject>,
}

impl Call {
    fn new(name: &'static str, guild: GuildId, turn: Turn) -> Self {
        Self { route: Route { name, guild: guild.0 }, turn, subjects: vec![] }
    }

    /// A call that changes something in a server.
    fn change(name: &'static str, guild: GuildId, turn: Turn, of: Option<Subject>) -> Self {
        let subjects = std::iter::once(Subject::Guild(guild)).chain(of).collect();
        Self { subjects, ..Self::new(name, guild, turn) }
    }

    /// What a refusal of this call speaks for beyond the call itself.
    fn refused(&self, refusal: &Refusal) -> Option<Subject> {
        let guild = Subject::Guild(GuildId(self.route.guild));
        let of = |subject: &&Subject| match (subject, refusal.trouble) {
            (_, Trouble::BotMissing | Trouble::TwoFactorNeeded) => **subject == guild,
            (Subject::Role(..), Trouble::MissingPermissions | Trouble::RoleInvalid)
            | (Subject::Joins(..), Trouble::MissingPermissions | Trouble::ServerFull) => true,
            // A role that is gone is taken from everybody all the same.
            (Subject::Role(..), Trouble::RoleDeleted) => self.turn == Turn::Access,
            _ => false,
        };
        self.subjects.iter().find(of).copied()
    }
}

/// Why a call is not made.
enum Stopped {
    NoPermit(NoPermit),
    /// It is known what would be answered.
    Refused(Refusal),
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
            breakers: Breakers::default(),
            bot_user: OnceCell::new(),
            outages: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner), until: CancellationToken::new() })
    }

    /// The same Discord, for calls that are wanted only until `until` is cancelled.
    pub(crate) fn until(&self, until: CancellationToken) -> Self {
        Self { inner: Arc::clone(&self.inner), until }
    }

    /// Whether Discord has refused the bot's token and not accepted it since, as far as this process has called.
    pub fn is_token_dead(&self) -> bool {
        self.inner.pacer.is_token_dead()
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
        let call = Call::change("join", guild, Turn::Access, Some(Subject::Joins(guild)));
        let answer = self.call(call, request.try_into_request()).await;
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
        let subject = Some(Subject::Role(guild, role));
        let call = Call::change("give role", guild, Turn::Access, subject);
        self.call(call, request.reason(reason).try_into_request()).await.map(drop)
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
        let subject = Some(Subject::Role(guild, role));
        let call = Call::change("take role", guild, Turn::Removal, subject);
        self.call(call, request.reason(reason).try_into_request()).await.map(drop)
    }

    /// Removes a member from the server.
    pub async fn kick(&self, guild: GuildId, user: DiscordUserId, reason: &str) -> Answer<()> {
        let request = self.inner.requests.remove_guild_member(Id::new(guild.0), Id::new(user.0));
        let call = Call::change("kick", guild, Turn::Removal, None);
        self.call(call, request.reason(reason).try_into_request()).await.map(drop)
    }

    /// A member, read for a command that waits for it.
    pub async fn member(&self, guild: GuildId, user: DiscordUserId) -> Answer<Seen> {
        self.read_member(guild, user, Turn::Access).await
    }

    /// A member, read to see whether all is as it should be.
    pub(crate) async fn look_at(&self, guild: GuildId, user: DiscordUserId) -> Answer<Seen> {
        self.read_member(guild, user, Turn::Look).await
    }

    async fn read_member(&self, guild: GuildId, user: DiscordUserId, turn: Turn) -> Answer<Seen> {
        let request = self.inner.requests.guild_member(Id::new(guild.0), Id::new(user.0));
        read(self.call(Call::new("member", guild, turn), request.try_into_request()).await)
    }

    /// The members after an account, in the order of their ids; fewer than [`Discord::PAGE`] are the last ones.
    /// Discord shows them only to applications that may hear of members.
    pub(crate) async fn members(
        &self,
        guild: GuildId,
        after: DiscordUserId,
    ) -> Answer<Vec<(DiscordUserId, Seen)>> {
        let request = self.inner.requests.guild_members(Id::new(guild.0)).limit(MEMBERS);
        let request = match Id::new_checked(after.0) {
            Some(after) => request.after(after),
            None => request,
        };
        let call = Call::new("members", guild, Turn::Look);
        let answer = read::<Vec<MemberSeen>>(self.call(call, request.try_into_request()).await);
        answer.map(|seen| seen.into_iter().map(|member| (member.user.id, member.seen)).collect())
    }

    /// How many members a page has.
    pub(crate) const PAGE: usize = MEMBERS as usize;

    /// A server, its roles in Discord's order, and where the bot stands among them, for somebody who waits for it.
    pub async fn role_list(&self, guild: GuildId) -> Answer<(Server, RoleList)> {
        self.server(guild, Turn::Asked).await.map(|(server, roles, _)| (server, roles))
    }

    /// The same, read to see whether all is as it should be.
    pub(crate) async fn look_at_roles(&self, guild: GuildId) -> Answer<(Server, RoleList)> {
        self.server(guild, Turn::Look).await.map(|(server, roles, _)| (server, roles))
    }

    /// How the bot stands in a server: what the doctor looks at.
    pub(crate) async fn standing(&self, guild: GuildId) -> Answer<Standing> {
        let (roles, asks_for_two_factor) = match self.server(guild, Turn::Asked).await {
            Answer::Done((_, roles, mfa_level)) => (roles, mfa_level > 0),
            other => return other.without(),
        };
        let request = self.inner.requests.current_user().try_into_request();
        let call = Call::new("me", GuildId(0), Turn::Asked);
        let me = read::<UserSeen>(self.call(call, request).await);
        let request = self.inner.requests.current_user_application().try_into_request();
        let call = Call::new("application", GuildId(0), Turn::Asked);
        let application = read::<ApplicationSeen>(self.call(call, request).await);
        let flags = application.done().and_then(|application| application.flags);
        Answer::Done(Standing {
            roles,
            asks_for_two_factor,
            two_factor: me.done().and_then(|me| me.mfa_enabled),
            hears_of_members: flags.map(|flags| flags & MEMBERS_INTENT != 0),
        })
    }

    async fn server(&self, guild: GuildId, turn: Turn) -> Answer<(Server, RoleList, u8)> {
        let bot = match self.bot_user().await {
            Answer::Done(bot) => bot,
            other => return other.without(),
        };
        let request = self.inner.requests.guild(Id::new(guild.0)).try_into_request();
        let answer = self.call(Call::new("guild", guild, turn), request).await;
        let known: GuildSeen = match read(answer) {
            Answer::Done(known) => known,
            other => return other.without(),
        };
        let seen = match self.read_member(guild, bot, turn).await {
            Answer::Done(seen) => seen,
            other => return other.without(),
        };
        let roles = known.roles.into_iter().map(Into::into);
        let server = Server { id: guild, name: known.name, icon: known.icon };
        let roles = RoleList::new(roles.collect(), seen.roles);
        self.roles_seen(guild, &roles);
        Answer::Done((server, roles, known.mfa_level))
    }

    /// What was refused for a reason that the roles no longer show is asked for again at once.
    pub(crate) fn roles_seen(&self, guild: GuildId, roles: &RoleList) {
        self.inner.breakers.mended(guild, |role| roles.why_not(guild, role).is_none());
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

    /// Forgets outages that nobody will tell the end of.
    pub(crate) fn end_outages(&self, of: impl Fn(GuildId) -> bool) {
        let mut outages = self.inner.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.retain(|guild| !of(*guild));
    }

    pub(crate) fn is_out(&self, guild: GuildId) -> bool {
        self.inner.outages.lock().unwrap_or_else(PoisonError::into_inner).contains(&guild)
    }

    /// Where the gateway is, and how it wants to be used.
    pub(crate) async fn gateway(&self) -> Answer<Gateway> {
        let request = self.inner.requests.gateway().authed().try_into_request();
        read(self.call(Call::new("gateway", GuildId(0), Turn::Access), request).await)
    }

    /// What decides when calls are made.
    pub(crate) fn pacer(&self) -> &Pacer {
        &self.inner.pacer
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
        let call = Call::new("me", GuildId(0), Turn::Asked);
        let answer = read::<UserSeen>(self.call(call, request).await).map(|user| user.id);
        if let Answer::Done(user) = &answer {
            // Two first calls may race; they were told the same.
            let _ = self.inner.bot_user.set(*user);
        }
        answer
    }

    /// Makes one call: waits for its permit as long as it is wanted, keeps to the deadline from then on, learns from
    /// the answer. A call that Discord asks to wait with had no effect, so it is repeated here.
    async fn call(
        &self,
        call: Call,
        request: Result<Request, twilight_http::Error>,
    ) -> Answer<Arrived> {
        let later = |why: String, after| Answer::Later { why, after };
        let request = match request {
            Ok(request) => request,
            Err(error) => return later(format!("the request cannot be built: {error}"), None),
        };
        let Inner { pacer, breakers, .. } = &*self.inner;
        let mut waits = 0;
        loop {
            let permitted = async {
                loop {
                    let passed = breakers.pass(&call.subjects).await.map_err(Stopped::Refused)?;
                    let permit =
                        pacer.permit(call.route, call.turn).await.map_err(Stopped::NoPermit)?;
                    if breakers.holds(passed, &call.subjects) {
                        return Ok(permit);
                    }
                    permit.unused();
                }
            };
            let permitted = async {
                // Whoever asks to look does not wait for everybody else.
                if call.turn == Turn::Asked {
                    let busy = Stopped::NoPermit(NoPermit::Later(ASKED_WAIT));
                    timeout(ASKED_WAIT, permitted).await.unwrap_or(Err(busy))
                } else {
                    permitted.await
                }
            };
            let permit = match self.until.run_until_cancelled(permitted).await {
                Some(Ok(permit)) => permit,
                Some(Err(Stopped::Refused(refusal))) => return Answer::Refused(refusal),
                Some(Err(Stopped::NoPermit(NoPermit::TokenDead))) => return Answer::TokenDead,
                Some(Err(Stopped::NoPermit(NoPermit::Later(wait)))) => {
                    return later("Discord asked to wait".to_owned(), Some(wait));
                }
                None => return Answer::Unwanted,
            };
            let (status, headers, body) = match timeout(DEADLINE, self.send(&request)).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) => {
                    return later(format!("the connection failed: {}", error.without_url()), None);
                }
                Err(_) => return later("Discord did not answer in time".to_owned(), None),
            };
            let shared = headers.get("x-ratelimit-scope").is_some_and(|scope| scope == "shared");
            if matches!(status.as_u16(), 401 | 403 | 429) && !shared {
                pacer.count_refusal();
            }
            match sorted(status, &headers, body) {
                Sorted::Wait(wait) => {
                    permit.refused(&headers, wait);
                    waits += 1;
                    if waits == WAITS {
                        return later("Discord asked to wait".to_owned(), Some(wait.long));
                    }
                }
                Sorted::Is(Answer::TokenDead) => {
                    permit.token_refused(&headers);
                    return Answer::TokenDead;
                }
                Sorted::Is(answer) => {
                    permit.answered(&headers);
                    self.learn(&call, &answer);
                    return answer;
                }
            }
        }
    }

    /// The server's roles show that a role is refused to everybody.
    pub(crate) fn refuses_role(&self, guild: GuildId, role: RoleId, refusal: &Refusal) {
        self.inner.breakers.shown(Subject::Role(guild, role), refusal);
    }

    /// What an answer means for the calls that wait.
    fn learn(&self, call: &Call, answer: &Answer<Arrived>) {
        let Inner { pacer, breakers, .. } = &*self.inner;
        match answer {
            Answer::Done(_) => breakers.accepted(&call.subjects),
            Answer::Refused(refusal) => {
                if let Some(subject) = call.refused(refusal) {
                    breakers.refused(subject, Instant::now());
                }
            }
            Answer::Later { .. } | Answer::TokenDead | Answer::Unwanted => return,
        }
        pacer.token_accepted();
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

/// What an answer is, before it is known whether it is asked for again.
enum Sorted {
    Wait(Wait),
    Is(Answer<Arrived>),
}

fn sorted(status: StatusCode, headers: &header::HeaderMap, body: Vec<u8>) -> Sorted {
    let later = |why: String, after| Sorted::Is(Answer::Later { why, after });
    if status.is_success() {
        return Sorted::Is(Answer::Done(Arrived { status, body }));
    }
    if status == StatusCode::UNAUTHORIZED {
        return Sorted::Is(Answer::TokenDead);
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Sorted::Wait(Wait::asked(headers, &body));
    }
    if status.is_server_error() {
        return later(format!("Discord answered {status}"), retry_after(headers));
    }
    let Ok(error) = serde_json::from_slice::<serde_json::Value>(&body) else {
        // A page of whoever stands in front of Discord: it speaks for every call.
        return Sorted::Wait(Wait::asked(headers, &body));
    };
    let code = error["code"].as_u64().unwrap_or_default();
    let trouble = trouble::of_discord_code(code).unwrap_or(Trouble::Refused);
    if matches!(code, 130_000 | 40062) {
        return later("Discord is overloaded".to_owned(), retry_after(headers));
    }
    if trouble == Trouble::BotTokenDead {
        return Sorted::Is(Answer::TokenDead);
    }
    let detail = error["message"].as_str().unwrap_or_default().to_owned();
    Sorted::Is(Answer::Refused(Refusal { trouble, http_status: status.as_u16(), code, detail }))
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
