//! One account's access, told as stories.

use chrono::TimeDelta;
use proptest::prelude::*;

use super::{Event::*, *};
use crate::{
    DiscordUserId,
    decider::story::{given, says_it_once},
};

const VIP: RoleId = RoleId(10);
const GOLD: RoleId = RoleId(11);

fn holder(n: u64) -> Holder {
    Holder {
        guild: GuildId(1),
        fan: "ada".parse().unwrap(),
        account: Personal::Known(Account { id: DiscordUserId(n), username: "ada".into() }),
        account_key: AccountKey::new(format!("key{n}")),
    }
}

fn minute(n: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + 60 * n, 0).unwrap()
}

fn attempt(command: u64, roles: &[RoleId]) -> Attempt {
    Attempt {
        holder: holder(1),
        command,
        at: minute(i64::try_from(command).unwrap()),
        roles: roles.iter().copied().collect(),
        removes: BTreeSet::new(),
        found: None,
    }
}

fn seen(joined: i64, roles: &[RoleId]) -> Seen {
    Seen {
        joined_at: Some(minute(joined)),
        roles: roles.iter().copied().collect(),
        join_attempted: None,
    }
}

/// The same after a join at `attempted` whose answer is lost.
fn seen_after(attempted: i64, joined: i64, roles: &[RoleId]) -> Seen {
    Seen { join_attempted: Some(minute(attempted)), ..seen(joined, roles) }
}

/// Where somebody stands after some events.
fn standing(events: &[Event]) -> Standing {
    crate::fold::<Access>(events).standings.into_values().next().unwrap()
}

fn start(command: u64, calls: Calls, roles: &[RoleId]) -> Command {
    Command::Start { attempt: attempt(command, roles), calls }
}

fn report(command: u64, present: bool, roles: &[RoleId]) -> Report {
    Report {
        holder: holder(1),
        command,
        desired: Desired { present, roles: roles.iter().copied().collect() },
        given: roles.iter().copied().collect(),
        kept: BTreeSet::new(),
        present: Some(present),
        brought_in: present,
        joined_at: None,
        unseen: false,
        trouble: None,
        role: None,
        http_status: None,
        detail: None,
    }
}

fn refused(command: u64, given: &[RoleId]) -> Report {
    Report {
        given: given.iter().copied().collect(),
        present: Some(true),
        trouble: Some(Trouble::MissingPermissions),
        http_status: Some(403),
        ..report(command, false, &[])
    }
}

#[test]
fn an_attempt_is_recorded_before_discord_is_called_and_once() {
    given::<Access>([])
        .when(start(5, Calls::Join, &[VIP]))
        .then([JoinAttempted(attempt(5, &[VIP]))]);
    given::<Access>([JoinAttempted(attempt(5, &[VIP]))])
        .when(start(5, Calls::Join, &[VIP]))
        .then_nothing();
}

#[test]
fn trying_again_is_the_same_attempt_as_long_as_its_time_tells_nothing_new() {
    let again = |attempt: &Attempt, calls, later| Command::Start {
        attempt: Attempt { at: attempt.at + later, ..attempt.clone() },
        calls,
    };
    let (soon, late) = (TimeDelta::seconds(59), TimeDelta::minutes(61));
    let join = attempt(5, &[VIP]);
    given::<Access>([JoinAttempted(join.clone())])
        .when(again(&join, Calls::Join, late))
        .then_nothing();
    let removal = Attempt { removes: [VIP].into(), ..attempt(9, &[]) };
    let owed = [AccessGranted(report(5, true, &[VIP])), RemovalAttempted(removal.clone())];
    given::<Access>(owed.clone()).when(again(&removal, Calls::Removal, soon)).then_nothing();
    // Roles that are shown soon after a removal are what it left; so it has to be known when that was.
    let at = removal.at + late;
    given::<Access>(owed)
        .when(again(&removal, Calls::Removal, late))
        .then([RemovalAttempted(Attempt { at, ..removal })]);
}

#[test]
fn what_was_attempted_counts_as_possibly_given_until_the_outcome_is_known() {
    let mut state = crate::fold::<Access>(&[JoinAttempted(attempt(5, &[VIP]))]);
    let standing = state.standings.values().next().unwrap();
    assert_eq!(standing.roles(), [VIP].into());
    assert!(standing.holds_anything());

    Access::evolve(&mut state, &AccessRevoked(report(9, false, &[])));
    assert!(!state.standings.values().next().unwrap().holds_anything());
}

