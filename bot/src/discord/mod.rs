//! Discord's REST API with the bot's token: the one room that calls it.
//!
//! twilight builds every request; the room's own client carries it, because rate limits and refusals speak in
//! headers that twilight's client keeps to itself. Of an answer only what is needed is read.
//!
//! `calling` makes one call, `answer` tells what came of it, `shapes` is what is read from Discord's JSON.

mod answer;
mod calling;
mod shapes;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::{DiscordUserId, GuildId, RoleId, discord::RoleList, integration::Server};
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use twilight_http::{
    Client,
    request::{AuditLogReason, TryIntoRequest},
};
use twilight_model::id::Id;

pub(crate) use self::shapes::{Gateway, RoleSeen, SessionStartLimit, UserSeen};
use self::{
    answer::read,
    calling::Call,
    shapes::{ApplicationSeen, GuildSeen, MEMBERS_INTENT, MemberSeen},
};
pub use self::{
    answer::{Answer, Joined, Refusal},
    shapes::Seen,
};
use crate::{
    http::{self, ClientError},
    pacing::{Breakers, Pacer, Subject, Turn},
    settings::DiscordSettings,
};

/// How many members Discord shows at once.
const MEMBERS: u16 = 1_000;

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
    /// The servers whose members are listened to.
    heard: Mutex<BTreeMap<GuildId, Hearing>>,
    /// How many times a session began to tell of a server.
    sessions: AtomicU64,
}

/// How a server's members are listened to.
struct Hearing {
    /// Which session it is, among all that this process had.
    session: u64,
    /// It is cut: it misses nothing if it is resumed.
    cut: bool,
    /// The Hub knows that something was missed before it.
    told: bool,
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
            heard: Mutex::default(),
            sessions: AtomicU64::default(),
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

    /// A session begins to tell of a server's members, or does not any more.
    pub(crate) fn set_heard(&self, guild: GuildId, heard: bool) {
        if heard {
            let session = self.inner.sessions.fetch_add(1, Ordering::Relaxed);
            self.heard().insert(guild, Hearing { session, cut: false, told: false });
        } else {
            self.heard().remove(&guild);
        }
    }

    /// The session of some servers is cut, or resumed.
    pub(crate) fn set_cut(&self, of: impl Fn(GuildId) -> bool, cut: bool) {
        let mut all = self.heard();
        all.iter_mut().filter(|(guild, _)| of(**guild)).for_each(|(_, hearing)| hearing.cut = cut);
    }

    /// The Hub knows that something was missed of a server's members.
    pub(crate) fn misses_are_told(&self, guild: GuildId) {
        self.heard().entry(guild).and_modify(|hearing| hearing.told = true);
    }

    /// The session of some servers has ended.
    pub(crate) fn end_hearing(&self, of: impl Fn(GuildId) -> bool) {
        self.heard().retain(|guild, _| !of(*guild));
    }

    /// The session that tells this process what happens to a server's members. `None` without one, and until the Hub knows
    /// that something was missed before it.
    pub(crate) fn hearing(&self, guild: GuildId) -> Option<u64> {
        let heard = self.heard();
        let on = heard.get(&guild).filter(|hearing| hearing.told && !hearing.cut);
        on.map(|hearing| hearing.session)
    }

    fn heard(&self) -> MutexGuard<'_, BTreeMap<GuildId, Hearing>> {
        self.inner.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets outages that nobody will tell the end of.
    pub(crate) fn end_outages(&self, of: impl Fn(GuildId) -> bool) {
        let mut outages = self.inner.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.retain(|guild| !of(*guild));
    }

    /// The servers that are out of order, as Discord has told this process.
    pub(crate) fn outages(&self) -> Vec<GuildId> {
        let outages = self.inner.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.iter().copied().collect()
    }

    /// Whether Discord has told this process that a server is out of order.
    pub fn is_out(&self, guild: GuildId) -> bool {
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

    /// The server's roles show that a role is refused to everybody.
    pub(crate) fn refuses_role(&self, guild: GuildId, role: RoleId, refusal: &Refusal) {
        self.inner.breakers.shown(Subject::Role(guild, role), refusal);
    }
}
