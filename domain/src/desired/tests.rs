//! What follows from which facts.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    access::{Gone, Standing},
    discord::{Permissions, Role, RoleList},
    ids::DiscordUserId,
    integration::{Drift, OnEnd, Phase, Server},
    personal::{Account, Personal},
    status::{Status, obstacle, status},
    trouble::Trouble,
};

const CLUB: GuildId = GuildId(1);
const VIP: RoleId = RoleId(10);
const GOLD: RoleId = RoleId(11);

fn id(n: u128) -> IntegrationId {
    IntegrationId(Uuid::from_u128(n))
}

fn roles(roles: &[RoleId]) -> BTreeSet<RoleId> {
    roles.iter().copied().collect()
}

fn integration(tiers: &[(&str, &[RoleId])]) -> Integration {
    Integration {
        creator: Some("kim".parse().unwrap()),
        phase: Phase::Connected,
        server: Some(Server { id: CLUB, name: "Club".into(), icon: None }),
        roles: Some(RoleList::new(vec![], [])),
        attachments: tiers.iter().map(|(tier, r)| (tier.parse().unwrap(), roles(r))).collect(),
        ..Integration::default()
    }
}

fn account() -> Personal<Account> {
    Personal::Known(Account { id: DiscordUserId(7), username: "ada".into() })
}

fn key() -> AccountKey {
    AccountKey::new("key")
}

fn held(tier: &str, live: bool) -> Held {
    let status = if live { MembershipStatus::Active } else { MembershipStatus::Expired };
    Held {
        creator: "kim".parse().unwrap(),
        tier: tier.parse().unwrap(),
        status,
        ends_at: None,
        live,
    }
}

fn linked(memberships: &[(&str, Held)]) -> Facts {
    Facts {
        link: Some(Link { fan: "ada".parse().unwrap(), account: account(), account_key: key() }),
        memberships: memberships
            .iter()
            .map(|(id, held)| (id.parse().unwrap(), held.clone()))
            .collect(),
        active: [(id(1), true), (id(2), true)].into(),
        ..Facts::default()
    }
}

fn wanted(facts: &Facts, integrations: &[(IntegrationId, Integration)]) -> Option<Desired> {
    let reasons = reasons(facts, integrations.iter().map(|(id, state)| (*id, state)));
    desired(&reasons).remove(&CLUB)
}

#[test]
fn overlapping_reasons_give_the_union_and_the_last_one_ends_it() {
    let club = [(id(1), integration(&[("gold", &[VIP, GOLD]), ("vip", &[VIP])]))];
    let both = linked(&[("m1", held("gold", true)), ("m2", held("vip", true))]);
    assert_eq!(wanted(&both, &club).unwrap().roles, roles(&[VIP, GOLD]));
    let one = linked(&[("m1", held("gold", false)), ("m2", held("vip", true))]);
    assert_eq!(wanted(&one, &club).unwrap().roles, roles(&[VIP]));
    let none = linked(&[("m1", held("gold", false)), ("m2", held("vip", false))]);
    assert_eq!(wanted(&none, &club), None);
}

#[test]
fn another_creator_s_tier_of_the_same_name_gives_nothing() {
    let mut other = integration(&[("gold", &[VIP])]);
    other.creator = Some("lou".parse().unwrap());
    assert_eq!(wanted(&linked(&[("m1", held("gold", true))]), &[(id(1), other)]), None);
}

#[test]
fn nothing_is_wanted_before_the_fan_is_linked_and_the_integration_on() {
    let club = [(id(1), integration(&[("gold", &[VIP])]))];
    let mut facts = linked(&[("m1", held("gold", true))]);
    facts.active.insert(id(1), false);
    assert_eq!(wanted(&facts, &club), None);
    facts.active.insert(id(1), true);
    facts.link = None;
    assert_eq!(wanted(&facts, &club), None);
    assert_eq!(status(&facts, id(1), &club[0].1), Some((Status::Available, None)));
}

