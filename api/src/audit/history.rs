//! Access over time: every change of what a fan should have and had, or of what anybody had through an integration.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::{
    CreatorId, Event, FanId, GuildId, IntegrationId, MembershipId, access::Desired,
    membership::Event as MembershipEvent, status::Status,
};
use eventstore::{Envelope, Position, Store};
use projections::{
    Audit,
    audit::{Direction, Had, Interval, Retelling, Wanted},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    AuditError,
    names::Names,
    of_fan,
    shapes::{DesiredShape, HadShape, refused},
    words::sentence,
};
use crate::reason::Reason;

/// How somebody stood from an event on.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AccessChange)]
pub(crate) struct Change {
    /// The event that brought it about.
    pub(crate) position: u64,
    pub(crate) at: DateTime<Utc>,
    pub(crate) actor: String,
    pub(crate) r#type: String,
    /// What happened, in plain words.
    pub(crate) sentence: String,
    pub(crate) fan: FanId,
    /// Null where the server was no integration's any more.
    pub(crate) integration: Option<IntegrationId>,
    pub(crate) guild: Option<GuildId>,
    /// How the fan stood from then on; told where one fan's history is asked for.
    pub(crate) status: Option<Status>,
    pub(crate) reason: Option<Reason>,
    /// What the fan should have from then on.
    pub(crate) desired: DesiredShape,
    /// What the fan had from then on, as far as Discord told; null where nothing was attempted yet.
    pub(crate) had: Option<HadShape>,
}

/// Whose history is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Of {
    /// A fan's, in all integrations or in one.
    Fan(FanId, Option<IntegrationId>),
    /// Everybody's in an integration.
    Integration(IntegrationId),
}

/// A place in a history: one event may change how a fan stands in several integrations.
pub(crate) type Row = (Position, Option<IntegrationId>);

impl Change {
    pub(crate) fn row(&self) -> Row {
        (Position(self.position), self.integration)
    }
}

/// At most `limit` changes after a place, oldest first.
pub(crate) async fn history(
    store: &Store,
    audit: &Audit,
    of: &Of,
    after: Row,
    limit: usize,
) -> Result<Vec<Change>, AuditError> {
    match of {
        Of::Fan(fan, integration) => {
            let mut changes = course(store, audit, fan, *integration).await?.changes;
            changes.retain(|change| change.row() > after);
            changes.truncate(limit);
            Ok(changes)
        }
        Of::Integration(id) => of_integration(store, audit, *id, after.0, limit).await,
    }
}

/// All that is known of a fan over time.
pub(crate) struct Course {
    pub(crate) changes: Vec<Change>,
    pub(crate) paid: Vec<Paid>,
    /// What integrations and their servers were called last.
    pub(crate) integrations: BTreeMap<IntegrationId, (String, Option<String>)>,
}

/// A time for which a fan had what they paid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paid {
    pub(crate) creator: CreatorId,
    /// What the tier is called.
    pub(crate) tier: String,
    membership: MembershipId,
    pub(crate) from: DateTime<Utc>,
    pub(crate) until: Option<DateTime<Utc>>,
}

/// Tells everything that changed for a fan, in all integrations or in one.
pub(crate) async fn course(
    store: &Store,
    audit: &Audit,
    fan: &FanId,
    integration: Option<IntegrationId>,
) -> Result<Course, AuditError> {
    let creators = match integration {
        Some(id) => {
            let creator = audit.creator(id).await?.ok_or(AuditError::UnknownIntegration)?;
            Some(vec![creator])
        }
        None => None,
    };
    let told = of_fan(store, audit, fan, creators.as_deref(), None).await?;
    let mut names = Names::default();
    names.tiers_of(store, audit, &told).await?;
    let (mut retelling, mut ids) = (Retelling::of(fan.clone()), BTreeSet::new());
    let mut stood: BTreeMap<IntegrationId, Stands> = BTreeMap::new();
    let (mut changes, mut paid) = (vec![], vec![]);
    for envelope in &told {
        match &envelope.event {
            Event::Integration(event) => {
                ids.insert(event.integration());
                names.hear(event);
            }
            Event::Membership(event) => pay(&mut paid, event, envelope.metadata.at, &names),
            Event::Tier(_)
            | Event::Guild(_)
            | Event::Fan(_)
            | Event::DiscordAccount(_)
            | Event::Access(_)
            | Event::Hold(_)
            | Event::Creator(_) => {}
        }
        retelling.hear(envelope);
        for id in ids.iter().filter(|id| integration.is_none_or(|asked| asked == **id)) {
            let stands = Stands::of(&retelling, *id);
            let before = stood.insert(*id, stands.clone()).unwrap_or_default();
            if stands != before {
                changes.push(stands.change(*id, fan, envelope, &names));
            }
        }
    }
    let integrations = stood.into_iter().map(|(id, stands)| {
        let server = stands.guild.and_then(|guild| names.server_name(guild)).map(str::to_owned);
        (id, (names.plain_integration(id).unwrap_or_default().to_owned(), server))
    });
    Ok(Course { changes, paid, integrations: integrations.collect() })
}

