//! What every account had in every server, and until when: intervals that follow from what was reported and seen.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

use domain::{
    Event, FanId, GuildId, RoleId,
    access::{Attempt, Desired, Event as AccessEvent, Report},
    account::AccountKey,
};
use eventstore::{Envelope, Position};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    moments::{fork, micros},
    servers::{guild, guild_number},
};
use crate::{
    file::{number, stored},
    rows,
    view::ViewError,
};

/// How it is known what somebody has.
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
pub enum Knowledge {
    /// Discord is being asked for the desired access; what it said before still stands.
    Attempted,
    /// Discord accepted the desired access.
    Accepted,
    /// Discord refused a part of the desired access.
    Refused,
    /// Somebody else changed it on Discord.
    Observed,
}

impl fmt::Display for Knowledge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attempted => "attempted",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Observed => "observed",
        })
    }
}

/// What an account has in a server, as far as Discord told, and what it should have had by then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Had {
    pub state: Knowledge,
    pub present: Option<bool>,
    pub brought_in: bool,
    pub roles: BTreeSet<RoleId>,
    /// Desired roles that the account had from elsewhere.
    pub kept: BTreeSet<RoleId>,
    /// As it was sent to Discord.
    pub desired: Desired,
}

impl Had {
    pub(super) fn nothing() -> Self {
        Self {
            state: Knowledge::Accepted,
            present: None,
            brought_in: false,
            roles: BTreeSet::new(),
            kept: BTreeSet::new(),
            desired: Desired::default(),
        }
    }

    fn attempt(mut self, attempt: &Attempt, present: bool) -> Self {
        self.state = Knowledge::Attempted;
        self.desired = if present {
            let has = self.roles.union(&self.kept).chain(&attempt.roles);
            let roles = has.filter(|role| !attempt.removes.contains(role)).copied().collect();
            Desired { present, roles }
        } else {
            Desired::default()
        };
        self
    }

    fn report(self, report: &Report) -> Self {
        let refused = report.trouble.is_some();
        let state = if refused { Knowledge::Refused } else { Knowledge::Accepted };
        if report.unseen {
            // It says nothing new of what there is.
            return Self { state, desired: report.desired.clone(), ..self };
        }
        Self {
            state,
            present: report.present,
            brought_in: report.brought_in,
            roles: report.given.clone(),
            kept: report.kept.clone(),
            desired: report.desired.clone(),
        }
    }

    fn left(self) -> Self {
        let desired = self.desired;
        Self { state: Knowledge::Observed, present: Some(false), desired, ..Self::nothing() }
    }

    pub(super) fn after(self, event: &AccessEvent) -> Self {
        match event {
            AccessEvent::JoinAttempted(attempt) | AccessEvent::RolesAttempted(attempt) => {
                self.attempt(attempt, true)
            }
            AccessEvent::RemovalAttempted(attempt) => self.attempt(attempt, false),
            AccessEvent::AccessGranted(report)
            | AccessEvent::AccessChanged(report)
            | AccessEvent::AccessRevoked(report)
            | AccessEvent::AccessBlocked(report)
            | AccessEvent::RevokeBlocked(report) => self.report(report),
            AccessEvent::DriftObserved { missing, .. } => {
                let mut after = Self { state: Knowledge::Observed, ..self };
                after.roles.retain(|role| !missing.contains(role));
                after.kept.retain(|role| !missing.contains(role));
                after
            }
            AccessEvent::DriftMended { roles, kept, .. } => {
                let mut after = Self { state: Knowledge::Observed, ..self };
                after.roles.extend(roles);
                after.kept.extend(kept);
                after
            }
            AccessEvent::RemovalFoundUndone { roles, brought_in, .. } => {
                let mut after = Self { state: Knowledge::Observed, present: Some(true), ..self };
                after.roles.extend(roles);
                after.brought_in |= brought_in;
                after
            }
            AccessEvent::MemberLeft { .. } | AccessEvent::MemberBanned { .. } => self.left(),
            AccessEvent::MemberReturned { .. } => {
                Self { state: Knowledge::Observed, present: Some(true), brought_in: false, ..self }
            }
        }
    }

    /// Whether anything is had, or on its way.
    pub fn is_something(&self) -> bool {
        let inside = self.present == Some(true) && self.desired.present;
        let open = matches!(self.state, Knowledge::Attempted | Knowledge::Refused);
        !self.roles.is_empty() || inside || open
    }
}

/// What one account had in one server for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// The event that it began with.
    pub position: Position,
    pub guild: GuildId,
    pub fan: FanId,
    pub account_key: AccountKey,
    /// In microseconds since 1970.
    pub(super) began: i64,
    pub(super) ended: Option<i64>,
    pub had: Had,
}

fn ids(roles: &BTreeSet<RoleId>) -> String {
    let ids: Vec<_> = roles.iter().map(ToString::to_string).collect();
    ids.join(" ")
}