fn standing(given: &[RoleId], brought_in: bool) -> Standing {
    Standing {
        present: Some(true),
        brought_in,
        given: roles(given),
        reported: true,
        ..Standing::new(account())
    }
}

fn rules(kick: bool) -> Rules {
    Rules { kick, ..Rules::default() }
}

fn want(wanted: &[RoleId]) -> Desired {
    Desired { present: true, roles: roles(wanted) }
}

#[test]
fn a_fan_is_brought_in_and_given_each_role() {
    let plan = plan(&Standing::new(account()), &want(&[VIP, GOLD]), &rules(true));
    assert_eq!(plan, Plan { join: true, grant: roles(&[VIP, GOLD]), ..Plan::default() });
}

#[test]
fn only_what_the_hub_gave_is_taken_and_only_who_it_brought_in_is_removed() {
    let nothing = Desired::default();
    let kicked = plan(&standing(&[VIP], true), &nothing, &rules(true));
    assert_eq!(kicked, Plan { remove: roles(&[VIP]), kick: true, ..Plan::default() });
    assert!(!plan(&standing(&[VIP], false), &nothing, &rules(true)).kick, "was there before");
    assert!(
        !plan(&standing(&[VIP], true), &nothing, &rules(false)).kick,
        "a contributor keeps its fans"
    );
    assert!(plan(&standing(&[], false), &nothing, &rules(true)).is_empty());
}

#[test]
fn a_role_in_both_tiers_is_untouched_by_a_change_of_tier() {
    let plan = plan(&standing(&[VIP], true), &want(&[VIP, GOLD]), &rules(true));
    assert_eq!(plan, Plan { grant: roles(&[GOLD]), ..Plan::default() });
}

#[test]
fn a_call_that_the_open_command_does_not_make_needs_a_new_one() {
    let mut place = Place::new(account());
    let decide = |place: &mut Place, refused: &[RoleId], position| {
        let refused = refused.iter().map(|role| (*role, Trouble::RoleAboveBot)).collect();
        let rules = Rules { refused, ..rules(true) };
        place.decide(want(&[VIP, GOLD]), &[id(1)].into(), |_, _| rules, None, position);
        (place.decided.version, place.plan().grant.len())
    };
    assert_eq!(decide(&mut place, &[GOLD], 5), (5, 1));
    assert_eq!(decide(&mut place, &[VIP, GOLD], 6), (5, 0), "less of it is no other command");
    assert_eq!(decide(&mut place, &[GOLD], 7), (7, 1), "it may have been taken as it was");
    assert_eq!(decide(&mut place, &[], 8), (8, 2));
}

fn drifted(times: usize) -> Place {
    let mut place = Place::new(account());
    place.standing = standing(&[VIP], true);
    place.decided = Decided { desired: want(&[VIP]), version: 1, ..Decided::default() };
    let holder = crate::access::Holder {
        guild: CLUB,
        fan: "ada".parse().unwrap(),
        account: account(),
        account_key: key(),
    };
    let drift = crate::access::Event::DriftObserved { holder, missing: roles(&[VIP]) };
    for _ in 0..times {
        place.standing.apply(&drift);
    }
    place
}

#[test]
fn a_role_that_somebody_took_away_is_given_again_until_it_is_contested() {
    let place = drifted(1);
    assert_eq!((place.plan().grant, obstacle(&place, None)), (roles(&[VIP]), None));
    let contested = drifted(3);
    assert_eq!(contested.plan().grant, roles(&[]));
    assert_eq!(obstacle(&contested, None), Some((Trouble::RoleContested, Some(VIP))));
}

