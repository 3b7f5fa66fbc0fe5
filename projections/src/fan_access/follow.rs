//! Applies events one by one: each changes facts, and whoever it touches is decided anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use domain::{
    Event, FanId, GuildId, IntegrationId, TierId,
    account::Event as AccountEvent,
    creator::Event as CreatorEvent,
    fan::Event as FanEvent,
    hold::Event as HoldEvent,
    integration::{Event as IntegrationEvent, State as Integration},
    kept::{Because, Known},
    status::Status,
};
use eventstore::Envelope;
use sqlx::SqliteConnection;

use super::{FanRow, fan::Fan, holds::Over, tables::Tables};
use crate::view::{Change, Projection, ViewError};

/// How many fans a change of an integration is worked through at a time, so that memory stays bounded.
const PAGE: u32 = 1_000;

pub(crate) enum Follow {}

impl Projection for Follow {
    const NAME: &'static str = "fan_access";
    const VERSION: u32 = 15;
    const SCHEMA: &'static str = include_str!("fan_access.sql");

    async fn apply(
        db: &mut SqliteConnection,
        run: &[Arc<Envelope>],
    ) -> Result<Vec<Change>, ViewError> {
        let mut tables = Tables::new(db, run).await?;
        let fans = run.iter().filter_map(|envelope| subject(&envelope.event).cloned()).collect();
        tables.load_fans(fans).await?;
        for envelope in run {
            apply(&mut tables, envelope).await?;
        }
        tables.flush().await?;
        Ok(tables.changes)
    }
}

/// The fan whom an event is about.
fn subject(event: &Event) -> Option<&FanId> {
    match event {
        Event::Membership(event) => Some(&event.terms().fan),
        Event::Fan(event) => Some(event.fan()),
        Event::DiscordAccount(
            AccountEvent::AccountReserved { fan, .. } | AccountEvent::AccountReleased { fan, .. },
        ) => Some(fan),
        Event::Access(event) => Some(&event.holder().fan),
        Event::Tier(_)
        | Event::Integration(_)
        | Event::Guild(_)
        | Event::Hold(_)
        | Event::Creator(_) => None,
    }
}

async fn apply(tables: &mut Tables<'_>, envelope: &Envelope) -> Result<(), ViewError> {
    let position = envelope.position;
    tables.begin(envelope);
    match &envelope.event {
        Event::Membership(event) => {
            let terms = event.terms();
            tables.remember(terms);
            tables.load_creators([terms.creator.clone()].into()).await?;
            let over = tables.over(envelope);
            tables.change(&terms.fan, position, Some(&terms.creator), |fan, known| {
                fan.on_membership(event, &over, known);
            });
        }
        Event::Fan(event) => {
            let creator = if let FanEvent::ManualGrantGiven(grant) = event {
                Some(&grant.creator)
            } else {
                None
            };
            tables.load_creators(creator.into_iter().cloned().collect()).await?;
            tables.change(event.fan(), position, creator, |fan, known| fan.on_fan(event, known));
            if let FanEvent::NotificationRead { notification, .. } = event {
                tables.read_notice(*notification);
            }
        }
        Event::Access(event) => {
            tables.change(&event.holder().fan, position, None, |fan, _| fan.on_access(event));
        }
        Event::DiscordAccount(AccountEvent::AccountReleased { account_key, fan }) => {
            tables.change(fan, position, None, |fan, _| fan.on_released(account_key));
        }
        Event::Integration(event) => of_integration(tables, envelope, event).await?,
        Event::Hold(event) => of_hold(tables, envelope, event).await?,
        Event::Creator(CreatorEvent::NoticeRead { notice, .. }) => tables.read_notice(*notice),
        Event::DiscordAccount(AccountEvent::AccountReserved { .. })
        | Event::Tier(_)
        | Event::Guild(_) => {}
    }
    Ok(())
}

/// Whom a change of an integration touches.
enum Touched {
    Nobody,
    /// Everybody who holds, or held, a tier.
    Tiers(BTreeSet<TierId>),
    /// They, and everybody who has a row in it, or something from it by hand.
    All(BTreeSet<TierId>),
    /// Everybody who waits for somebody in it, and everybody for whom something is under way in the server.
    Waiting(GuildId),
}

