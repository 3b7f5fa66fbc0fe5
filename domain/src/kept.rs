//! Access that a fan keeps although what gave it has ended: its removal is held, or was rejected.
//!
//! It is a reason like any other, so nothing has to be told not to take it: there is no command. It ends with the
//! approval, and by itself as soon as something newer is known than what would have taken it: the membership is
//! reported again, the tier is given other roles, the fan leaves or turns the integration off. It never gives anything:
//! what somebody else takes away meanwhile is not kept any more.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    desired::{Facts, Held, Place, Rules, desired, is_on, plan, reasons},
    ids::{CreatorId, GuildId, HoldId, IntegrationId, MembershipId, RoleId, TierId},
    integration::State as Integration,
    membership::Event as MembershipEvent,
};

/// What one hold lets a fan keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub hold: HoldId,
    pub integration: IntegrationId,
    pub guild: GuildId,
    pub roles: BTreeSet<RoleId>,
    /// Whether the fan would be removed from the server too.
    pub server: bool,
    pub because: Because,
    /// The removal was rejected, and nobody is asked any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rejected: bool,
}

/// What would have taken it. Something newer about the same thing is decided anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    Membership(MembershipId),
    Tier(TierId),
    Policy,
}

/// What a change would take from a fan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub roles: BTreeSet<RoleId>,
    pub server: bool,
}

/// The integrations of the creators whose tiers a fan holds or held.
pub type Known<'a> = BTreeMap<IntegrationId, &'a Integration>;

impl Facts {
    /// Whether the fan holds, or held, a membership of a creator.
    pub fn knows(&self, creator: &CreatorId) -> bool {
        self.memberships.values().any(|held| held.creator == *creator)
    }

    /// Takes in what a membership came to; answers what it was before.
    pub fn report(&mut self, event: &MembershipEvent) -> Option<Held> {
        let terms = event.terms();
        self.kept.retain(|kept| kept.because != Because::Membership(terms.membership.clone()));
        let held = Held {
            creator: terms.creator.clone(),
            tier: terms.tier.clone(),
            status: terms.status,
            ends_at: terms.ends_at,
            live: event.is_live(),
        };
        self.memberships.insert(terms.membership.clone(), held)
    }

    /// An integration's creator decided anew about something: what was kept of it is not any more.
    pub fn decide_anew(&mut self, integration: IntegrationId, about: &Because) {
        self.kept.retain(|kept| kept.integration != integration || kept.because != *about);
    }

    /// The roles that the fan may lose through an integration by something new about this; `None` where it has nothing
    /// to do with them.
    pub fn at_stake(
        &self,
        id: IntegrationId,
        integration: &Integration,
        because: &Because,
    ) -> Option<BTreeSet<RoleId>> {
        let kept =
            self.kept.iter().filter(|kept| kept.integration == id && kept.because == *because);
        let kept: BTreeSet<RoleId> = kept.flat_map(|kept| kept.roles.iter().copied()).collect();
        let gave = match because {
            Because::Membership(membership) => {
                let held = self.memberships.get(membership)?;
                let own = integration.creator.as_ref() == Some(&held.creator);
                let gave = own.then(|| integration.attachments.get(&held.tier)).flatten();
                if gave.is_none() && kept.is_empty() {
                    return None;
                }
                gave
            }
            Because::Tier(tier) => integration.attachments.get(tier),
            Because::Policy => None,
        };
        Some(kept.into_iter().chain(gave.into_iter().flatten().copied()).collect())
    }

    /// What these facts take from the fan, beyond what was decided before, of the roles that an integration `gave` and
    /// of the server. Only what Discord has confirmed to be there can be taken.
    pub fn loses(
        &self,
        integration: IntegrationId,
        gave: &BTreeSet<RoleId>,
        known: &Known<'_>,
    ) -> Option<Taken> {
        let guild = known.get(&integration)?.open_guild()?;
        let place = self.current_place(guild).filter(|_| is_on(self, integration))?;
        let reasons = reasons(self, known.iter().map(|(id, state)| (*id, *state)));
        let wanted = desired(&reasons).remove(&guild).unwrap_or_default();
        let through = reasons.iter().filter(|reason| reason.guild == guild);
        let contributors: BTreeSet<_> =
            place.contributors.iter().copied().chain(through.map(|r| r.integration)).collect();
        let concerned = wanted.roles.union(&place.standing.roles()).copied().collect();
        let contributors = contributors.iter().filter_map(|id| known.get(id).copied());
        let rules = Rules::of(guild, contributors, &concerned);
        let (was, will) = (place.plan(), plan(&place.standing, &wanted, &rules));
        let taken = Taken {
            roles: will
                .remove
                .iter()
                .filter(|role| !was.remove.contains(role) && gave.contains(role))
                .filter(|role| place.standing.given.contains(role))
                .copied()
                .collect(),
            server: will.kick && !was.kick,
        };
        (taken.server || !taken.roles.is_empty()).then_some(taken)
    }