#[test]
fn who_was_removed_and_is_being_brought_in_again_may_be_inside() {
    let state = crate::fold::<Access>(&[
        AccessRevoked(report(5, false, &[])),
        JoinAttempted(attempt(9, &[VIP])),
    ]);
    let standing = state.standings.values().next().unwrap();
    let rules = crate::desired::Rules { kick: true, ..Default::default() };
    assert!(crate::desired::plan(standing, &Desired::default(), &rules).kick);
}

#[test]
fn a_refusal_to_somebody_who_could_not_be_looked_at_settles_nothing() {
    let tried = [JoinAttempted(attempt(5, &[VIP]))];
    let unseen = Report { unseen: true, present: None, ..refused(5, &[]) };
    let before = standing(&tried);
    let after = standing(&[tried[0].clone(), AccessBlocked(unseen)]);
    assert_eq!(after.trouble, Some((Trouble::MissingPermissions, None)));
    assert!(after.reported);
    assert_eq!(Standing { trouble: None, reported: false, ..after }, before);
}

#[test]
fn what_an_earlier_removal_took_is_looked_for_after_the_next_one_too() {
    let removal = |command, removes: &[RoleId]| Attempt {
        removes: removes.iter().copied().collect(),
        ..attempt(command, &[])
    };
    let member =
        |command, given: &[RoleId]| Report { brought_in: false, ..report(command, true, given) };
    let story = [
        AccessGranted(member(5, &[VIP, GOLD])),
        RolesAttempted(removal(6, &[GOLD])),
        AccessChanged(member(6, &[VIP])),
        RemovalAttempted(removal(7, &[VIP])),
        AccessRevoked(Report { present: Some(true), brought_in: false, ..report(7, false, &[]) }),
    ];
    let removed = standing(&story).removed.unwrap();
    assert_eq!(removed.roles, [VIP, GOLD].into());
    let again = [&story[..], &[AccessChanged(member(8, &[GOLD]))]].concat();
    assert_eq!(standing(&again).removed, None, "gold is given again");
}

#[test]
fn who_joined_again_unseen_has_nothing_from_the_hub() {
    let inside = Report { joined_at: Some(minute(0)), ..report(5, true, &[VIP]) };
    let inside = standing(&[AccessGranted(inside)]);
    assert!(inside.joined_anew(Some(minute(1))));
    assert!(!inside.joined_anew(Some(minute(0))) && !inside.joined_anew(None));
    let rejoined = Command::Observe { holder: holder(1), sighting: Sighting::Rejoined };
    given::<Access>([AccessGranted(report(5, true, &[VIP]))])
        .when(rejoined)
        .then([MemberReturned { holder: holder(1) }]);
    let after =
        standing(&[AccessGranted(report(5, true, &[VIP])), MemberReturned { holder: holder(1) }]);
    assert_eq!((after.present, after.holds_anything()), (Some(true), false));
}

#[test]
fn what_a_removal_may_have_taken_is_not_counted_as_held() {
    let removal = Attempt { removes: [VIP].into(), ..attempt(9, &[]) };
    let state =
        crate::fold::<Access>(&[AccessGranted(report(5, true, &[VIP])), RemovalAttempted(removal)]);
    let standing = state.standings.values().next().unwrap();
    assert_eq!((standing.present, &standing.given), (None, &[].into()));
    assert_eq!(standing.roles(), [VIP].into());
    // Renewed before the outcome was known: both the server and the role are asked for again.
    let wanted = Desired { present: true, roles: [VIP].into() };
    let rules = crate::desired::Rules { kick: true, ..Default::default() };
    let plan = crate::desired::plan(standing, &wanted, &rules);
    assert!(plan.join && plan.grant == [VIP].into() && plan.remove.is_empty());
}

#[test]
fn what_is_being_taken_is_there_until_discord_has_accepted_it() {
    let attempted = |command, roles: &[RoleId]| Attempt {
        removes: roles.iter().copied().collect(),
        ..attempt(command, &[])
    };
    let brought_in = Report { brought_in: true, ..report(1, true, &[VIP, GOLD]) };
    let mut events = vec![AccessGranted(brought_in)];
    // One of two roles: tried in vain, twice.
    events.push(RolesAttempted(attempted(2, &[GOLD])));
    events.push(RolesAttempted(attempted(3, &[GOLD])));
    let shown = |events: &[Event]| {
        let standing = standing(events);
        (standing.observed_present(), standing.observed_roles())
    };
    assert_eq!(shown(&events), (Some(true), [VIP, GOLD].into()));
    // Then everything, and the account itself.
    events.push(RemovalAttempted(attempted(4, &[VIP, GOLD])));
    events.push(RemovalAttempted(attempted(5, &[VIP, GOLD])));
    assert_eq!(shown(&events), (Some(true), [VIP, GOLD].into()));
    events.push(AccessRevoked(report(5, false, &[])));
    assert_eq!(shown(&events), (Some(false), [].into()));
    // Who is being brought in again is outside until Discord says otherwise.
    events.push(JoinAttempted(attempt(6, &[VIP])));
    assert_eq!(shown(&events), (Some(false), [].into()));
}