#[test]
fn what_a_moderator_took_is_reported_or_respected_where_the_creator_says_so() {
    let with = |drift| {
        let mut place = drifted(1);
        place.rules.drift = drift;
        (place.plan().grant, obstacle(&place, None))
    };
    let reported = Some((Trouble::RoleTakenAway, Some(VIP)));
    assert_eq!(with(Drift::Report), (roles(&[]), reported));
    assert_eq!(with(Drift::Respect), (roles(&[]), None));
}

#[test]
fn what_an_integration_knew_of_a_server_ends_with_its_connection() {
    let knowing = integration(&[("vip", &[VIP])]);
    let mut stale = integration(&[]);
    (stale.phase, stale.bot_missing) = (Phase::Disconnected, true);
    stale.roles = None;
    let rules = Rules::of(CLUB, [&knowing, &stale], &roles(&[VIP]));
    assert!(!rules.bot_missing);
    assert_eq!(rules, Rules::of(CLUB, [&stale, &knowing], &roles(&[VIP])));
    assert!(Rules::of(CLUB, [&stale], &roles(&[])).bot_missing, "nobody knows better");
}

#[test]
fn nothing_is_done_in_a_server_that_was_let_go() {
    let mut released = integration(&[("vip", &[VIP])]);
    (released.phase, released.on_end) = (Phase::Disconnected, OnEnd::RemoveFromServer);
    let mut place = Place::new(account());
    place.standing = standing(&[VIP], true);
    place.contributors = [id(1)].into();
    let decide = |place: &mut Place, integration: &Integration, position| {
        let of = |_: &_, roles: &_| Rules::of(CLUB, [integration], roles);
        place.decide(Desired::default(), &BTreeSet::new(), of, None, position);
    };
    // All had been taken: nobody is removed because the policy is another one since.
    place.standing.given.clear();
    decide(&mut place, &released, 1);
    assert_eq!((place.decided.open, obstacle(&place, None)), (false, None));
    // Something had not: it is told, and waits for the server to be connected again.
    place.standing.given = roles(&[VIP]);
    place.holding = [id(1)].into();
    decide(&mut place, &released, 2);
    assert_eq!((place.decided.open, &place.holding), (false, &[id(1)].into()));
    assert_eq!(obstacle(&place, None), Some((Trouble::LeftBehind, None)));
    released.phase = Phase::Connected;
    decide(&mut place, &released, 3);
    assert!(place.decided.open && place.plan().kick);
    assert_eq!(obstacle(&place, None), None);
}

#[test]
fn a_role_is_tried_once_one_of_a_server_s_lists_allows_it() {
    let list = |bot_is_above| {
        let role = |id, position, managed| Role {
            id: RoleId(id),
            name: "role".into(),
            position,
            color: 0,
            managed,
            permissions: Permissions::INSTALL,
        };
        let bot = if bot_is_above { 9 } else { 1 };
        let all = vec![role(CLUB.0, 0, false), role(VIP.0, 5, false), role(50, bot, true)];
        Integration {
            roles: Some(RoleList::new(all, [RoleId(50)])),
            ..integration(&[("vip", &[VIP])])
        }
    };
    let refused = |lists: [bool; 2]| {
        let lists = lists.map(list);
        Rules::of(CLUB, &lists, &roles(&[VIP])).refused.get(&VIP).copied()
    };
    assert_eq!(refused([false, false]), Some(Trouble::RoleAboveBot));
    // They are read one after the other, and whoever waits is looked at with the first.
    for lists in [[true, false], [false, true], [true, true]] {
        assert_eq!(refused(lists), None);
    }
}

#[test]
fn who_deleted_their_integration_does_not_decide_about_drift_any_more() {
    let (mut kept, mut gone) = (integration(&[]), integration(&[]));
    (kept.drift, gone.phase) = (Drift::Respect, Phase::Removed);
    assert_eq!(Rules::of(CLUB, [&gone, &kept], &roles(&[])).drift, Drift::Respect);
}

