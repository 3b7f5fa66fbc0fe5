//! One fan's facts, and what follows from them at each event: places decided anew, rows, commands.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    CreatorId, FanId, GuildId, HoldId, IntegrationId, MembershipId, RoleId, Who,
    access::Event as AccessEvent,
    account::AccountKey,
    desired::{self, Decided, Facts, Place, Rules},
    fan::Event as FanEvent,
    integration::State as Integration,
    kept::{Because, Kept, Known, Taken},
    membership::Event as MembershipEvent,
    personal::{Account, Personal},
    status::{obstacle, status},
    trouble::Matter,
};
use eventstore::Position;
use serde::{Deserialize, Serialize};

use super::{
    CommandKind, CommandRow, FanRow, Leftover,
    holds::{HeldRow, Over},
};

/// A fan as the view keeps them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fan {
    pub(crate) facts: Facts,
    /// Accounts that the fan unlinked and that are still reserved for them.
    unlinked: BTreeSet<AccountKey>,
    /// The creators who ever gave the fan something by hand: what is owed outlasts the grant.
    givers: BTreeSet<CreatorId>,
}

impl Fan {
    /// The account is anybody's again: whoever links it next is in the servers in their own right.
    pub(crate) fn on_released(&mut self, account: &AccountKey) {
        self.unlinked.remove(account);
        let places = self.facts.standings.values_mut();
        for place in places.filter_map(|places| places.get_mut(account)) {
            place.standing.release();
            place.holding.clear();
        }
    }

    /// `over`: the holds that the event falls under.
    pub(crate) fn on_membership(
        &mut self,
        event: &MembershipEvent,
        over: &[Over],
        known: &Known<'_>,
    ) {
        let terms = event.terms();
        let because = Because::Membership(terms.membership.clone());
        let stakes: Vec<_> = over
            .iter()
            .filter_map(|over| {
                let integration = known.get(&over.integration)?;
                Some((over, self.facts.at_stake(over.integration, integration, &because)?))
            })
            .collect();
        let before = self.facts.report(event);
        let newly =
            event.is_live() && !before.is_some_and(|held| held.live && held.tier == terms.tier);
        if newly && self.facts.link.is_some() {
            let bought: BTreeSet<MembershipId> = [terms.membership.clone()].into();
            self.activate_what_is_offered(&bought, known);
        }
        for (over, gave) in stakes {
            self.keep(over, &gave, &because, known);
        }
    }

    /// The creator of an integration decided anew about a tier or a policy. `before`: as the integration was.
    pub(crate) fn on_creator(
        &mut self,
        id: IntegrationId,
        before: &Integration,
        because: &Because,
        over: &[Over],
        known: &Known<'_>,
    ) {
        let gave = self.facts.at_stake(id, before, because);
        self.facts.decide_anew(id, because);
        for over in over.iter().filter(|over| over.integration == id) {
            self.keep(over, gave.as_ref().unwrap_or(&BTreeSet::new()), because, known);
        }
    }

    /// Keeps what the fan would lose, where a hold says so.
    fn keep(&mut self, over: &Over, gave: &BTreeSet<RoleId>, because: &Because, known: &Known<'_>) {
        let Over { hold, integration, rejected, .. } = *over;
        let guild = known.get(&integration).and_then(|integration| integration.open_guild());
        let taken = self.facts.loses(integration, gave, known);
        if let Some((guild, Taken { roles, server })) = guild.zip(taken) {
            let because = because.clone();
            let kept = Kept { hold, integration, guild, roles, server, because, rejected };
            self.facts.kept.push(kept);
        }
    }

    /// Somebody decided on a hold: what it kept is taken away, or stays.
    pub(crate) fn on_decided(&mut self, hold: HoldId, approved: bool) {
        self.facts.kept.retain(|kept| !approved || kept.hold != hold);
        for kept in self.facts.kept.iter_mut().filter(|kept| kept.hold == hold) {
            kept.rejected = true;
        }
    }