#[test]
fn what_a_member_had_before_a_join_whose_answer_is_lost_stays_theirs() {
    let lost = standing(&[JoinAttempted(attempt(5, &[VIP, GOLD]))]);
    let found = |seen: &Seen| {
        let Found { brought_in, given, kept, .. } =
            lost.found(seen, &[VIP, GOLD].into(), minute(6));
        (brought_in, given, kept)
    };
    let theirs = (false, [].into(), [VIP].into());
    assert_eq!(found(&seen_after(5, 4, &[VIP])), theirs);
    // Whoever the lost join brought in has from the Hub what was to follow it.
    assert_eq!(found(&seen_after(5, 6, &[VIP])), (true, [VIP].into(), [].into()));
    let early = |ms| Some(minute(5) - TimeDelta::milliseconds(ms));
    let after = |joined_at| Seen { joined_at, ..seen_after(5, 0, &[VIP]) };
    assert!(found(&after(early(500))).0, "clocks differ a little");
    assert_eq!(found(&after(early(5_000))), theirs);
    // An answer is a better witness than any clock.
    assert_eq!(found(&seen(6, &[VIP])), theirs);
}

#[test]
fn what_is_given_after_a_member_was_looked_at_is_the_hub_s_and_what_was_found_is_not() {
    let found = Found {
        joined_at: Some(minute(0)),
        brought_in: false,
        given: BTreeSet::new(),
        kept: [VIP].into(),
    };
    let looked = [
        JoinAttempted(attempt(5, &[VIP, GOLD])),
        RolesAttempted(Attempt { found: Some(found.clone()), ..attempt(5, &[GOLD]) }),
    ];
    let known = standing(&looked);
    assert_eq!((known.present, known.join_attempted), (Some(true), None));
    assert_eq!((known.roles(), &known.kept), ([GOLD].into(), &found.kept));
    // The process died while it gave Gold: it may be there, and is the Hub's then.
    let wanted = [VIP, GOLD].into();
    let again = known.found(&seen(0, &[VIP, GOLD]), &wanted, minute(6));
    assert_eq!((again.given, again.kept), ([GOLD].into(), [VIP].into()));
    given::<Access>(looked)
        .when(Command::Start {
            attempt: Attempt { found: Some(found), ..attempt(5, &[GOLD]) },
            calls: Calls::Roles,
        })
        .then_nothing();
}

#[test]
fn roles_that_a_removal_may_have_taken_stay_the_hub_s_where_a_join_finds_them() {
    let removal = Attempt { removes: [VIP].into(), ..attempt(9, &[]) };
    let known = standing(&[
        AccessGranted(report(5, true, &[VIP])),
        RemovalAttempted(removal),
        JoinAttempted(attempt(12, &[VIP])),
    ]);
    let stayed = known.found(&seen_after(12, 1, &[VIP]), &[VIP].into(), minute(13));
    assert_eq!((stayed.brought_in, stayed.given), (true, [VIP].into()));
    let rejoined = known.found(&seen_after(12, 10, &[VIP]), &[VIP].into(), minute(13));
    assert_eq!((rejoined.brought_in, rejoined.kept), (false, [VIP].into()), "by themselves");
    let brought_back = known.found(&seen_after(12, 13, &[VIP]), &[VIP].into(), minute(13));
    assert_eq!((brought_back.brought_in, brought_back.given), (true, [VIP].into()));
}

#[test]
fn a_grant_then_a_change_then_a_revocation() {
    given::<Access>([JoinAttempted(attempt(5, &[VIP]))])
        .when(Command::Report(report(5, true, &[VIP])))
        .then([AccessGranted(report(5, true, &[VIP]))]);
    let granted = [JoinAttempted(attempt(5, &[VIP])), AccessGranted(report(5, true, &[VIP]))];
    given::<Access>(granted.clone())
        .when(Command::Report(report(7, true, &[VIP, GOLD])))
        .then([AccessChanged(report(7, true, &[VIP, GOLD]))]);
    given::<Access>(granted)
        .when(Command::Report(report(8, false, &[])))
        .then([AccessRevoked(report(8, false, &[]))]);
}