    /// Lets go of what need not be kept any more.
    pub fn settle(&mut self, known: &Known<'_>) {
        if self.kept.is_empty() {
            return;
        }
        let mut all = std::mem::take(&mut self.kept);
        let wanted = desired(&reasons(self, known.iter().map(|(id, state)| (*id, *state))));
        all.retain_mut(|kept| {
            let integration = known.get(&kept.integration);
            let open = integration.is_some_and(|known| known.open_guild() == Some(kept.guild));
            if !open || !is_on(self, kept.integration) {
                return false;
            }
            if let Because::Tier(tier) = &kept.because {
                let creator = integration.and_then(|known| known.creator.as_ref());
                let holds =
                    |held: &Held| held.live && held.tier == *tier && creator == Some(&held.creator);
                if !self.memberships.values().any(holds) {
                    return false;
                }
            }
            let Some(Place { standing, .. }) = self.current_place(kept.guild) else { return false };
            let wanted = wanted.get(&kept.guild);
            let covered = |role: &RoleId| wanted.is_some_and(|wanted| wanted.roles.contains(role));
            kept.roles.retain(|role| standing.given.contains(role) && !covered(role));
            let ours = standing.brought_in || standing.join_attempted.is_some();
            kept.server &= ours && wanted.is_none();
            kept.server || !kept.roles.is_empty()
        });
        self.kept = all;
    }