    /// What each hold lets the fan keep.
    pub(super) fn held(&self) -> BTreeMap<HoldId, HeldRow> {
        let mut held: BTreeMap<HoldId, HeldRow> = BTreeMap::new();
        for kept in &self.facts.kept {
            let row = held.entry(kept.hold).or_insert_with(|| HeldRow {
                integration: kept.integration,
                roles: BTreeSet::new(),
                server: false,
                waiting: !kept.rejected,
            });
            row.roles.extend(&kept.roles);
            row.server |= kept.server;
        }
        held
    }

    pub(crate) fn on_fan(&mut self, event: &FanEvent, known: &Known<'_>) {
        match event {
            FanEvent::FanLinked(link) => {
                self.facts.link = Some(link.clone());
                self.facts.broken = None;
                self.unlinked.remove(&link.account_key);
                // What was the matter with the connection is mended, wherever it stood in the way.
                let places = self.facts.standings.values_mut();
                for place in places.filter_map(|places| places.get_mut(&link.account_key)) {
                    place.standing.trouble.take_if(|(trouble, _)| trouble.is_of_account());
                }
                let all = self.facts.memberships.keys().cloned().collect();
                self.activate_what_is_offered(&all, known);
            }
            FanEvent::FanUnlinked(link) => {
                self.facts.link = None;
                self.facts.broken = None;
                self.facts.kept.clear();
                self.unlinked.insert(link.account_key.clone());
            }
            FanEvent::LinkBroken { reason, .. } => self.facts.broken = Some(*reason),
            FanEvent::IntegrationActivated { integration, .. } => {
                self.facts.active.insert(*integration, true);
                if let Some(integration) = known.get(integration) {
                    self.ask_again(integration);
                }
            }
            FanEvent::IntegrationDeactivated { integration, .. } => {
                self.facts.active.insert(*integration, false);
            }
            FanEvent::ManualGrantGiven(grant) => {
                self.facts.grants.insert(grant.integration, grant.clone());
                self.givers.insert(grant.creator.clone());
                if let Some(integration) = known.get(&grant.integration) {
                    self.ask_again(integration);
                }
            }
            FanEvent::ManualGrantEnded { integration, .. } => {
                self.facts.grants.remove(integration);
            }
            FanEvent::AccessWithheld { integration, .. } => {
                self.facts.withheld.insert(*integration);
            }
            FanEvent::WithholdingLifted { integration, .. } => {
                self.facts.withheld.remove(integration);
            }
            FanEvent::NotificationRead { .. } => {}
        }
    }

    pub(crate) fn on_access(&mut self, event: &AccessEvent) {
        let holder = event.holder();
        let place = place(&mut self.facts, holder.guild, &holder.account_key, &holder.account);
        place.standing.apply(event);
        // What was held before the removal is held again.
        if let AccessEvent::RemovalFoundUndone { .. } = event {
            place.holding.extend(&place.contributors);
        }
        // An outcome closes its command: what has become possible meanwhile is another one's to do.
        let done = event.report().is_some_and(|report| report.trouble.is_none());
        if done && place.standing.command == place.decided.version {
            place.decided.open = false;
        }
        // What Discord said of an older command does not speak of the newer one that waits.
        if place.standing.command < place.decided.version {
            place.standing.trouble = None;
        }
    }

    /// Facts about a server changed: what was refused there may be accepted now.
    pub(crate) fn on_server_changed(&mut self, guild: GuildId) {
        for place in self.facts.standings.get_mut(&guild).into_iter().flat_map(BTreeMap::values_mut)
        {
            place.standing.trouble.take_if(|(trouble, _)| trouble.who() != Who::Fan);
            place.standing.drifts = 0;
        }
    }

    /// Linking, or buying while linked, activates what is attached, except what the fan turned off.
    fn activate_what_is_offered(
        &mut self,
        memberships: &BTreeSet<MembershipId>,
        known: &Known<'_>,
    ) {
        for (id, integration) in known {
            let offers = desired::offered(&self.facts, integration)
                .any(|(membership, held)| held.live && memberships.contains(membership));
            if offers
                && integration.open_guild().is_some()
                && *self.facts.active.entry(*id).or_insert(true)
            {
                self.ask_again(integration);
            }
        }
    }