/// What an integration's event changes, and for whom: the same for the tables and for one fan's history.
pub(crate) struct Consequence<'a> {
    id: IntegrationId,
    touched: Touched,
    before: &'a Integration,
    state: &'a Integration,
    because: Option<Because>,
    /// The holds that it falls under.
    over: Vec<Over>,
}

impl<'a> Consequence<'a> {
    /// `before`, `state`: the integration without the event, and with it.
    pub(crate) fn of(
        event: &IntegrationEvent,
        before: &'a Integration,
        state: &'a Integration,
        over: Vec<Over>,
    ) -> Self {
        let mut touched = touched(event, before, state);
        if let Touched::All(tiers) = &mut touched {
            // Connecting to another server drops the attachments, and takes their access with them.
            tiers.extend(before.attachments.keys().cloned());
        }
        Self { id: event.integration(), touched, before, state, because: decides(event), over }
    }

    /// Whether it changes something for a fan with these rows.
    pub(crate) fn reaches(
        &self,
        id: &FanId,
        fan: &Fan,
        rows: &BTreeMap<IntegrationId, FanRow>,
    ) -> bool {
        let row = rows.get(&self.id);
        let creator = self.state.creator.as_ref();
        let holds = |tiers: &BTreeSet<TierId>| {
            let mut held = fan.facts.memberships.values();
            held.any(|held| Some(&held.creator) == creator && tiers.contains(&held.tier))
        };
        match &self.touched {
            Touched::Nobody => false,
            Touched::Tiers(tiers) => holds(tiers),
            Touched::All(tiers) => {
                row.is_some() || fan.facts.grants.contains_key(&self.id) || holds(tiers)
            }
            Touched::Waiting(guild) => {
                row.is_some_and(|row| row.status == Status::Blocked)
                    || fan.commands(id).keys().any(|(server, _)| server == guild)
            }
        }
    }

    /// Changes a fan whom it reaches.
    pub(crate) fn change(&self, fan: &mut Fan, known: &Known<'_>) {
        match &self.touched {
            Touched::Waiting(guild) => fan.on_server_changed(*guild),
            Touched::All(_) => {
                let guild = self.state.held_guild().into_iter();
                guild.for_each(|guild| fan.on_server_changed(guild));
            }
            Touched::Tiers(_) | Touched::Nobody => {}
        }
        if let Some(because) = &self.because {
            fan.on_creator(self.id, self.before, because, &self.over, known);
        }
    }
}

fn touched(event: &IntegrationEvent, before: &Integration, state: &Integration) -> Touched {
    match event {
        IntegrationEvent::MembershipAttached { tier, .. }
        | IntegrationEvent::AttachmentRolesChanged { tier, .. }
        | IntegrationEvent::MembershipDetached { tier, .. } => {
            Touched::Tiers([tier.clone()].into())
        }
        IntegrationEvent::RemovalPolicyChanged { .. }
        | IntegrationEvent::DriftPolicyChanged { .. }
        | IntegrationEvent::BotRemoved { .. }
        | IntegrationEvent::BotReturned { .. }
        | IntegrationEvent::ServerConnected { .. }
        | IntegrationEvent::DisconnectStarted { .. }
        | IntegrationEvent::ServerDisconnected { .. }
        | IntegrationEvent::IntegrationRemoved { .. } => {
            Touched::All(state.attachments.keys().cloned().collect())
        }
        // Nobody has a role any more that is deleted, and whoever lost it to a wrong list has it still.
        IntegrationEvent::RolesRefreshed { .. } if role_came_or_went(before, state) => {
            Touched::All(state.attachments.keys().cloned().collect())
        }
        IntegrationEvent::RolesRefreshed { guild, .. } => Touched::Waiting(*guild),
        IntegrationEvent::IntegrationCreated { .. }
        | IntegrationEvent::IntegrationRenamed { .. }
        | IntegrationEvent::RemovalLimitChanged { .. } => Touched::Nobody,
    }
}

/// Whether a role that a tier gives is there again, or any role has gone: another integration on the server may give it,
/// and counts it as there until the last of the server's lists has it no more.
fn role_came_or_went(before: &Integration, state: &Integration) -> bool {
    let (Some(before), Some(list)) = (&before.roles, &state.roles) else { return false };
    let mut given = state.attachments.values().flatten();
    given.any(|role| before.role(*role).is_none() && list.role(*role).is_some())
        || before.roles().iter().any(|role| list.role(role.id).is_none())
}

