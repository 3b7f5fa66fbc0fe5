//! What endpoints are told of a part of the log: how fans stand by then, and what was seen or offered meanwhile.
//!
//! How a fan stands is told as the view has it when it is looked at. Where somebody falls behind, what passed
//! meanwhile is left out; the last state never is.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
};

use chrono::{DateTime, Utc};
use domain::{
    Event, FanId, GuildId, HoldId, IntegrationId, RoleId, TierId,
    access::{Desired, Event as AccessEvent, Holder},
    hold::Event as HoldEvent,
    integration::Event as IntegrationEvent,
    status::Status,
};
use eventstore::{
    Position, Store,
    webhooks::{Endpoint, Message},
};
use projections::{FanChange, FanRow, GoneRow, HoldStatus, IntegrationRow, Views};
use serde::Serialize;
use uuid::Uuid;

use super::WebhookError;
use crate::{reason::Reason, routes::holds::HoldAnswer};

/// The types of messages. They never change their names.
pub(crate) const TYPES: [&str; 13] = [
    "access.pending",
    "access.granted",
    "access.blocked",
    REVOKED,
    "access.revoke_blocked",
    "access.drifted",
    "integration.available",
    UNAVAILABLE,
    STATE_CHANGED,
    HELD,
    APPROVED,
    REJECTED,
    DISABLED,
];

const REVOKED: &str = "access.revoked";
const UNAVAILABLE: &str = "integration.unavailable";
const STATE_CHANGED: &str = "fan.state_changed";
const HELD: &str = "removals.held";
const APPROVED: &str = "removals.approved";
const REJECTED: &str = "removals.rejected";
const DISABLED: &str = "webhook_endpoint.disabled";

/// How many events are looked at together.
const READ: usize = 512;

/// How many rows of the view are read at once.
const PAGE: u32 = 500;

/// A message as Standard Webhooks has it.
#[derive(Serialize)]
struct Envelope<'a, T> {
    r#type: &'static str,
    timestamp: DateTime<Utc>,
    data: &'a T,
}

#[derive(Serialize)]
struct Observed<'a> {
    /// Whether Discord last showed the fan in the server; null where it has not told.
    present: Option<bool>,
    /// The roles that the fan has from the Hub.
    roles: &'a BTreeSet<RoleId>,
}

/// How a fan stands in an integration.
#[derive(Serialize)]
struct State<'a> {
    fan: &'a FanId,
    creator: String,
    integration: IntegrationId,
    status: Status,
    reason: Option<Reason>,
    desired: &'a Desired,
    observed: Observed<'a>,
    /// The tier whose attachment made the integration available.
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<&'a TierId>,
    /// The roles that somebody took away.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<&'a BTreeSet<RoleId>>,
    /// The log position of what is told. A message with a lower one for the same fan and integration is older.
    position: Position,
}

/// That an integration has nothing to do with a fan any more.
#[derive(Serialize)]
struct Gone<'a> {
    fan: &'a FanId,
    creator: String,
    integration: IntegrationId,
    /// Null: the fan does not stand in it at all.
    status: Option<Status>,
    position: Position,
}

/// A mass removal that waits for approval, or on which somebody decided.
#[derive(Serialize)]
struct HeldRemovals {
    #[serde(flatten)]
    hold: HoldAnswer,
    position: Position,
}

#[derive(Serialize)]
struct DisabledEndpoint<'a> {
    endpoint: Uuid,
    url: &'a str,
    reason: &'static str,
    position: Position,
}

/// A part of the log, and what matters in it.
pub(super) struct Part {
    pub(super) after: Position,
    pub(super) last: Position,
    times: HashMap<Position, DateTime<Utc>>,
    attached: HashMap<(Position, IntegrationId), TierId>,
    drifted: Vec<Drifted>,
    /// Where Discord accepted that somebody's access is gone.
    revoked: HashSet<Position>,
    holds: Vec<(Position, &'static str, HoldId)>,
}

struct Drifted {
    position: Position,
    fan: FanId,
    guild: GuildId,
    missing: BTreeSet<RoleId>,
}

impl Part {
    /// The log's next part after a position, if there is more.
    pub(super) async fn read(store: &Store, after: Position) -> Result<Option<Self>, WebhookError> {
        let raw = store.log().read_after(after, READ).await?;
        let Some(last) = raw.last().map(|event| event.position) else { return Ok(None) };
        let times = raw.iter().map(|event| (event.position, event.metadata.at)).collect();
        let matters = |kind: &str| {
            ["AccessRevoked", "DriftObserved", "MembershipAttached"].contains(&kind)
                || HoldEvent::NAMES.contains(&kind)
        };
        let some = raw.into_iter().filter(|event| matters(&event.kind)).collect();
        let (attached, drifted) = (HashMap::new(), vec![]);
        let (revoked, holds) = (HashSet::new(), vec![]);
        let mut part = Self { after, last, times, attached, drifted, revoked, holds };
        for envelope in store.decode(some).await? {
            part.notice(envelope.position, envelope.event);
        }
        Ok(Some(part))
    }