    /// The fan asks to be let in: having left, or having been refused, does not count any more.
    fn ask_again(&mut self, integration: &Integration) {
        let (Some(link), Some(guild)) = (&self.facts.link, integration.open_guild()) else {
            return;
        };
        let places = self.facts.standings.get_mut(&guild);
        if let Some(place) = places.and_then(|places| places.get_mut(&link.account_key)) {
            place.standing.gone = None;
            place.standing.trouble = None;
            place.standing.missing.clear();
            place.standing.drifts = 0;
        }
    }

    /// Decides every place anew after the event at `position`.
    pub(crate) fn decide(&mut self, position: Position, known: &Known<'_>) {
        self.facts.settle(known);
        let reasons = desired::reasons(&self.facts, known.iter().map(|(id, state)| (*id, *state)));
        let mut wanted = desired::desired(&reasons);
        if let Some(link) = self.facts.link.clone() {
            for guild in wanted.keys() {
                place(&mut self.facts, *guild, &link.account_key, &link.account);
            }
        }
        let (link, broken) = (&self.facts.link, self.facts.broken);
        for (guild, places) in &mut self.facts.standings {
            for (account, place) in places {
                let current = link.as_ref().is_some_and(|link| link.account_key == *account);
                let through: BTreeSet<IntegrationId> = reasons
                    .iter()
                    .filter(|reason| current && reason.guild == *guild)
                    .map(|reason| reason.integration)
                    .collect();
                let desired = if current { wanted.remove(guild) } else { None }.unwrap_or_default();
                let rules = |contributors: &BTreeSet<IntegrationId>, roles: &BTreeSet<RoleId>| {
                    let contributors = contributors.iter().filter_map(|id| known.get(id).copied());
                    Rules::of(*guild, contributors, roles)
                };
                place.decide(desired, &through, rules, broken, position.0);
            }
        }
    }

    /// How the fan stands in each of the integrations that has to do with them.
    pub(crate) fn rows(
        &self,
        fan: &FanId,
        position: Position,
        known: &Known<'_>,
    ) -> BTreeMap<IntegrationId, FanRow> {
        let linked = self.facts.link.as_ref();
        known
            .iter()
            .filter_map(|(id, integration)| {
                let (status, trouble) = status(&self.facts, *id, integration)?;
                let guild = integration.server.as_ref().map(|server| server.id);
                let places = guild.and_then(|guild| self.facts.standings.get(&guild));
                // The account that is linked; where there is none, the one that may still hold something.
                let place = places.and_then(|places| {
                    let current = linked.and_then(|link| places.get(&link.account_key));
                    current.or_else(|| places.values().find(|place| place.holding.contains(id)))
                });
                let others = places.into_iter().flatten().filter(|(_, other)| {
                    other.holding.contains(id)
                        && place.is_none_or(|place| !std::ptr::eq(place, *other))
                });
                let leftovers = others.map(|(_, other)| Leftover {
                    account: other.standing.account.clone(),
                    present: other.standing.observed_present(),
                    given: other.standing.roles(),
                    trouble: obstacle(other, self.facts.broken),
                });
                let leftovers = leftovers.collect();
                let let_go = places.into_iter().flatten().filter(|(_, other)| {
                    other.contributors.contains(id)
                        && !other.holding.contains(id)
                        && place.is_none_or(|place| !std::ptr::eq(place, *other))
                });
                let let_go = let_go.filter_map(|(_, other)| {
                    Some((other.standing.account.clone(), other.standing.removed.clone()?))
                });
                let let_go = let_go.collect();
                // Whoever neither holds a membership of the creator nor has said yes shows their account to nobody.
                let agreed = self.facts.active.get(id) == Some(&true)
                    || integration
                        .creator
                        .as_ref()
                        .is_some_and(|creator| self.facts.knows(creator));
                let linked = linked.filter(|_| agreed).map(|link| &link.account);
                let account = place.map(|place| &place.standing.account).or(linked);
                let row = FanRow {
                    integration: *id,
                    fan: fan.clone(),
                    guild,
                    account: account.cloned(),
                    desired: place.map(|place| place.decided.desired.clone()).unwrap_or_default(),
                    present: place.and_then(|place| place.standing.observed_present()),
                    joined_at: place.and_then(|place| place.standing.joined_at),
                    given: place.map(given).unwrap_or_default(),
                    taken_away: place.map(taken_away).unwrap_or_default(),
                    removed: place.and_then(|place| place.standing.removed.clone()),
                    status,
                    trouble,
                    through: places
                        .into_iter()
                        .flatten()
                        .any(|(_, place)| place.contributors.contains(id)),
                    leftovers,
                    let_go,
                    position,
                };
                Some((*id, row))
            })
            .collect()
    }

