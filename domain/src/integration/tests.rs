//! An integration's way, told as stories.

use proptest::prelude::*;
use uuid::Uuid;

use super::{Event::*, *};
use crate::{
    decider::story::given,
    discord::{Permissions, Role},
    trouble::Trouble,
};

const CLUB: GuildId = GuildId(1);
const VIP: RoleId = RoleId(10);
const STAFF: RoleId = RoleId(90);

fn id() -> IntegrationId {
    IntegrationId(Uuid::from_u128(1))
}

fn server(guild: GuildId) -> Server {
    Server { id: guild, name: "Club".into(), icon: None }
}

fn roles() -> RoleList {
    let role = |id, position, managed, permissions| Role {
        id: RoleId(id),
        name: format!("r{id}"),
        position,
        color: 0,
        managed,
        permissions,
    };
    RoleList::new(
        vec![
            role(1, 0, false, Permissions::default()),
            role(10, 1, false, Permissions::default()),
            role(50, 2, true, Permissions::INSTALL),
            role(90, 3, false, Permissions::default()),
        ],
        [RoleId(50)],
    )
}

fn gold() -> TierId {
    "gold".parse().unwrap()
}

fn created() -> Event {
    IntegrationCreated {
        integration: id(),
        creator: "kim".parse().unwrap(),
        provider: Provider::Discord,
        name: "My Club".parse().unwrap(),
    }
}

fn connected() -> Vec<Event> {
    vec![
        created(),
        ServerConnected { integration: id(), guild: server(CLUB) },
        RolesRefreshed { integration: id(), guild: CLUB, roles: roles() },
    ]
}

fn attached() -> Vec<Event> {
    let attached = MembershipAttached { integration: id(), tier: gold(), roles: [VIP].into() };
    connected().into_iter().chain([attached]).collect()
}

fn connect(guild: GuildId) -> Addressed {
    Command::Connect { server: server(guild), roles: roles() }.to(id())
}

fn attach(roles: &[RoleId]) -> Addressed {
    Command::Attach { tiers: [(gold(), roles.iter().copied().collect())].into() }.to(id())
}

#[test]
fn connecting_reads_the_roles() {
    given::<Integration>([created()]).when(connect(CLUB)).then([
        ServerConnected { integration: id(), guild: server(CLUB) },
        RolesRefreshed { integration: id(), guild: CLUB, roles: roles() },
    ]);
}

#[test]
fn an_integration_is_connected_to_one_server() {
    given::<Integration>(connected())
        .when(connect(GuildId(2)))
        .refused(Refusal::ConnectedElsewhere);
}

#[test]
fn refreshing_records_changed_facts_and_that_somebody_asks_to_try_again() {
    let refresh = |roles, again| Command::RefreshRoles { roles, again }.to(id());
    let refreshed = |roles| RolesRefreshed { integration: id(), guild: CLUB, roles };
    given::<Integration>(connected()).when(refresh(roles(), false)).then_nothing();
    given::<Integration>(connected()).when(refresh(roles(), true)).then([refreshed(roles())]);
    let fewer = RoleList::new(vec![], []);
    given::<Integration>(connected()).when(refresh(fewer.clone(), false)).then([refreshed(fewer)]);
}

#[test]
fn a_tier_is_attached_once_and_its_roles_changed_after() {
    given::<Integration>(connected()).when(attach(&[VIP])).then([MembershipAttached {
        integration: id(),
        tier: gold(),
        roles: [VIP].into(),
    }]);
    given::<Integration>(attached()).when(attach(&[VIP])).then_nothing();
    given::<Integration>(attached()).when(attach(&[])).then([AttachmentRolesChanged {
        integration: id(),
        tier: gold(),
        roles: [].into(),
    }]);
}

#[test]
fn roles_that_the_bot_cannot_give_are_refused_with_the_reason() {
    given::<Integration>(connected())
        .when(attach(&[VIP, STAFF, RoleId(50), RoleId(1), RoleId(7)]))
        .refused(Refusal::RolesNotAssignable(
            [
                (RoleId(1), Trouble::RoleEveryone),
                (RoleId(7), Trouble::RoleDeleted),
                (RoleId(50), Trouble::RoleManaged),
                (STAFF, Trouble::RoleAboveBot),
            ]
            .map(|(role, why)| Unmanageable { tier: gold(), role, why })
            .into(),
        ));
}

#[test]
fn attaching_needs_a_connected_server() {
    given::<Integration>([created()]).when(attach(&[VIP])).refused(Refusal::NotConnected);
    given::<Integration>([]).when(attach(&[VIP])).refused(Refusal::Unknown);
}

#[test]
fn a_server_is_released_only_once_the_removals_are_confirmed() {
    let started = DisconnectStarted { integration: id(), guild: CLUB, remove: false };
    given::<Integration>(attached())
        .when(Command::Disconnect { remove: false }.to(id()))
        .then([started.clone()]);
    let removing: Vec<_> = attached().into_iter().chain([started]).collect();
    given::<Integration>(removing.clone()).when(connect(GuildId(2))).refused(Refusal::Removing);
    given::<Integration>(removing)
        .when(Command::ConfirmDisconnected(LeftBehind::default()).to(id()))
        .then([ServerDisconnected {
            integration: id(),
            guild: CLUB,
            left_behind: 0,
            left: vec![],
        }]);
}

fn removing() -> Vec<Event> {
    let started = DisconnectStarted { integration: id(), guild: CLUB, remove: false };
    attached().into_iter().chain([started]).collect()
}