    fn notice(&mut self, position: Position, event: Event) {
        match event {
            Event::Access(AccessEvent::DriftObserved { holder, missing }) => {
                let Holder { guild, fan, .. } = holder;
                self.drifted.push(Drifted { position, fan, guild, missing });
            }
            Event::Access(AccessEvent::AccessRevoked(_)) => {
                self.revoked.insert(position);
            }
            Event::Integration(IntegrationEvent::MembershipAttached {
                integration, tier, ..
            }) => {
                self.attached.insert((position, integration), tier);
            }
            Event::Hold(hold) => {
                let kind = match hold {
                    HoldEvent::RemovalsHeld(_) => HELD,
                    HoldEvent::RemovalsApproved { .. } => APPROVED,
                    HoldEvent::RemovalsRejected { .. } => REJECTED,
                };
                self.holds.push((position, kind, hold.hold()));
            }
            Event::Access(_)
            | Event::Integration(_)
            | Event::Tier(_)
            | Event::Membership(_)
            | Event::Guild(_)
            | Event::Fan(_)
            | Event::DiscordAccount(_)
            | Event::Creator(_) => {}
        }
    }

    /// Tells endpoints of it, by views that have seen it.
    pub(super) fn teller<'a>(&'a self, views: &'a Views, endpoints: &'a [Endpoint]) -> Teller<'a> {
        let (creators, told) = (HashMap::new(), vec![]);
        Teller { views, endpoints, part: self, creators, told, after: None }
    }
}

/// What a message is about.
#[derive(Clone, Copy)]
struct About<'a> {
    integration: IntegrationId,
    fan: &'a FanId,
    position: Position,
}

impl<'a> From<&'a FanRow> for About<'a> {
    fn from(row: &'a FanRow) -> Self {
        Self { integration: row.integration, fan: &row.fan, position: row.position }
    }
}

/// What endpoints are told of a part of the log, a page at a time: one event may concern every fan there is.
pub(super) struct Teller<'a> {
    views: &'a Views,
    endpoints: &'a [Endpoint],
    part: &'a Part,
    creators: HashMap<IntegrationId, Option<String>>,
    told: Vec<Message>,
    /// The last change that was told; `None` before the first page.
    after: Option<(Position, Option<(IntegrationId, FanId)>)>,
}