#[test]
fn a_failed_removal_is_never_written_down_as_done() {
    given::<Access>([AccessGranted(report(5, true, &[VIP]))])
        .when(Command::Report(refused(8, &[VIP])))
        .then([RevokeBlocked(refused(8, &[VIP]))]);
    let state = crate::fold::<Access>(&[
        AccessGranted(report(5, true, &[VIP])),
        RevokeBlocked(refused(8, &[VIP])),
    ]);
    assert!(state.standings.values().next().unwrap().holds_anything());
}

#[test]
fn a_late_report_of_an_older_command_is_dropped() {
    given::<Access>([AccessRevoked(report(9, false, &[]))])
        .when(Command::Report(report(5, true, &[VIP])))
        .refused(Refusal::Superseded);
    given::<Access>([RemovalAttempted(attempt(9, &[]))])
        .when(start(5, Calls::Join, &[VIP]))
        .refused(Refusal::Superseded);
}

#[test]
fn who_left_and_came_back_by_themselves_was_not_brought_in() {
    let state = crate::fold::<Access>(&[
        AccessGranted(report(5, true, &[VIP])),
        MemberLeft { holder: holder(1) },
        MemberReturned { holder: holder(1) },
    ]);
    let standing = state.standings.values().next().unwrap();
    assert_eq!((standing.brought_in, standing.present, standing.gone), (false, Some(true), None));
    assert!(standing.given.is_empty());
}

#[test]
fn only_roles_that_the_hub_gave_can_drift() {
    let observe = |roles: &[RoleId]| Command::Observe {
        holder: holder(1),
        sighting: Sighting::Missing(roles.iter().copied().collect()),
    };
    given::<Access>([AccessGranted(report(5, true, &[VIP]))])
        .when(observe(&[VIP, GOLD]))
        .then([DriftObserved { holder: holder(1), missing: [VIP].into() }]);
    given::<Access>([AccessGranted(report(5, true, &[VIP]))]).when(observe(&[GOLD])).then_nothing();
    given::<Access>([]).when(observe(&[VIP])).then_nothing();
}

#[test]
fn a_role_that_is_there_again_is_whose_it_was_before() {
    let there = |roles: &[RoleId]| Command::Observe {
        holder: holder(1),
        sighting: Sighting::There(roles.iter().copied().collect()),
    };
    let both = [VIP, GOLD];
    let before = [
        AccessGranted(Report { kept: [GOLD].into(), ..report(5, true, &[VIP]) }),
        DriftObserved { holder: holder(1), missing: both.into() },
    ];
    let mended = DriftMended { holder: holder(1), roles: [VIP].into(), kept: [GOLD].into() };
    given::<Access>(before.clone()).when(there(&both)).then([mended.clone()]);
    given::<Access>(before.clone()).when(there(&[])).then_nothing();
    let state = crate::fold::<Access>(&[before[0].clone(), before[1].clone(), mended]);
    let standing = state.standings.values().next().unwrap();
    assert_eq!((&standing.given, &standing.kept), (&[VIP].into(), &[GOLD].into()));
    assert!(standing.missing.is_empty());
}

#[test]
fn a_removal_that_discord_lost_is_due_again() {
    let revoked = [
        AccessGranted(report(5, true, &[VIP])),
        AccessRevoked(Report { given: [].into(), ..report(8, false, &[]) }),
    ];
    let still = |roles: &[RoleId], brought_in| Command::Observe {
        holder: holder(1),
        sighting: Sighting::StillThere { roles: roles.iter().copied().collect(), brought_in },
    };
    let found = RemovalFoundUndone { holder: holder(1), roles: [VIP].into(), brought_in: true };
    given::<Access>(revoked.clone()).when(still(&[VIP], true)).then([found.clone()]);
    given::<Access>(revoked).when(still(&[], false)).then_nothing();
    let state = crate::fold::<Access>(&[AccessRevoked(report(8, false, &[])), found]);
    let rules = crate::desired::Rules { kick: true, ..Default::default() };
    let standing = state.standings.values().next().unwrap();
    let plan = crate::desired::plan(standing, &Desired::default(), &rules);
    assert!(plan.kick && plan.remove == [VIP].into());
}