#[test]
fn what_is_only_to_be_given_is_held_by_nobody_whose_access_ended() {
    let mut place = Place::new(account());
    let two: BTreeSet<_> = [id(1), id(2)].into();
    let (both, one) = (want(&[VIP, GOLD]), want(&[GOLD]));
    place.decide(both, &two, |_, _| rules(true), Some(BrokenBy::InvalidGrant), 1);
    assert_eq!(place.holding, two);
    // Nothing was given yet: what waits for the fan is the other's.
    place.decide(one, &[id(2)].into(), |_, _| rules(true), Some(BrokenBy::InvalidGrant), 2);
    assert!(place.decided.open);
    assert_eq!(place.holding, [id(2)].into());
}

#[test]
fn commands_wait_while_the_bot_is_not_in_the_server() {
    let mut place = drifted(1);
    place.rules.bot_missing = true;
    assert_eq!(obstacle(&place, None), Some((Trouble::BotMissing, None)));
}

#[test]
fn who_left_is_not_added_again_by_itself() {
    let left =
        Standing { gone: Some(Gone::Left), present: Some(false), ..Standing::new(account()) };
    assert!(plan(&left, &want(&[VIP]), &rules(true)).is_empty());
}

#[test]
fn an_unresolved_attempt_is_taken_back_like_a_gift() {
    let attempted = Standing {
        maybe_given: roles(&[VIP]),
        join_attempted: DateTime::from_timestamp(0, 0),
        ..Standing::new(account())
    };
    let plan = plan(&attempted, &Desired::default(), &rules(true));
    assert_eq!(plan, Plan { remove: roles(&[VIP]), kick: true, ..Plan::default() });
}

#[test]
fn a_refused_removal_stays_visible_until_discord_accepted_it() {
    let club = integration(&[("gold", &[VIP])]);
    let mut facts = linked(&[("m1", held("gold", false))]);
    let mut place = Place {
        standing: standing(&[VIP], true),
        contributors: [id(1)].into(),
        holding: [id(1)].into(),
        rules: rules(true),
        ..Place::new(account())
    };
    facts.standings.insert(CLUB, [(key(), place.clone())].into());
    assert_eq!(status(&facts, id(1), &club), Some((Status::Revoking, None)));

    let trouble = Some((Trouble::MissingPermissions, Some(VIP)));
    place.standing.trouble = trouble;
    facts.standings.insert(CLUB, [(key(), place.clone())].into());
    assert_eq!(status(&facts, id(1), &club), Some((Status::RevokeBlocked, trouble)));

    place.holding.clear();
    facts.standings.insert(CLUB, [(key(), place)].into());
    assert_eq!(status(&facts, id(1), &club), Some((Status::Revoked, None)));
}

#[test]
fn a_removal_that_is_stuck_on_one_account_is_told_whatever_becomes_of_another() {
    let club = integration(&[("gold", &[VIP])]);
    let trouble = (Trouble::RoleAboveBot, Some(VIP));
    for stuck in ["a", "b"] {
        let places = ["a", "b"].map(|key| {
            let mut place = Place { standing: standing(&[VIP], true), ..Place::new(account()) };
            place.contributors = [id(1)].into();
            place.holding = [id(1)].into();
            place.standing.trouble = (key == stuck).then_some(trouble);
            (AccountKey::new(key), place)
        });
        let facts = Facts {
            link: None,
            standings: [(CLUB, places.into())].into(),
            ..linked(&[("m1", held("gold", false))])
        };
        assert_eq!(status(&facts, id(1), &club), Some((Status::RevokeBlocked, Some(trouble))));
    }
}

fn decide(place: &mut Place, wanted: Option<&[RoleId]>, position: u64) {
    let through = if wanted.is_some() { [id(1)].into() } else { BTreeSet::new() };
    place.decide(
        wanted.map(want).unwrap_or_default(),
        &through,
        |all, _| rules(!all.is_empty()),
        None,
        position,
    );
}