impl Teller<'_> {
    /// The next messages, and whether there are more. What is not a fan's state comes first; the rest follows the log.
    pub(super) async fn next(&mut self) -> Result<(Vec<Message>, bool), WebhookError> {
        if self.after.is_none() {
            self.seen_meanwhile().await?;
        }
        let after = self.after.take().unwrap_or((self.part.after, None));
        let changes = self.views.fan_access().changed(after, PAGE).await?;
        // What changed again later is told with that.
        for change in changes.iter().filter(|change| change.place().0 <= self.part.last) {
            match change {
                FanChange::Row(row) => self.row(row).await?,
                FanChange::Gone(row) => self.gone(row).await?,
            }
        }
        self.after = match changes.last().map(FanChange::place) {
            Some((position, integration, fan)) if position <= self.part.last => {
                Some((position, Some((integration, fan.clone()))))
            }
            Some(_) | None => None,
        };
        let mut told = std::mem::take(&mut self.told);
        told.sort_by_key(|message| message.position);
        Ok((told, self.after.is_some()))
    }

    /// What is not a fan's state.
    async fn seen_meanwhile(&mut self) -> Result<(), WebhookError> {
        let part = self.part;
        for drifted in &part.drifted {
            self.drifted(drifted).await?;
        }
        for (position, kind, hold) in &part.holds {
            self.hold(*position, kind, *hold).await?;
        }
        Ok(())
    }

    async fn row(&mut self, row: &FanRow) -> Result<(), WebhookError> {
        let tier = self.part.attached.get(&(row.position, row.integration));
        let kind = match row.status {
            Status::Pending => Some("access.pending"),
            Status::Connected => Some("access.granted"),
            Status::Blocked | Status::ActionRequired => Some("access.blocked"),
            Status::Revoked => Some(REVOKED),
            Status::RevokeBlocked => Some("access.revoke_blocked"),
            Status::Available => tier.map(|_| "integration.available"),
            Status::Revoking => None,
        };
        let Some(creator) = self.creator(row.integration).await? else { return Ok(()) };
        // Whoever left, disconnected or is withheld stands otherwise now, and the access is gone all the same.
        let elsewise =
            matches!(row.status, Status::Available | Status::Blocked | Status::ActionRequired);
        if elsewise && row.through && self.part.revoked.contains(&row.position) {
            self.tell_of_fan(REVOKED, row.into(), &state(row, creator.clone()))?;
        }
        if let Some(kind) = kind {
            let tier = tier.filter(|_| row.status == Status::Available);
            self.tell_of_fan(kind, row.into(), &State { tier, ..state(row, creator.clone()) })?;
        }
        self.tell_of_fan(STATE_CHANGED, row.into(), &state(row, creator))
    }

    async fn gone(&mut self, row: &GoneRow) -> Result<(), WebhookError> {
        let Some(creator) = self.creator(row.integration).await? else { return Ok(()) };
        let GoneRow { integration, fan, position } = row;
        let (integration, position) = (*integration, *position);
        let gone = Gone { fan, creator, integration, status: None, position };
        for kind in [UNAVAILABLE, STATE_CHANGED] {
            self.tell_of_fan(kind, About { integration, fan, position }, &gone)?;
        }
        Ok(())
    }

    async fn drifted(&mut self, drifted: &Drifted) -> Result<(), WebhookError> {
        for integration in self.views.integrations().by_guild(drifted.guild).await? {
            let IntegrationRow { id, creator, .. } = integration;
            let Some(row) = self.views.fan_access().fan_row(id, &drifted.fan).await? else {
                continue;
            };
            let at = FanRow { position: drifted.position, ..row };
            let missing = Some(&drifted.missing);
            let state = State { missing, ..state(&at, creator.to_string()) };
            self.tell_of_fan("access.drifted", (&at).into(), &state)?;
        }
        Ok(())
    }

    async fn hold(
        &mut self,
        position: Position,
        kind: &'static str,
        id: HoldId,
    ) -> Result<(), WebhookError> {
        let Some(row) = self.views.fan_access().hold(id).await? else { return Ok(()) };
        let mut hold = HoldAnswer::from(row);
        match kind {
            // It stands in the log before what it holds, which may not have been seen yet.
            HELD => (hold.status, hold.fans) = (HoldStatus::Waiting, hold.losing),
            APPROVED => hold.status = HoldStatus::Approved,
            _ => hold.status = HoldStatus::Rejected,
        }
        self.tell(kind, position, None, format_args!("{id}"), &HeldRemovals { hold, position })
    }

    /// Whose an integration is, or was: of one that is removed, every fan is told the last thing.
    async fn creator(&mut self, id: IntegrationId) -> Result<Option<String>, WebhookError> {
        if let Some(known) = self.creators.get(&id) {
            return Ok(known.clone());
        }
        let found = self.views.integrations().creator_of(id).await?.map(|id| id.to_string());
        self.creators.insert(id, found.clone());
        Ok(found)
    }

    fn tell_of_fan(
        &mut self,
        kind: &'static str,
        About { integration, fan, position }: About<'_>,
        data: &impl Serialize,
    ) -> Result<(), WebhookError> {
        let subject = format_args!("{integration}/{fan}");
        self.tell(kind, position, Some(fan), subject, data)
    }

    fn tell(
        &mut self,
        kind: &'static str,
        position: Position,
        fan: Option<&FanId>,
        subject: fmt::Arguments<'_>,
        data: &impl Serialize,
    ) -> Result<(), WebhookError> {
        let wanting = |endpoint: &&Endpoint| endpoint.wants(kind) && endpoint.since < position;
        let timestamp = self.part.times.get(&position).copied().unwrap_or_default();
        for endpoint in self.endpoints.iter().filter(wanting) {
            let what = format!("{kind}/{position}/{subject}");
            self.told.push(Message {
                id: Uuid::new_v5(&endpoint.id, what.as_bytes()),
                endpoint: endpoint.id,
                position,
                fan: fan.cloned(),
                kind,
                body: serde_json::to_string(&Envelope { r#type: kind, timestamp, data })?,
            });
        }
        Ok(())
    }
}

fn state(row: &FanRow, creator: String) -> State<'_> {
    State {
        fan: &row.fan,
        creator,
        integration: row.integration,
        status: row.status,
        reason: Reason::of_fan(row.status, row.trouble, row.account.is_some()),
        desired: &row.desired,
        observed: Observed { present: row.present, roles: &row.given },
        tier: None,
        missing: None,
        position: row.position,
    }
}

/// Tells the other endpoints that one was disabled.
pub(super) fn disabled(
    endpoint: &Endpoint,
    reason: &'static str,
    others: &[Endpoint],
    position: Position,
    now: DateTime<Utc>,
) -> Result<Vec<Message>, WebhookError> {
    let data = DisabledEndpoint { endpoint: endpoint.id, url: &endpoint.url, reason, position };
    let body = serde_json::to_string(&Envelope { r#type: DISABLED, timestamp: now, data: &data })?;
    let others = others.iter().filter(|other| other.id != endpoint.id && other.wants(DISABLED));
    let message = |other: &Endpoint| Message {
        id: Uuid::now_v7(),
        endpoint: other.id,
        position,
        fan: None,
        kind: DISABLED,
        body: body.clone(),
    };
    Ok(others.map(message).collect())
}
