//! Applies events one by one: each changes facts, and whoever it touches is decided anew.

use std::{collections::BTreeSet, sync::Arc};

use domain::{
    Event, FanId, GuildId, TierId,
    account::Event as AccountEvent,
    fan::Event as FanEvent,
    integration::{Event as IntegrationEvent, State as Integration},
};
use eventstore::{Envelope, Position};
use sqlx::SqliteConnection;

use super::tables::Tables;
use crate::view::{Change, Projection, ViewError};

/// How many fans a change of an integration is worked through at a time, so that memory stays bounded.
const PAGE: u32 = 1_000;

pub(crate) enum Follow {}

impl Projection for Follow {
    const NAME: &'static str = "fan_access";
    const VERSION: u32 = 4;
    const SCHEMA: &'static str = include_str!("fan_access.sql");

    async fn apply(
        db: &mut SqliteConnection,
        run: &[Arc<Envelope>],
    ) -> Result<Vec<Change>, ViewError> {
        let mut tables = Tables::new(db);
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
        Event::Tier(_) | Event::Integration(_) | Event::Guild(_) => None,
    }
}

async fn apply(tables: &mut Tables<'_>, envelope: &Envelope) -> Result<(), ViewError> {
    let position = envelope.position;
    match &envelope.event {
        Event::Membership(event) => {
            let terms = event.terms();
            tables.remember(terms);
            tables.load_creators([terms.creator.clone()].into()).await?;
            tables.change(&terms.fan, position, Some(&terms.creator), |fan, known| {
                fan.on_membership(event, known);
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
        }
        Event::Access(event) => {
            tables.change(&event.holder().fan, position, None, |fan, _| fan.on_access(event));
        }
        Event::DiscordAccount(AccountEvent::AccountReleased { account_key, fan }) => {
            tables.change(fan, position, None, |fan, _| fan.on_released(account_key));
        }
        Event::Integration(event) => of_integration(tables, position, event).await?,
        Event::DiscordAccount(AccountEvent::AccountReserved { .. })
        | Event::Tier(_)
        | Event::Guild(_) => {}
    }
    Ok(())
}

/// Whom a change of an integration touches.
pub(crate) enum Touched {
    Nobody,
    /// Everybody who holds, or held, a tier.
    Tiers(BTreeSet<TierId>),
    /// Everybody whom the integration has to do with.
    All(BTreeSet<TierId>),
    /// Everybody who waits for somebody in a server.
    Waiting(GuildId),
}

pub(crate) fn touched(event: &IntegrationEvent, state: &Integration) -> Touched {
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
        IntegrationEvent::RolesRefreshed { guild, .. } => Touched::Waiting(*guild),
        IntegrationEvent::IntegrationCreated { .. }
        | IntegrationEvent::IntegrationRenamed { .. } => Touched::Nobody,
    }
}

async fn of_integration(
    tables: &mut Tables<'_>,
    position: Position,
    event: &IntegrationEvent,
) -> Result<(), ViewError> {
    let id = event.integration();
    // What has been asked of the tables below must see what came before.
    tables.flush().await?;
    let Some((creator, before, state)) = tables.evolve_integration(id, event).await? else {
        return Ok(());
    };
    let mut reach = touched(event, &state);
    if let Touched::All(tiers) = &mut reach {
        // Connecting to another server drops the attachments, and takes their access with them.
        tiers.extend(before.attachments.into_keys());
    }
    let mut after: Option<FanId> = None;
    loop {
        let fans = match &reach {
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
            tables.change(fan, position, None, |fan, _| match &reach {
                Touched::Waiting(guild) => fan.on_server_changed(*guild),
                Touched::All(_) => {
                    state.open_guild().into_iter().for_each(|guild| fan.on_server_changed(guild));
                }
                Touched::Tiers(_) | Touched::Nobody => {}
            });
        }
        tables.flush().await?;
        tables.forget(&loaded);
        after = Some(last);
    }
}

#[cfg(test)]
mod tests {
    use domain::IntegrationId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn renaming_an_integration_touches_no_fan() {
        let renamed = IntegrationEvent::IntegrationRenamed {
            integration: IntegrationId(Uuid::nil()),
            name: "Club".parse().unwrap(),
        };
        assert!(matches!(touched(&renamed, &Integration::default()), Touched::Nobody));
    }
}