/// What the creator decides anew with an event, so that what was kept of it is not kept any more.
fn decides(event: &IntegrationEvent) -> Option<Because> {
    match event {
        IntegrationEvent::MembershipAttached { tier, .. }
        | IntegrationEvent::AttachmentRolesChanged { tier, .. }
        | IntegrationEvent::MembershipDetached { tier, .. } => Some(Because::Tier(tier.clone())),
        IntegrationEvent::RemovalPolicyChanged { .. } => Some(Because::Policy),
        IntegrationEvent::IntegrationCreated { .. }
        | IntegrationEvent::IntegrationRenamed { .. }
        | IntegrationEvent::DriftPolicyChanged { .. }
        | IntegrationEvent::RemovalLimitChanged { .. }
        | IntegrationEvent::ServerConnected { .. }
        | IntegrationEvent::RolesRefreshed { .. }
        | IntegrationEvent::BotRemoved { .. }
        | IntegrationEvent::BotReturned { .. }
        | IntegrationEvent::DisconnectStarted { .. }
        | IntegrationEvent::ServerDisconnected { .. }
        | IntegrationEvent::IntegrationRemoved { .. } => None,
    }
}

async fn of_integration(
    tables: &mut Tables<'_>,
    envelope: &Envelope,
    event: &IntegrationEvent,
) -> Result<(), ViewError> {
    let (position, id) = (envelope.position, event.integration());
    let over = tables.over(envelope);
    // What has been asked of the tables below must see what came before.
    tables.flush().await?;
    let Some((creator, before, state)) = tables.evolve_integration(id, event).await? else {
        return Ok(());
    };
    let consequence = Consequence::of(event, &before, &state, over);
    let mut after: Option<FanId> = None;
    loop {
        let fans = match &consequence.touched {
            Touched::Nobody => return Ok(()),
            Touched::Tiers(tiers) => {
                tables.holders(&creator, tiers, None, after.as_ref(), PAGE).await?
            }
            Touched::All(tiers) => {
                tables.holders(&creator, tiers, Some(id), after.as_ref(), PAGE).await?
            }
            Touched::Waiting(guild) => tables.waiting(*guild, id, after.as_ref(), PAGE).await?,
        };
        let Some(last) = fans.last().cloned() else { return Ok(()) };
        let loaded = tables.load_fans(fans.iter().cloned().collect()).await?;
        for fan in &fans {
            tables.change(fan, position, None, |fan, known| consequence.change(fan, known));
        }
        tables.flush().await?;
        tables.forget(&loaded);
        after = Some(last);
    }
}

/// Opens a hold, or takes away or settles what it kept.
async fn of_hold(
    tables: &mut Tables<'_>,
    envelope: &Envelope,
    event: &HoldEvent,
) -> Result<(), ViewError> {
    let approved = match event {
        HoldEvent::RemovalsHeld(_) => return tables.on_hold(envelope, event).await,
        HoldEvent::RemovalsApproved { .. } => true,
        HoldEvent::RemovalsRejected { .. } => false,
    };
    // Whom it concerns is asked of the tables, which must see what came before.
    tables.flush().await?;
    tables.on_hold(envelope, event).await?;
    let (hold, mut after) = (event.hold(), None);
    loop {
        let fans = tables.held(hold, after.as_ref(), PAGE).await?;
        let Some(last) = fans.last().cloned() else { return Ok(()) };
        let loaded = tables.load_fans(fans.iter().cloned().collect()).await?;
        for fan in &fans {
            tables.change(fan, envelope.position, None, |fan, _| fan.on_decided(hold, approved));
        }
        tables.flush().await?;
        tables.forget(&loaded);
        after = Some(last);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn renaming_an_integration_touches_no_fan() {
        let renamed = IntegrationEvent::IntegrationRenamed {
            integration: IntegrationId(Uuid::nil()),
            name: "Club".parse().unwrap(),
        };
        let state = Integration::default();
        assert!(matches!(touched(&renamed, &state, &state), Touched::Nobody));
    }
}