    /// Where the fan's account stands in a server in which Discord showed it.
    fn current_place(&self, guild: GuildId) -> Option<&Place> {
        let place = self.standings.get(&guild)?.get(&self.link.as_ref()?.account_key)?;
        (place.standing.present == Some(true)).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::{
        account::AccountKey,
        desired::Plan,
        fan::Link,
        ids::DiscordUserId,
        integration::{OnEnd, Phase, Server},
        membership::{Status as MembershipStatus, Terms},
        personal::{Account, Personal},
        status::{Status, status},
        trouble::Trouble,
    };

    const CLUB: GuildId = GuildId(1);
    const VIP: RoleId = RoleId(10);
    const GOLD: RoleId = RoleId(11);

    fn club() -> IntegrationId {
        IntegrationId(Uuid::from_u128(1))
    }

    fn hold() -> HoldId {
        HoldId(Uuid::from_u128(9))
    }

    fn integration(tiers: &[(&str, &[RoleId])]) -> Integration {
        let roles = |roles: &[RoleId]| roles.iter().copied().collect();
        Integration {
            creator: Some("kim".parse().unwrap()),
            phase: Phase::Connected,
            server: Some(Server { id: CLUB, name: "Club".into(), icon: None }),
            roles: None,
            attachments: tiers.iter().map(|(tier, r)| (tier.parse().unwrap(), roles(r))).collect(),
            ..Integration::default()
        }
    }

    fn says(membership: &str, tier: &str, live: bool) -> MembershipEvent {
        let terms = Terms {
            membership: membership.parse().unwrap(),
            fan: "ada".parse().unwrap(),
            creator: "kim".parse().unwrap(),
            tier: tier.parse().unwrap(),
            status: MembershipStatus::Active,
            ends_at: None,
            version: 1,
        };
        if live {
            MembershipEvent::MembershipRenewed(terms)
        } else {
            MembershipEvent::MembershipExpired(terms)
        }
    }

    /// A fan and the integration, with the plan that is open for them.
    struct Fan {
        facts: Facts,
        club: Integration,
    }

    impl Fan {
        /// Somebody who has everything that their memberships give.
        fn of(club: Integration, memberships: &[(&str, &str)]) -> Self {
            let account = Personal::Known(Account { id: DiscordUserId(7), username: "ada".into() });
            let account_key = AccountKey::new("key");
            let link = Link {
                fan: "ada".parse().unwrap(),
                account: account.clone(),
                account_key: account_key.clone(),
            };
            let mut facts = Facts { link: Some(link), ..Facts::default() };
            facts.active.insert(self::club(), true);
            for (membership, tier) in memberships {
                facts.report(&says(membership, tier, true));
            }
            let mut place = Place::new(account);
            place.standing.present = Some(true);
            place.standing.brought_in = true;
            facts.standings.entry(CLUB).or_default().insert(account_key, place);
            let mut fan = Self { facts, club };
            fan.decide();
            let place = fan.place_mut();
            place.standing.given = place.decided.desired.roles.clone();
            fan.decide();
            fan
        }

        fn place_mut(&mut self) -> &mut Place {
            self.facts.standings.values_mut().next().unwrap().values_mut().next().unwrap()
        }

        fn plan(&self) -> Plan {
            self.facts.standings[&CLUB].values().next().unwrap().plan()
        }

        fn decide(&mut self) {
            let known: Known<'_> = [(club(), &self.club)].into();
            self.facts.settle(&known);
            let reasons = reasons(&self.facts, known.iter().map(|(id, state)| (*id, *state)));
            let wanted = desired(&reasons).remove(&CLUB).unwrap_or_default();
            let through = reasons.iter().map(|reason| reason.integration).collect();
            let club = self.club.clone();
            self.place_mut().decide(
                wanted,
                &through,
                |_, concerned| Rules::of(CLUB, [&club], concerned),
                None,
                1,
            );
        }

        /// A report that is part of what is held, if anything is.
        fn told(&mut self, membership: &str, tier: &str, live: bool, held: bool) {
            let event = says(membership, tier, live);
            let because = Because::Membership(event.terms().membership.clone());
            let gave = self.facts.at_stake(club(), &self.club, &because).unwrap_or_default();
            self.facts.report(&event);
            self.keep(&gave, because, held);
        }

        fn keep(&mut self, gave: &BTreeSet<RoleId>, because: Because, held: bool) {
            let known: Known<'_> = [(club(), &self.club)].into();
            if let Some(Taken { roles, server }) =
                self.facts.loses(club(), gave, &known).filter(|_| held)
            {
                self.facts.kept.push(Kept {
                    hold: hold(),
                    integration: club(),
                    guild: CLUB,
                    roles,
                    server,
                    because,
                    rejected: false,
                });
            }
            self.decide();
        }

        fn status(&self) -> (Status, Option<Trouble>) {
            let (status, matter) = status(&self.facts, club(), &self.club).unwrap();
            (status, matter.map(|(trouble, _)| trouble))
        }

        fn approve(&mut self) {
            self.facts.kept.clear();
            self.decide();
        }
    }

    #[test]
    fn what_is_held_is_no_command_until_it_is_approved() {
        let mut ada = Fan::of(integration(&[("vip", &[VIP])]), &[("m", "vip")]);
        ada.told("m", "vip", false, true);
        assert!(ada.plan().is_empty());
        assert_eq!(ada.status(), (Status::Revoking, Some(Trouble::RemovalHeld)));
        ada.approve();
        assert!(ada.plan().kick);
        assert_eq!(ada.status(), (Status::Revoking, None));
    }

    #[test]
    fn what_was_rejected_stays_until_the_membership_is_reported_again() {
        let mut ada = Fan::of(integration(&[("vip", &[VIP])]), &[("m", "vip")]);
        ada.told("m", "vip", false, true);
        ada.facts.kept[0].rejected = true;
        ada.decide();
        assert!(ada.plan().is_empty());
        assert_eq!(ada.status(), (Status::Connected, Some(Trouble::RemovalRejected)));
        ada.told("m", "vip", false, false);
        assert!(ada.plan().kick);
    }

    #[test]
    fn a_reason_that_returns_ends_the_hold_for_this_fan() {
        let mut ada = Fan::of(integration(&[("vip", &[VIP])]), &[("m", "vip")]);
        ada.told("m", "vip", false, true);
        ada.told("m", "vip", true, false);
        assert_eq!((ada.facts.kept.len(), ada.status()), (0, (Status::Connected, None)));
        // Another membership of the same tier is as good.
        ada.told("m", "vip", false, true);
        ada.told("n", "vip", true, false);
        assert_eq!((ada.facts.kept.len(), ada.status()), (0, (Status::Connected, None)));
    }

    #[test]
    fn nothing_is_kept_that_the_fan_never_got() {
        let mut ada = Fan::of(integration(&[("vip", &[VIP])]), &[("m", "vip")]);
        ada.place_mut().standing.present = None;
        ada.told("m", "vip", false, true);
        assert_eq!(ada.facts.kept, []);
        assert!(ada.plan().kick);
    }

    #[test]
    fn what_is_kept_gives_nothing_back_that_somebody_takes_away() {
        let club = integration(&[("vip", &[VIP, GOLD])]);
        let mut ada = Fan::of(club, &[("m", "vip")]);
        ada.told("m", "vip", false, true);
        ada.place_mut().standing.given.remove(&GOLD);
        ada.decide();
        assert!(ada.plan().is_empty());
        assert_eq!(ada.facts.kept[0].roles, [VIP].into());
        ada.place_mut().standing.present = Some(false);
        ada.decide();
        assert_eq!(ada.facts.kept, []);
    }

    #[test]
    fn the_fan_s_own_leaving_is_not_held() {
        let mut ada = Fan::of(integration(&[("vip", &[VIP])]), &[("m", "vip")]);
        ada.told("m", "vip", false, true);
        ada.facts.active.insert(club(), false);
        ada.decide();
        assert!(ada.plan().kick);
    }

    #[test]
    fn the_rest_of_an_access_goes_on_while_a_part_is_held() {
        let club = integration(&[("vip", &[VIP]), ("gold", &[GOLD])]);
        let mut ada = Fan::of(club, &[("m", "vip"), ("n", "gold")]);
        ada.told("n", "gold", false, true);
        assert!(ada.plan().is_empty());
        assert_eq!(ada.status(), (Status::Connected, Some(Trouble::RemovalHeld)));
        // The other membership ends by itself: its role goes, and what is held stays.
        ada.told("m", "vip", false, false);
        assert_eq!((ada.plan().remove, ada.plan().kick), ([VIP].into(), false));
    }

    #[test]
    fn roles_that_a_tier_lost_are_kept_while_the_membership_lives() {
        let mut ada = Fan::of(integration(&[("vip", &[VIP, GOLD])]), &[("m", "vip")]);
        ada.club.attachments.insert("vip".parse().unwrap(), [VIP].into());
        ada.keep(&[VIP, GOLD].into(), Because::Tier("vip".parse().unwrap()), true);
        assert!(ada.plan().is_empty());
        ada.told("m", "vip", true, false);
        assert!(ada.plan().is_empty(), "a renewal changes nothing about the roles");
        ada.told("m", "vip", false, false);
        assert!(ada.plan().kick);
    }

    #[test]
    fn removing_former_fans_from_the_server_after_all_is_held_too() {
        let mut ada = Fan::of(
            Integration { on_end: OnEnd::RolesOnly, ..integration(&[("vip", &[VIP])]) },
            &[("m", "vip")],
        );
        ada.told("m", "vip", false, false);
        ada.place_mut().standing.given.clear();
        ada.decide();
        assert_eq!((ada.plan().is_empty(), ada.status()), (true, (Status::Revoked, None)));
        ada.club.on_end = OnEnd::RemoveFromServer;
        ada.keep(&BTreeSet::new(), Because::Policy, true);
        assert!(ada.plan().is_empty());
        ada.approve();
        assert!(ada.plan().kick);
    }

    proptest! {
        #[test]
        fn held_then_approved_comes_to_the_same_as_never_held(
            reports in prop::collection::vec((0usize..2, 0usize..2, any::<bool>(), any::<bool>()), 1..12),
        ) {
            let fan = || {
                let club = integration(&[("vip", &[VIP]), ("gold", &[VIP, GOLD])]);
                Fan::of(club, &[("m", "vip"), ("n", "gold")])
            };
            let (mut held, mut free) = (fan(), fan());
            for (membership, tier, live, mass) in reports {
                let (membership, tier) = (["m", "n"][membership], ["vip", "gold"][tier]);
                held.told(membership, tier, live, mass);
                free.told(membership, tier, live, false);
                // What is kept is never taken, and adds nothing to what is given.
                let kept: BTreeSet<RoleId> =
                    held.facts.kept.iter().flat_map(|kept| kept.roles.clone()).collect();
                prop_assert!(held.plan().remove.is_disjoint(&kept));
                prop_assert!(held.facts.kept.is_empty() || !held.plan().kick);
                prop_assert_eq!(held.plan().grant, free.plan().grant);
            }
            held.approve();
            prop_assert_eq!(held.plan(), free.plan());
        }
    }
}
