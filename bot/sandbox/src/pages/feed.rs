//! What happened, as messages: calls of the API by whoever made them, and what came of them in a server.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{
    look::{self, Avatar},
    refusals,
};
use crate::{
    calls::{By, Call, Calls},
    world::{Named, What, World},
};

/// A part of a message: text, or somebody or something mentioned.
pub(super) enum Piece {
    Text(String),
    Person(String),
    Role { name: String, tint: String },
    Server(String),
}

/// How a call ended, for the eye.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    Bad,
    Cut,
}

impl Mood {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Cut => "cut",
        }
    }
}

pub(super) struct Moment {
    sorted_by: DateTime<Utc>,
    pub(super) clock: String,
    pub(super) iso: String,
}

impl Moment {
    fn new(at: DateTime<Utc>) -> Self {
        Self {
            sorted_by: at,
            clock: at.format("%H:%M:%S").to_string(),
            iso: at.to_rfc3339_opts(SecondsFormat::Millis, true),
        }
    }
}

pub(super) struct Author {
    pub(super) name: String,
    pub(super) avatar: Avatar,
    /// What stands beside the name: whose token it was.
    pub(super) tag: &'static str,
    pub(super) bot: bool,
}

pub(super) struct CallLine {
    pub(super) number: u64,
    pub(super) moment: Moment,
    pub(super) author: Author,
    /// Whether the message before it has another author.
    pub(super) first: bool,
    pub(super) method: String,
    pub(super) path: Vec<Piece>,
    pub(super) status: String,
    pub(super) mood: Mood,
    pub(super) meaning: String,
    pub(super) took_ms: i64,
    pub(super) reason: Option<String>,
}

pub(super) struct NewsLine {
    pub(super) moment: Moment,
    pub(super) icon: &'static str,
    pub(super) text: Vec<Piece>,
}

pub(super) enum Entry {
    Call(CallLine),
    News(NewsLine),
}

impl Entry {
    fn moment(&self) -> &Moment {
        match self {
            Self::Call(call) => &call.moment,
            Self::News(news) => &news.moment,
        }
    }
}

/// The newest of what concerns a server, newest last: its news, and every call that is not about another server.
pub(super) fn of_server(world: &World, calls: &Calls, guild: u64, most: usize) -> Vec<Entry> {
    let concerns = |call: &&Call| server_of(&call.path).is_none_or(|about| about == guild);
    let calls = calls.kept.iter().rev().filter(concerns).take(most);
    let news = world.news.iter().rev().filter(|news| news.guild == guild).take(most);
    let mut entries: Vec<Entry> = calls.map(|call| Entry::Call(line(world, call))).collect();
    entries.extend(news.map(|news| {
        let (icon, text) = told(world, guild, &news.what);
        Entry::News(NewsLine { moment: Moment::new(news.at), icon, text })
    }));
    entries.reverse();
    entries.sort_by_key(|entry| entry.moment().sorted_by);
    let mut entries = entries.split_off(entries.len().saturating_sub(most));
    mark_first(&mut entries);
    entries
}

/// A message by the author of the one before stands under the same name.
fn mark_first(entries: &mut [Entry]) {
    let mut before: Option<String> = None;
    for entry in entries {
        match entry {
            Entry::Call(call) => {
                call.first = before.as_deref() != Some(&call.author.name);
                before = Some(call.author.name.clone());
            }
            Entry::News(_) => before = None,
        }
    }
}

fn server_of(path: &str) -> Option<u64> {
    path.strip_prefix("/guilds/")?.split('/').next()?.parse().ok()
}

pub(super) fn line(world: &World, call: &Call) -> CallLine {
    let mood = match call.status {
        0 => Mood::Cut,
        200..400 => Mood::Good,
        _ => Mood::Bad,
    };
    let meaning = match (call.status, call.code) {
        (_, Some(code)) if code != 0 => {
            let known = refusals::by_code(code).map(|refusal| refusal.message).unwrap_or_default();
            format!("{code} {known}")
        }
        (0, _) => "the connection was cut".to_owned(),
        (201, _) => "joined".to_owned(),
        (429, _) => "too many calls".to_owned(),
        _ => String::new(),
    };
    CallLine {
        number: call.n,
        // When it came in, so that what came of it stands below.
        moment: Moment::new(call.asked_at),
        author: author(world, call.by),
        first: true,
        method: call.method.clone(),
        path: path(world, &call.path),
        status: if call.status == 0 { "cut".to_owned() } else { call.status.to_string() },
        mood,
        meaning: meaning.trim_end().to_owned(),
        took_ms: (call.at - call.asked_at).num_milliseconds(),
        reason: call.reason.clone(),
    }
}