#[test]
fn a_new_wish_supersedes_the_command_that_waits() {
    let mut place = Place::new(account());
    decide(&mut place, Some(&[VIP]), 5);
    assert_eq!((place.decided.version, place.decided.open), (5, true));
    decide(&mut place, Some(&[VIP]), 6);
    assert_eq!(place.decided.version, 5, "nothing changed");
    decide(&mut place, None, 7);
    assert!(!place.decided.open, "nothing was attempted, so nothing is left to do");
}

#[test]
fn an_obstacle_that_is_gone_makes_the_command_due_again() {
    let mut place = Place::new(account());
    decide(&mut place, Some(&[VIP]), 5);
    place.standing.trouble = Some((Trouble::RoleAboveBot, Some(VIP)));
    decide(&mut place, Some(&[VIP]), 6);
    assert_eq!((place.decided.version, place.decided.parked), (5, true));
    place.standing.trouble = None;
    decide(&mut place, Some(&[VIP]), 9);
    assert_eq!((place.decided.version, place.decided.parked), (9, false));
}

#[test]
fn what_was_given_is_held_until_its_removal_is_confirmed() {
    let mut place = Place::new(account());
    decide(&mut place, Some(&[VIP]), 5);
    place.standing = standing(&[VIP], true);
    decide(&mut place, Some(&[VIP]), 6);
    assert!(!place.decided.open);
    decide(&mut place, None, 7);
    assert_eq!(place.holding, [id(1)].into());
    assert!(place.plan().kick);
    place.standing = Standing { present: Some(false), ..Standing::new(account()) };
    decide(&mut place, None, 8);
    assert!(place.holding.is_empty());
}

proptest! {
    #[test]
    fn the_order_in_which_facts_became_known_does_not_matter(
        tiers in prop::collection::vec((0usize..3, any::<bool>()), 0..6),
        order in Just((0..6usize).collect::<Vec<_>>()).prop_shuffle(),
        turned in any::<bool>(),
    ) {
        const TIERS: [&str; 3] = ["gold", "silver", "vip"];
        let facts: Vec<_> = tiers.iter().enumerate().map(|(n, (tier, live))| (format!("m{n}"), held(TIERS[*tier], *live))).collect();
        let told = |order: &[usize]| {
            let list: Vec<_> = order.iter().filter_map(|n| facts.get(*n)).map(|(id, held)| (id.as_str(), held.clone())).collect();
            linked(&list)
        };
        let mut servers = vec![
            (id(1), integration(&[("gold", &[VIP, GOLD]), ("silver", &[VIP])])),
            (id(2), integration(&[("vip", &[GOLD])])),
        ];
        let straight = wanted(&told(&[0, 1, 2, 3, 4, 5]), &servers);
        if turned { servers.reverse(); }
        prop_assert_eq!(straight, wanted(&told(&order), &servers));
    }

    #[test]
    fn doing_what_the_plan_says_leaves_nothing_to_do(
        given in prop::collection::btree_set(1u64..5, 0..4),
        maybe in prop::collection::btree_set(1u64..5, 0..4),
        target in prop::option::of(prop::collection::btree_set(1u64..5, 0..4)),
        present in prop::option::of(any::<bool>()),
        brought_in: bool,
        kick: bool,
    ) {
        let set = |ids: BTreeSet<u64>| ids.into_iter().map(RoleId).collect::<BTreeSet<_>>();
        let mut standing = Standing { given: set(given), maybe_given: set(maybe), present, brought_in, ..Standing::new(account()) };
        let target = target.map_or_else(Desired::default, |roles| Desired { present: true, roles: set(roles) });
        let todo = plan(&standing, &target, &rules(kick));
        standing.given = target.roles.clone();
        standing.maybe_given.clear();
        standing.brought_in = (brought_in || todo.join) && target.present;
        standing.present = Some(target.present);
        prop_assert!(plan(&standing, &target, &rules(kick)).is_empty());
    }
}
