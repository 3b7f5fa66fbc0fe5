//! The history of one fan, heard again event by event with today's rules: how they stood after each.

use std::collections::BTreeMap;

use domain::{
    Decider, Event, FanId, GuildId, IntegrationId,
    access::Event as AccessEvent,
    account::{AccountKey, Event as AccountEvent},
    hold::Event as HoldEvent,
    integration::{Event as IntegrationEvent, Integration, State},
    kept::Known,
};
use eventstore::Envelope;

use super::access::Had;
use crate::fan_access::{FanRow, fan::Fan, follow::Consequence, holds::Over};

/// A fan and the integrations that may concern them, as the events that were heard so far tell it.
pub struct Retelling {
    id: FanId,
    fan: Fan,
    integrations: BTreeMap<IntegrationId, State>,
    rows: BTreeMap<IntegrationId, FanRow>,
    /// The holds that are not approved.
    holds: Vec<Over>,
    /// What was last known to be had in a server, by each account.
    had: BTreeMap<GuildId, BTreeMap<AccountKey, Had>>,
}

impl Retelling {
    pub fn of(fan: FanId) -> Self {
        Self {
            id: fan,
            fan: Fan::default(),
            integrations: BTreeMap::new(),
            rows: BTreeMap::new(),
            holds: vec![],
            had: BTreeMap::new(),
        }
    }

    /// Hears the next event that names the fan, or that is one of the integrations' own.
    pub fn hear(&mut self, envelope: &Envelope) {
        match &envelope.event {
            Event::Membership(event) if event.terms().fan == self.id => {
                let (known, over) = (known(&self.integrations), self.over(envelope));
                self.fan.on_membership(event, &over, &known);
            }
            Event::Fan(event) if *event.fan() == self.id => {
                let known = known(&self.integrations);
                self.fan.on_fan(event, &known);
            }
            Event::Access(event) if event.holder().fan == self.id => {
                self.fan.on_access(event);
                self.of_access(event);
            }
            Event::DiscordAccount(AccountEvent::AccountReleased { account_key, fan })
                if *fan == self.id =>
            {
                self.fan.on_released(account_key);
            }
            Event::Integration(event) => {
                if !self.of_integration(envelope, event) {
                    return;
                }
            }
            Event::Hold(event) => {
                Over::hear(&mut self.holds, envelope, event);
                let (hold, approved) = match event {
                    HoldEvent::RemovalsHeld(_) => return,
                    HoldEvent::RemovalsApproved { hold, .. } => (hold, true),
                    HoldEvent::RemovalsRejected { hold, .. } => (hold, false),
                };
                if !self.fan.facts.kept.iter().any(|kept| kept.hold == *hold) {
                    return;
                }
                self.fan.on_decided(*hold, approved);
            }
            Event::Tier(_)
            | Event::Membership(_)
            | Event::Guild(_)
            | Event::Fan(_)
            | Event::DiscordAccount(_)
            | Event::Access(_)
            | Event::Creator(_) => return,
        }
        let known = known(&self.integrations);
        self.fan.decide(envelope.position, &known);
        self.rows = self.fan.rows(&self.id, envelope.position, &known);
    }

    fn of_access(&mut self, event: &AccessEvent) {
        let holder = event.holder();
        let accounts = self.had.entry(holder.guild).or_default();
        let had = accounts.remove(&holder.account_key).unwrap_or_else(Had::nothing);
        accounts.insert(holder.account_key.clone(), had.after(event));
    }

    /// The holds that an event falls under.
    fn over(&self, envelope: &Envelope) -> Vec<Over> {
        self.holds.iter().filter(|over| over.covers(envelope)).cloned().collect()
    }

    /// Answers whether the event changes something for the fan: whoever is not concerned is not decided anew.
    fn of_integration(&mut self, envelope: &Envelope, event: &IntegrationEvent) -> bool {
        let (id, over) = (event.integration(), self.over(envelope));
        let state = self.integrations.entry(id).or_default();
        let before = state.clone();
        Integration::evolve(state, event);
        let known = known(&self.integrations);
        let Some(state) = known.get(&id) else { return false };
        let consequence = Consequence::of(event, &before, state, over);
        let reaches = consequence.reaches(&self.id, &self.fan, &self.rows);
        if reaches {
            consequence.change(&mut self.fan, &known);
        }
        reaches
    }

    /// How the fan stands in an integration; `None` where it has nothing to do with them.
    pub fn row(&self, integration: IntegrationId) -> Option<&FanRow> {
        self.rows.get(&integration)
    }

    /// What the fan had in a server, as far as Discord told: by the account that is connected; without one, by the one
    /// that still has something.
    pub fn had(&self, server: GuildId) -> Option<&Had> {
        let accounts = self.had.get(&server)?;
        if let Some(link) = &self.fan.facts.link {
            return accounts.get(&link.account_key);
        }
        let has = |had: &&Had| had.present == Some(true) || !had.roles.is_empty();
        accounts.values().find(has).or_else(|| accounts.values().next())
    }

    /// Whether a Discord account is connected.
    pub fn is_linked(&self) -> bool {
        self.fan.facts.link.is_some()
    }

    pub fn integration(&self, id: IntegrationId) -> Option<&State> {
        self.integrations.get(&id)
    }
}

fn known(integrations: &BTreeMap<IntegrationId, State>) -> Known<'_> {
    integrations.iter().map(|(id, state)| (*id, state)).collect()
}