#[test]
fn what_a_removal_left_is_the_hub_s_still_and_what_was_given_since_is_not() {
    let left = |member: bool, brought_in: bool, joined: i64, now: i64| {
        let granted = Report { joined_at: Some(minute(0)), brought_in, ..report(5, true, &[VIP]) };
        let removal = Attempt { removes: [VIP].into(), ..attempt(8, &[]) };
        let revoked = Report { present: Some(!member), brought_in: false, ..report(8, false, &[]) };
        let events = [AccessGranted(granted), RemovalAttempted(removal), AccessRevoked(revoked)];
        let known = standing(&events);
        let seen = seen(joined, &[VIP, GOLD]);
        let undone = known.removed.as_ref().unwrap();
        let undone = undone.left(seen.joined_at, &seen.roles, minute(now));
        let found = known.found(&seen, &[VIP].into(), minute(now));
        let ours = |(roles, member): &(BTreeSet<RoleId>, bool)| (roles.clone(), *member);
        assert_eq!(
            undone.as_ref().map(ours),
            Some((found.given.clone(), found.brought_in)).filter(|_| undone.is_some())
        );
        assert!(undone.is_some() || found.kept == [VIP].into());
        undone
    };
    let (vip, nobody) = (BTreeSet::from([VIP]), None);
    assert_eq!(left(true, true, 0, 9), Some((vip.clone(), true)));
    assert_eq!(left(true, true, 0, 900), Some((vip.clone(), true)), "the time of joining is proof");
    assert_eq!(left(true, true, 8, 9), nobody, "they came again by themselves");
    assert_eq!(left(false, false, 0, 9), Some((vip, false)));
    assert_eq!(left(false, false, 0, 13), nobody, "somebody may have given it again");
    assert_eq!(left(false, false, 8, 9), nobody, "they came again, and were given it");
}

#[test]
fn who_could_not_be_brought_in_and_joins_by_themselves_is_there() {
    let outside = AccessBlocked(Report { present: Some(false), ..refused(5, &[]) });
    let observe = |sighting| Command::Observe { holder: holder(1), sighting };
    given::<Access>([outside.clone()])
        .when(observe(Sighting::Returned))
        .then([MemberReturned { holder: holder(1) }]);
    given::<Access>([outside, MemberReturned { holder: holder(1) }])
        .when(observe(Sighting::Returned))
        .then_nothing();
}

#[test]
fn who_is_seen_while_a_removal_is_owed_has_not_returned() {
    let owed = RevokeBlocked(Report {
        present: None,
        brought_in: true,
        trouble: Some(Trouble::BotMissing),
        ..refused(8, &[VIP])
    });
    let seen = Command::Observe { holder: holder(1), sighting: Sighting::Returned };
    given::<Access>([AccessGranted(report(5, true, &[VIP])), owed]).when(seen).then_nothing();
}

fn any_command() -> impl Strategy<Value = Command> {
    let roles = || prop::collection::vec(prop::sample::select(vec![VIP, GOLD]), 0..3);
    prop_oneof![
        (1u64..6, prop::sample::select(vec![Calls::Join, Calls::Roles, Calls::Removal]), roles())
            .prop_map(|(command, calls, roles)| start(command, calls, &roles)),
        (1u64..6, any::<bool>(), roles()).prop_map(|(command, present, roles)| Command::Report(
            report(command, present, &roles)
        )),
        (1u64..6, roles()).prop_map(|(command, roles)| Command::Report(refused(command, &roles))),
        prop::sample::select(vec![
            Sighting::Left,
            Sighting::Returned,
            Sighting::Banned,
            Sighting::Missing([VIP].into()),
            Sighting::There([VIP].into()),
            Sighting::StillThere { roles: [VIP].into(), brought_in: true },
        ])
        .prop_map(|sighting| Command::Observe { holder: holder(1), sighting }),
    ]
}

proptest! {
    #[test]
    fn saying_it_twice_changes_nothing(before in prop::collection::vec(any_command(), 0..12), command in any_command()) {
        says_it_once::<Access>(before, command);
    }

    #[test]
    fn a_role_leaves_the_books_only_when_discord_confirmed_or_showed_it(
        before in prop::collection::vec(any_command(), 0..12),
        command in any_command(),
    ) {
        let mut state = State::default();
        for command in before {
            for event in Access::decide(&state, command).unwrap_or_default() {
                Access::evolve(&mut state, &event);
            }
        }
        let held = |state: &State| state.standings.values().next().map(Standing::roles).unwrap_or_default();
        let had = held(&state);
        for event in Access::decide(&state, command).unwrap_or_default() {
            Access::evolve(&mut state, &event);
            let lost = !had.is_subset(&held(&state));
            prop_assert!(!lost || !matches!(event, JoinAttempted(_) | RolesAttempted(_) | RemovalAttempted(_)));
        }
    }
}