    /// The commands that are open for the fan.
    pub(crate) fn commands(&self, fan: &FanId) -> BTreeMap<(GuildId, AccountKey), CommandRow> {
        let open = self.places().filter(|(_, _, place)| place.decided.open);
        open.map(|(guild, account, place)| {
            let command = command(fan, guild, account, place, obstacle(place, self.facts.broken));
            ((guild, account.clone()), command)
        })
        .collect()
    }

    fn places(&self) -> impl Iterator<Item = (GuildId, &AccountKey, &Place)> {
        let servers = self.facts.standings.iter();
        servers.flat_map(|(guild, places)| {
            places.iter().map(|(account, place)| (*guild, account, place))
        })
    }

    /// The accounts that the fan no longer uses and that hold nothing any more.
    pub(crate) fn releasable(&self) -> BTreeSet<&AccountKey> {
        let holds = |account| {
            self.places().any(|(_, holder, place)| holder == account && place.decided.open)
        };
        self.unlinked.iter().filter(|account| !holds(*account)).collect()
    }

    /// The creators whose tiers the fan holds or held, or who ever gave them something by hand.
    pub(crate) fn creators(&self) -> BTreeSet<&CreatorId> {
        let held = self.facts.memberships.values().map(|held| &held.creator);
        held.chain(&self.givers).collect()
    }
}

/// What an account has from the Hub, of the roles that there are.
fn given(place: &Place) -> BTreeSet<RoleId> {
    let mut roles = place.standing.observed_roles();
    roles.retain(|role| !place.is_deleted(*role));
    roles
}

/// Desired roles that somebody else took from an account.
fn taken_away(place: &Place) -> BTreeSet<RoleId> {
    place.standing.missing.intersection(&place.decided.desired.roles).copied().collect()
}

fn command(
    fan: &FanId,
    guild: GuildId,
    account_key: &AccountKey,
    place: &Place,
    parked: Option<Matter>,
) -> CommandRow {
    let Decided { desired, version, .. } = place.decided.clone();
    let plan = place.plan();
    let kind = match (desired.present, plan.join) {
        (false, _) => CommandKind::Revoke,
        (true, true) => CommandKind::Grant,
        (true, false) => CommandKind::Change,
    };
    let short = account_key.as_str().get(..16).unwrap_or(account_key.as_str());
    CommandRow {
        id: format!("{version}-{guild}-{short}"),
        version,
        guild,
        fan: fan.clone(),
        account: place.standing.account.clone(),
        account_key: account_key.clone(),
        kind,
        desired,
        plan,
        standing: place.standing.clone(),
        parked,
    }
}

fn place<'a>(
    facts: &'a mut Facts,
    guild: GuildId,
    account_key: &AccountKey,
    account: &Personal<Account>,
) -> &'a mut Place {
    let places = facts.standings.entry(guild).or_default();
    places.entry(account_key.clone()).or_insert_with(|| Place::new(account.clone()))
}