fn author(world: &World, by: By) -> Author {
    let name =
        |user: u64| world.users.get(&user).map_or("deleted_user", |user| &user.username).to_owned();
    let (name, tag, avatar) = match by {
        By::Bot => (name(world.bot_user), "bot token", Avatar::drawn("bot")),
        By::Bearer(Some(user)) => (name(user), "bearer token", Avatar::new(user, &name(user))),
        By::Bearer(None) => ("Somebody".to_owned(), "unknown bearer", Avatar::drawn("people")),
        By::Application => ("Application".to_owned(), "OAuth", Avatar::drawn("link")),
        By::Nobody => ("Somebody".to_owned(), "no token", Avatar::drawn("people")),
    };
    Author { name, tag, avatar, bot: by == By::Bot }
}

/// A path with names in the place of ids.
fn path(world: &World, path: &str) -> Vec<Piece> {
    let guild = server_of(path).and_then(|id| world.guilds.get(&id));
    let mut pieces = vec![];
    let mut text = String::new();
    let mut before = "";
    for part in path.split('/').skip(1) {
        text.push('/');
        let id: Option<u64> = part.parse().ok();
        let mention = id.and_then(|id| match before {
            "guilds" => Some(Piece::Server(world.guilds.get(&id)?.name.clone())),
            "members" | "bans" | "users" => {
                Some(Piece::Person(world.users.get(&id)?.username.clone()))
            }
            "roles" => {
                let role = guild?.roles.get(&id)?;
                Some(Piece::Role { name: role.name.clone(), tint: look::tint(role.color) })
            }
            _ => None,
        });
        match mention {
            Some(mention) => {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(mention);
            }
            None => text.push_str(part),
        }
        before = part;
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

/// What happened in words, and the icon beside them.
fn told(world: &World, guild: u64, what: &What) -> (&'static str, Vec<Piece>) {
    let person = |named: &Named| Piece::Person(named.name.clone());
    let text = |text: &str| Piece::Text(text.to_owned());
    let role = |named: &Named| {
        let known = world.guilds.get(&guild).and_then(|guild| guild.roles.get(&named.id));
        let tint = known.map(|role| look::tint(role.color)).unwrap_or_default();
        Piece::Role { name: named.name.clone(), tint }
    };
    match what {
        What::Joined(who) => ("join", vec![person(who), text(" joined the server.")]),
        What::Gone(who) => ("leave", vec![person(who), text(" left the server.")]),
        What::Kicked(who) => ("leave", vec![person(who), text(" was removed from the server.")]),
        What::Banned(who) => ("ban", vec![person(who), text(" was banned.")]),
        What::Unbanned(who) => ("join", vec![person(who), text(" is no longer banned.")]),
        What::AcceptedRules(who) => {
            ("join", vec![person(who), text(" accepted the server’s rules.")])
        }
        What::Given { member, role: given } => {
            ("role", vec![person(member), text(" was given "), role(given), text(".")])
        }
        What::Taken { member, role: taken } => {
            ("role", vec![person(member), text(" lost "), role(taken), text(".")])
        }
        What::RoleMade(made) => ("role", vec![text("The role "), role(made), text(" was made.")]),
        What::RoleChanged(changed) => {
            ("role", vec![text("The role "), role(changed), text(" was changed.")])
        }
        What::RoleDeleted(gone) => {
            ("role", vec![text("The role "), role(gone), text(" was deleted.")])
        }
        What::RoleMoved(moved) => {
            ("role", vec![text("The role "), role(moved), text(" was moved.")])
        }
        What::Outage { begins: true } => ("outage", vec![text("An outage began.")]),
        What::Outage { begins: false } => ("outage", vec![text("The outage is over.")]),
    }
}