/// Notes what a membership's event begins and ends.
fn pay(paid: &mut Vec<Paid>, event: &MembershipEvent, at: DateTime<Utc>, names: &Names) {
    let terms = event.terms();
    let tier = names.tier(&terms.creator, &terms.tier);
    let running =
        paid.iter_mut().find(|paid| paid.membership == terms.membership && paid.until.is_none());
    if let Some(running) = running {
        if event.is_live() && running.tier == tier {
            return;
        }
        running.until = Some(at);
    }
    if event.is_live() {
        let (creator, membership) = (terms.creator.clone(), terms.membership.clone());
        paid.push(Paid { creator, tier, membership, from: at, until: None });
    }
}

/// How a fan stands in an integration.
#[derive(Debug, Clone, Default, PartialEq)]
struct Stands {
    guild: Option<GuildId>,
    status: Option<Status>,
    reason: Option<Reason>,
    desired: Desired,
    had: Option<Had>,
}

impl Stands {
    fn of(retelling: &Retelling, id: IntegrationId) -> Self {
        let Some(row) = retelling.row(id) else { return Self::default() };
        Self {
            guild: row.guild,
            status: Some(row.status),
            reason: Reason::of_fan(row.status, row.trouble, retelling.is_linked()),
            desired: row.desired.clone(),
            had: row.guild.and_then(|server| retelling.had(server)).cloned(),
        }
    }

    fn change(&self, id: IntegrationId, fan: &FanId, event: &Envelope, names: &Names) -> Change {
        Change {
            position: event.position.0,
            at: event.metadata.at,
            actor: event.metadata.actor.to_string(),
            r#type: event.kind.to_string(),
            sentence: sentence(&event.event, names),
            fan: fan.clone(),
            integration: Some(id),
            guild: self.guild,
            status: self.status,
            reason: self.reason.clone(),
            desired: DesiredShape::of(&self.desired, names),
            had: self.had.as_ref().map(|had| HadShape::of(had, names)),
        }
    }
}

async fn of_integration(
    store: &Store,
    audit: &Audit,
    id: IntegrationId,
    mut after: Position,
    limit: usize,
) -> Result<Vec<Change>, AuditError> {
    audit.creator(id).await?.ok_or(AuditError::UnknownIntegration)?;
    let wanted = Wanted { integration: Some(id), ..Wanted::default() };
    let mut begun: Vec<Interval> = vec![];
    while begun.len() < limit {
        let found = audit.find(&wanted, Direction::After(after), super::READ).await?;
        let Some(last) = found.last() else { break };
        after = *last;
        begun.extend(audit.begun(&found).await?);
    }
    begun.truncate(limit);
    let positions: Vec<_> = begun.iter().map(|interval| interval.position).collect();
    let events = store.decode(store.log().read_at(&positions).await?).await?;
    let names = Names::of(store, audit, &events).await?;
    let changes = begun.into_iter().zip(&events).map(|(interval, event)| {
        let access = if let Event::Access(access) = &event.event { Some(access) } else { None };
        Change {
            position: interval.position.0,
            at: interval.began(),
            actor: event.metadata.actor.to_string(),
            r#type: event.kind.to_string(),
            sentence: sentence(&event.event, &names),
            fan: interval.fan.clone(),
            integration: Some(id),
            guild: Some(interval.guild),
            status: None,
            reason: access.and_then(|access| access.report().and_then(refused)),
            desired: DesiredShape::of(&interval.had.desired, &names),
            had: Some(HadShape::of(&interval.had, &names)),
        }
    });
    Ok(changes.collect())
}