fn roles(text: &str) -> Result<BTreeSet<RoleId>, ViewError> {
    text.split_ascii_whitespace().map(stored).collect()
}

impl Interval {
    pub(super) fn read(row: &SqliteRow) -> Result<Self, ViewError> {
        let position: i64 = row.get("position");
        Ok(Self {
            position: Position(position.cast_unsigned()),
            guild: guild(row.get("guild")),
            fan: stored(row.get("fan"))?,
            account_key: stored(row.get("account_key"))?,
            began: row.get("began"),
            ended: row.get("ended"),
            had: Had {
                state: stored(row.get("state"))?,
                present: row.get("present"),
                brought_in: row.get("brought_in"),
                roles: roles(row.get("roles"))?,
                kept: roles(row.get("kept"))?,
                desired: Desired {
                    present: row.get("wanted"),
                    roles: roles(row.get("wanted_roles"))?,
                },
            },
        })
    }

    /// Nothing that ended with nothing had needs to be found by its time.
    fn fork(&self) -> Option<i64> {
        fork(self.began, self.ended?).filter(|_| self.had.is_something())
    }

    fn row(&self) -> Value {
        json!([
            number(self.position),
            guild_number(self.guild),
            self.fan,
            self.account_key,
            self.began,
            self.ended,
            self.fork(),
            i64::from(self.had.is_something()),
            self.had.state,
            self.had.present.map(i64::from),
            i64::from(self.had.brought_in),
            ids(&self.had.roles),
            ids(&self.had.kept),
            i64::from(self.had.desired.present),
            ids(&self.had.desired.roles),
        ])
    }
}

/// One account in one server.
type Place = (GuildId, FanId, AccountKey);

/// The intervals of a run of events.
pub(super) struct Intervals {
    open: HashMap<Place, Interval>,
    closed: Vec<Interval>,
    /// The last position before the run: what began up to there has a row.
    stored: Position,
}

impl Intervals {
    pub(super) async fn load(
        db: &mut SqliteConnection,
        run: &[Arc<Envelope>],
    ) -> Result<Self, ViewError> {
        let before = run.first().map_or(0, |first| first.position.0.saturating_sub(1));
        let mut loaded = Self { open: HashMap::new(), closed: vec![], stored: Position(before) };
        let holders = run.iter().filter_map(|envelope| {
            let Event::Access(event) = &envelope.event else { return None };
            let holder = event.holder();
            Some((guild_number(holder.guild), &holder.fan))
        });
        let holders: BTreeSet<_> = holders.collect();
        if holders.is_empty() {
            return Ok(loaded);
        }
        let rows = sqlx::query(
            "select access.* from json_each(?1) as holder
             cross join access on guild = holder.value ->> 0 and fan = holder.value ->> 1 and ended is null",
        )
        .bind(json!(holders).to_string())
        .fetch_all(db)
        .await?;
        for row in rows {
            let interval = Interval::read(&row)?;
            let place = (interval.guild, interval.fan.clone(), interval.account_key.clone());
            loaded.open.insert(place, interval);
        }
        Ok(loaded)
    }

    pub(super) fn apply(&mut self, envelope: &Envelope, event: &AccessEvent) {
        let holder = event.holder();
        let place = (holder.guild, holder.fan.clone(), holder.account_key.clone());
        let (mut began, mut had) = (micros(envelope.metadata.at), Had::nothing());
        if let Some(mut before) = self.open.remove(&place) {
            // A clock that ran backwards shortens an interval to nothing and never turns it around.
            began = began.max(before.began);
            before.ended = Some(began);
            had.clone_from(&before.had);
            self.closed.push(before);
        }
        let interval = Interval {
            position: envelope.position,
            guild: holder.guild,
            fan: holder.fan.clone(),
            account_key: holder.account_key.clone(),
            began,
            ended: None,
            had: had.after(event),
        };
        self.open.insert(place, interval);
    }

    pub(super) async fn write(self, db: &mut SqliteConnection) -> sqlx::Result<()> {
        let is_new = |interval: &&Interval| interval.position > self.stored;
        let ended = self.closed.iter().filter(|interval| !is_new(interval));
        let ended = ended.map(|old| json!([number(old.position), old.ended, old.fork()])).collect();
        rows::write(
            db,
            "update access set ended = value ->> 1, fork = value ->> 2 from json_each(?1) where position = value ->> 0",
            ended,
        )
        .await?;
        let mut new: Vec<_> = self.closed.iter().chain(self.open.values()).filter(is_new).collect();
        new.sort_unstable_by_key(|interval| interval.position);
        rows::insert(
            db,
            "access (position, guild, fan, account_key, began, ended, fork, held, state, present, brought_in, roles,
                     kept, wanted, wanted_roles)",
            "",
            new.into_iter().map(Interval::row).collect(),
        )
        .await
    }
}