#[test]
fn facts_of_a_server_count_until_it_is_released() {
    let fewer = RoleList::new(vec![], []);
    let refreshed = RolesRefreshed { integration: id(), guild: CLUB, roles: fewer.clone() };
    let refresh = Command::RefreshRoles { roles: fewer, again: false }.to(id());
    given::<Integration>(removing()).when(refresh.clone()).then([refreshed]);
    let released =
        ServerDisconnected { integration: id(), guild: CLUB, left_behind: 0, left: vec![] };
    given::<Integration>(removing().into_iter().chain([released]))
        .when(refresh)
        .refused(Refusal::NotConnected);
}

#[test]
fn connecting_the_server_that_is_let_go_brings_a_missing_bot_back_and_nothing_else() {
    let thrown_out = BotRemoved { integration: id(), guild: CLUB };
    let refreshed = RolesRefreshed { integration: id(), guild: CLUB, roles: roles() };
    given::<Integration>(removing().into_iter().chain([thrown_out]))
        .when(connect(CLUB))
        .then([BotReturned { integration: id(), guild: CLUB }, refreshed.clone()]);
    // It may have been seen to be back meanwhile.
    given::<Integration>(removing()).when(connect(CLUB)).then([refreshed]);
}

#[test]
fn only_what_stands_in_the_way_of_removals_is_a_trouble_while_a_server_is_let_go() {
    let mut state = crate::fold::<Integration>(&removing());
    state.roles = Some(RoleList::new(vec![], []));
    assert_eq!(
        state.troubles(),
        [(Trouble::MissingManageRoles, None), (Trouble::MissingKickMembers, None)]
    );
    state.bot_missing = true;
    assert_eq!(state.troubles(), [(Trouble::BotMissing, None)]);
}

#[test]
fn deleting_takes_the_access_away_first() {
    let started = DisconnectStarted { integration: id(), guild: CLUB, remove: true };
    given::<Integration>(attached())
        .when(Command::Disconnect { remove: true }.to(id()))
        .then([started.clone()]);
    given::<Integration>(attached().into_iter().chain([started]))
        .when(Command::ConfirmDisconnected(LeftBehind::default()).to(id()))
        .then([
            ServerDisconnected { integration: id(), guild: CLUB, left_behind: 0, left: vec![] },
            IntegrationRemoved { integration: id() },
        ]);
    given::<Integration>([created()])
        .when(Command::Disconnect { remove: true }.to(id()))
        .then([IntegrationRemoved { integration: id() }]);
}

#[test]
fn another_server_starts_without_the_roles_of_the_first() {
    let history = attached().into_iter().chain([
        DisconnectStarted { integration: id(), guild: CLUB, remove: false },
        ServerDisconnected { integration: id(), guild: CLUB, left_behind: 0, left: vec![] },
        ServerConnected { integration: id(), guild: server(GuildId(2)) },
    ]);
    let state = crate::fold::<Integration>(&history.collect::<Vec<_>>());
    assert!(state.attachments.is_empty());
}

#[test]
fn a_role_moved_above_the_bot_is_a_trouble_of_the_integration() {
    let mut state = crate::fold::<Integration>(&attached());
    assert_eq!(state.troubles(), []);
    state.attachments.insert(gold(), [STAFF].into());
    assert_eq!(state.troubles(), [(Trouble::RoleAboveBot, Some(STAFF))]);
}

fn any_command() -> impl Strategy<Value = Command> {
    let tiers = prop::collection::btree_map(
        prop::sample::select(vec!["gold", "silver"]).prop_map(|tier| tier.parse().unwrap()),
        prop::collection::btree_set(prop::sample::select(vec![VIP, STAFF, RoleId(11)]), 0..3),
        1..3,
    );
    prop_oneof![
        Just(match created() {
            IntegrationCreated { integration, creator, provider, name } =>
                Command::Create { integration, creator, provider, name },
            _ => unreachable!("created() is a creation"),
        }),
        prop::sample::select(vec!["A", "B"])
            .prop_map(|name| Command::Rename { name: name.parse().unwrap() }),
        prop::sample::select(vec![OnEnd::RolesOnly, OnEnd::RemoveFromServer])
            .prop_map(|on_end| Command::ChangeRemovalPolicy { on_end }),
        prop::sample::select(vec![Drift::Repair, Drift::Report])
            .prop_map(|drift| Command::ChangeDriftPolicy { drift }),
        (0u32..2).prop_map(|fans| Command::ChangeRemovalLimit {
            limit: RemovalLimit { fans, percent: 20 }
        }),
        Just(Command::RefreshRoles { roles: RoleList::new(vec![], []), again: false }),
        Just(Command::RefreshRoles { roles: roles(), again: false }),
        any::<bool>().prop_map(|present| Command::ObserveBot { present }),
        tiers.prop_map(|tiers| Command::Attach { tiers }),
        Just(Command::Detach { tier: gold() }),
        any::<bool>().prop_map(|remove| Command::Disconnect { remove }),
        Just(Command::ConfirmDisconnected(LeftBehind::default())),
    ]
}

proptest! {
    // Connecting and trying again are left out: they always record the roles that were read.
    #[test]
    fn saying_it_twice_changes_nothing(before in prop::collection::vec(any_command(), 0..12), command in any_command()) {
        let mut state = crate::fold::<Integration>(&connected());
        for command in before.into_iter().chain([command.clone()]) {
            for event in Integration::decide(&state, command.to(id())).unwrap_or_default() {
                Integration::evolve(&mut state, &event);
            }
        }
        prop_assert_eq!(Integration::decide(&state, command.to(id())).unwrap_or_default(), vec![]);
    }
}
