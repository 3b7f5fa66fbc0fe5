//! The laws of the views, on random histories: however the log was cut into runs, and however often the process was
//! started anew, a view equals the one that is built from the beginning; and executing every command empties the
//! command stream.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{collections::BTreeSet, fs::File, os::unix::fs::FileExt, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Account, CreatorId, DiscordUserId, FanId, GuildId, HoldId, IntegrationId, MembershipId,
    Personal, RoleId, TierId, Trouble, Who,
    access::{self, Access, Attempt, Calls, Holder, Report, Sighting},
    creator::{self, Creator},
    discord::{Permissions, Role, RoleList},
    fan::{self, Fan, Link},
    hold::{self, Cause, Held, Hold, RemovalLimit},
    integration::{self, Integration, OnEnd, Provider, Server},
    membership::{self, Membership, Status, Terms},
};
use eventstore::{Actor, Clock, Metadata, Mode, Position, Store, StoreOptions};
use projections::{
    Audience, CommandCursor, CommandKind, CommandRow, HoldStatus, HoldsWanted, VIEWS, Views,
};
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

#[derive(Debug, Clone)]
enum Step {
    Report {
        membership: u8,
        tier: u8,
        status: Status,
    },
    Link {
        fan: u8,
        account: u8,
    },
    Unlink {
        fan: u8,
    },
    Choose {
        fan: u8,
        integration: u8,
        on: bool,
    },
    Grant {
        fan: u8,
        integration: u8,
        on: bool,
    },
    Withhold {
        fan: u8,
        integration: u8,
        on: bool,
    },
    Connect {
        integration: u8,
    },
    Attach {
        integration: u8,
        tier: u8,
        roles: u8,
    },
    Detach {
        integration: u8,
        tier: u8,
    },
    Policy {
        integration: u8,
        on_end: OnEnd,
    },
    Leave {
        integration: u8,
    },
    Confirm {
        integration: u8,
    },
    Execute {
        nth: u8,
        ends: Ends,
    },
    See {
        nth: u8,
        sighting: Sighting,
    },
    /// Memberships, each a bit, that are imported together and whose removals are held.
    Import {
        integration: u8,
        memberships: u8,
        tier: u8,
        status: Status,
    },
    /// A hold for paid periods that run out.
    HoldLapses {
        integration: u8,
    },
    Lapse {
        membership: u8,
    },
    /// A change of the creator whose removals are held.
    HoldChange {
        integration: u8,
        tier: u8,
        change: Change,
    },
    Decide {
        nth: u8,
        approve: bool,
    },
    ReadNotice {
        nth: u8,
    },
    /// The views come to rest, so that the next run begins here.
    Rest,
    StartAnew,
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Roles(u8),
    Detach,
    OnEnd(OnEnd),
}

#[derive(Debug, Clone, Copy)]
enum Ends {
    Done,
    Refused,
    Unknown,
}

fn step() -> impl Strategy<Value = Step> {
    let status = prop::sample::select(vec![
        Status::Active,
        Status::Active,
        Status::Paused,
        Status::Refunded,
    ]);
    let ends = prop::sample::select(vec![Ends::Done, Ends::Done, Ends::Refused, Ends::Unknown]);
    let sighting = prop::sample::select(vec![
        Sighting::Left,
        Sighting::Returned,
        Sighting::Banned,
        Sighting::Missing([RoleId(10)].into()),
    ]);
    let on_end = prop::sample::select(vec![OnEnd::RolesOnly, OnEnd::RemoveFromServer]);
    let change = prop_oneof![
        (0u8..4).prop_map(Change::Roles),
        Just(Change::Detach),
        prop::sample::select(vec![OnEnd::RolesOnly, OnEnd::RemoveFromServer])
            .prop_map(Change::OnEnd),
    ];
    let ended = prop::sample::select(vec![Status::Expired, Status::Expired, Status::Active]);
    prop_oneof![
        3 => (0u8..3, any::<u8>(), 0u8..2, ended).prop_map(|(integration, memberships, tier, status)| {
            Step::Import { integration, memberships, tier, status }
        }),
        1 => (0u8..3).prop_map(|integration| Step::HoldLapses { integration }),
        1 => (0u8..5).prop_map(|membership| Step::Lapse { membership }),
        2 => (0u8..3, 0u8..2, change)
            .prop_map(|(integration, tier, change)| Step::HoldChange { integration, tier, change }),
        2 => (0u8..4, any::<bool>()).prop_map(|(nth, approve)| Step::Decide { nth, approve }),
        1 => (0u8..4).prop_map(|nth| Step::ReadNotice { nth }),
        6 => (0u8..5, 0u8..2, status).prop_map(|(membership, tier, status)| Step::Report { membership, tier, status }),
        3 => (0u8..3, 0u8..4).prop_map(|(fan, account)| Step::Link { fan, account }),
        1 => (0u8..3).prop_map(|fan| Step::Unlink { fan }),
        2 => (0u8..3, 0u8..3, any::<bool>())
            .prop_map(|(fan, integration, on)| Step::Choose { fan, integration, on }),
        1 => (0u8..3, 0u8..3, any::<bool>())
            .prop_map(|(fan, integration, on)| Step::Grant { fan, integration, on }),
        1 => (0u8..3, 0u8..3, any::<bool>())
            .prop_map(|(fan, integration, on)| Step::Withhold { fan, integration, on }),
        2 => (0u8..3).prop_map(|integration| Step::Connect { integration }),
        4 => (0u8..3, 0u8..2, 0u8..4)
            .prop_map(|(integration, tier, roles)| Step::Attach { integration, tier, roles }),
        1 => (0u8..3, 0u8..2).prop_map(|(integration, tier)| Step::Detach { integration, tier }),
        1 => (0u8..3, on_end).prop_map(|(integration, on_end)| Step::Policy { integration, on_end }),
        1 => (0u8..3).prop_map(|integration| Step::Leave { integration }),
        1 => (0u8..3).prop_map(|integration| Step::Confirm { integration }),
        6 => (0u8..4, ends).prop_map(|(nth, ends)| Step::Execute { nth, ends }),
        1 => (0u8..4, sighting).prop_map(|(nth, sighting)| Step::See { nth, sighting }),
        3 => Just(Step::Rest),
        1 => Just(Step::StartAnew),
    ]
}

fn kim() -> CreatorId {
    "kim".parse().unwrap()
}

fn fan(n: u8) -> FanId {
    format!("fan{n}").parse().unwrap()
}

fn tier(n: u8) -> TierId {
    format!("tier{n}").parse().unwrap()
}

fn id(n: u8) -> IntegrationId {
    IntegrationId(Uuid::from_u128(u128::from(n) + 1))
}

/// The first two integrations share a server.
fn guild(integration: u8) -> GuildId {
    GuildId(100 + u64::from(integration / 2))
}

fn roles(bits: u8) -> BTreeSet<RoleId> {
    let all = [RoleId(10), RoleId(11)];
    (0..2).filter(|bit| bits & (1 << bit) != 0).map(|bit| all[bit]).collect()
}

fn list(guild: GuildId) -> RoleList {
    let role = |id, position, permissions| Role {
        id: RoleId(id),
        name: format!("r{id}"),
        position,
        color: 0,
        managed: position == 9,
        permissions,
    };
    let none = Permissions::default();
    RoleList::new(
        vec![
            role(guild.0, 0, none),
            role(10, 1, none),
            role(11, 2, none),
            role(50, 9, Permissions::INSTALL),
        ],
        [RoleId(50)],
    )
}

struct Game {
    folder: TempDir,
    store: Store,
    views: Views,
    following: Option<(CancellationToken, JoinHandle<()>)>,
    version: u64,
    now: DateTime<Utc>,
}

impl Game {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let options =
            StoreOptions { clock: Clock::fixed(now), master_key: None, mode: Mode::Serve };
        let store = Store::open(folder.path(), options).await.unwrap();
        let views = Views::open(&folder.path().join("views"), &store).await.unwrap();
        let mut game = Self { folder, store, views, following: None, version: 0, now };
        game.follow();
        for n in 0..3 {
            let name = format!("Club {n}").parse().unwrap();
            let create = integration::Command::Create {
                integration: id(n),
                creator: kim(),
                provider: Provider::Discord,
                name,
            };
            game.integration(n, create).await;
        }
        game
    }

    fn follow(&mut self) {
        let (stop, views) = (CancellationToken::new(), self.views.clone());
        let stopped = stop.clone();
        self.following =
            Some((stop, tokio::spawn(async move { views.run(stopped).await.unwrap() })));
    }

    async fn start_anew(&mut self) {
        let (stop, following) = self.following.take().unwrap();
        stop.cancel();
        following.await.unwrap();
        self.views = Views::open(&self.folder.path().join("views"), &self.store).await.unwrap();
        self.follow();
    }

    fn metadata(&self) -> Metadata {
        Metadata { at: self.now, actor: Actor::Platform, correlation: Uuid::nil() }
    }

    /// Opens a hold; answers the metadata of what it holds.
    async fn hold(&mut self, n: u8, cause: Cause) -> Metadata {
        self.version += 1;
        let id_of_hold = HoldId(Uuid::from_u128(u128::from(self.version)));
        let metadata = Metadata { correlation: id_of_hold.0, ..self.metadata() };
        let open = hold::Command::Open(Held {
            hold: id_of_hold,
            creator: kim(),
            integration: id(n),
            cause,
            losing: 1,
            of: 1,
            limit: RemovalLimit::default(),
            until: (cause == Cause::Lapses).then(|| self.now + TimeDelta::days(5)),
        });
        let stream = hold::stream(id_of_hold);
        self.store.handle::<Hold>(&stream, open, metadata.clone(), None).await.unwrap();
        metadata
    }

    async fn report(
        &mut self,
        n: u8,
        of: u8,
        status: Status,
        ends_at: Option<DateTime<Utc>>,
        metadata: Metadata,
    ) {
        self.version += 1;
        let name: MembershipId = format!("m{n}").parse().unwrap();
        let terms = Terms {
            membership: name.clone(),
            fan: fan(n % 3),
            creator: kim(),
            tier: tier(of),
            status,
            ends_at,
            version: self.version,
        };
        let command =
            membership::Command::Report { terms, now: self.now, grace: TimeDelta::days(3) };
        let stream = membership::stream(&name);
        self.store.handle::<Membership>(&stream, command, metadata, None).await.unwrap();
    }

    async fn rest(&self) {
        self.views.seen(self.store.log().head(), Duration::from_secs(20)).await.unwrap();
    }

    async fn integration(&self, n: u8, command: integration::Command) {
        // A refusal changes nothing, which is all that matters here.
        let stream = integration::stream(id(n));
        let _ = self
            .store
            .handle::<Integration>(&stream, command.to(id(n)), self.metadata(), None)
            .await;
    }

    async fn fan(&self, n: u8, command: fan::Command) {
        let _ =
            self.store.handle::<Fan>(&fan::stream(&fan(n)), command, self.metadata(), None).await;
    }

    async fn access(&self, row: &CommandRow, command: access::Command) {
        let stream = access::stream(row.guild, &row.fan);
        let _ = self.store.handle::<Access>(&stream, command, self.metadata(), None).await;
    }

    async fn open(&self) -> Vec<CommandRow> {
        self.rest().await;
        self.views
            .fan_access()
            .commands(&[0], 1, &CommandCursor::after(Position(0)), 500)
            .await
            .unwrap()
    }

    async fn nth(&self, nth: u8) -> Option<CommandRow> {
        let mut open = self.open().await;
        if open.is_empty() { None } else { Some(open.swap_remove(usize::from(nth) % open.len())) }
    }

    #[expect(clippy::too_many_lines, reason = "an arm for each step")]
    async fn play(&mut self, step: Step) {
        self.now += TimeDelta::seconds(1);
        match step {
            Step::Report { membership, tier: of, status } => {
                self.report(membership, of, status, None, self.metadata()).await;
            }
            Step::Import { integration, memberships, tier, status } => {
                let metadata = self.hold(integration, Cause::Import).await;
                for n in (0..5).filter(|n| memberships & (1 << n) != 0) {
                    self.report(n, tier, status, None, metadata.clone()).await;
                }
            }
            Step::HoldLapses { integration } => {
                self.hold(integration, Cause::Lapses).await;
            }
            Step::Lapse { membership } => {
                let tomorrow = Some(self.now + TimeDelta::days(1));
                self.report(membership, 0, Status::Active, tomorrow, self.metadata()).await;
                let expire = membership::Command::Expire {
                    version: self.version,
                    now: self.now + TimeDelta::days(5),
                    grace: TimeDelta::days(3),
                };
                let stream = membership::stream(&format!("m{membership}").parse().unwrap());
                let metadata = Metadata { actor: Actor::Hub, ..self.metadata() };
                self.store.handle::<Membership>(&stream, expire, metadata, None).await.unwrap();
            }
            Step::HoldChange { integration: n, tier: of, change } => {
                let metadata = self.hold(n, Cause::Attachments).await;
                let command = match change {
                    Change::Roles(bits) => {
                        integration::Command::Attach { tiers: [(tier(of), roles(bits))].into() }
                    }
                    Change::Detach => integration::Command::Detach { tier: tier(of) },
                    Change::OnEnd(on_end) => integration::Command::ChangeRemovalPolicy { on_end },
                };
                let stream = integration::stream(id(n));
                let _ = self
                    .store
                    .handle::<Integration>(&stream, command.to(id(n)), metadata, None)
                    .await;
            }
            Step::Decide { nth, approve } => {
                let waiting = self.waiting().await;
                if let Some(hold) = waiting.get(usize::from(nth) % waiting.len().max(1)) {
                    self.decide(*hold, approve).await;
                }
            }
            Step::ReadNotice { nth } => {
                self.rest().await;
                let audience = Audience::Creator(kim());
                let told = self.views.fan_access().notices(&audience, None, 10).await.unwrap();
                if let Some(notice) = told.get(usize::from(nth)) {
                    let command =
                        creator::Command::ReadNotice { creator: kim(), notice: notice.id };
                    let stream = creator::stream(&kim());
                    self.store
                        .handle::<Creator>(&stream, command, self.metadata(), None)
                        .await
                        .unwrap();
                }
            }
            Step::Link { fan: n, account } => {
                // Each fan has accounts of their own: whose is whose is the reservation's to decide.
                let account = Account {
                    id: DiscordUserId(u64::from(n * 10 + account) + 1),
                    username: "x".into(),
                };
                let account_key = self.store.vault().account_key(account.id);
                let link = Link { fan: fan(n), account: Personal::Known(account), account_key };
                self.fan(n, fan::Command::Link(link)).await;
            }
            Step::Unlink { fan: n } => self.fan(n, fan::Command::Unlink { fan: fan(n) }).await,
            Step::Choose { fan: n, integration, on } => {
                let (fan, integration) = (fan(n), id(integration));
                let command = if on {
                    fan::Command::Activate { fan, integration, again: false }
                } else {
                    fan::Command::Deactivate { fan, integration }
                };
                self.fan(n, command).await;
            }
            Step::Grant { fan: n, integration, on } => {
                let (fan, integration) = (fan(n), id(integration));
                let command = if on {
                    let roles = [RoleId(11)].into();
                    fan::Command::Grant(fan::Grant {
                        fan,
                        creator: kim(),
                        integration,
                        roles,
                        until: None,
                    })
                } else {
                    fan::Command::EndGrant { fan, integration }
                };
                self.fan(n, command).await;
            }
            Step::Withhold { fan: n, integration, on } => {
                let (fan, integration) = (fan(n), id(integration));
                let command = if on {
                    fan::Command::Withhold { fan, integration, why: "x".into() }
                } else {
                    fan::Command::LiftWithholding { fan, integration }
                };
                self.fan(n, command).await;
            }
            Step::Connect { integration: n } => {
                let server = Server { id: guild(n), name: "Club".into(), icon: None };
                self.integration(
                    n,
                    integration::Command::Connect { server, roles: list(guild(n)) },
                )
                .await;
            }
            Step::Attach { integration: n, tier: of, roles: bits } => {
                let tiers = [(tier(of), roles(bits))].into();
                self.integration(n, integration::Command::Attach { tiers }).await;
            }
            Step::Detach { integration: n, tier: of } => {
                self.integration(n, integration::Command::Detach { tier: tier(of) }).await;
            }
            Step::Policy { integration: n, on_end } => {
                self.integration(n, integration::Command::ChangeRemovalPolicy { on_end }).await;
            }
            Step::Leave { integration: n } => {
                self.integration(n, integration::Command::Disconnect { remove: false }).await;
            }
            Step::Confirm { integration: n } => {
                self.integration(
                    n,
                    integration::Command::ConfirmDisconnected(integration::LeftBehind::default()),
                )
                .await;
            }
            Step::Execute { nth, ends } => {
                if let Some(row) = self.nth(nth).await {
                    self.execute(&row, ends).await;
                }
            }
            Step::See { nth, sighting } => {
                if let Some(row) = self.nth(nth).await {
                    self.access(&row, access::Command::Observe { holder: holder(&row), sighting })
                        .await;
                }
            }
            Step::Rest => {
                self.rest().await;
                self.nobody_takes_what_is_held().await;
                self.whoever_has_trouble_is_told_once().await;
            }
            Step::StartAnew => self.start_anew().await,
        }
    }

    async fn execute(&self, row: &CommandRow, ends: Ends) {
        let calls = match row.kind {
            CommandKind::Grant => Calls::Join,
            CommandKind::Change => Calls::Roles,
            CommandKind::Revoke => Calls::Removal,
        };
        let attempt = Attempt {
            holder: holder(row),
            command: row.version,
            at: self.now,
            roles: row.plan.grant.clone(),
            removes: row.plan.remove.clone(),
            found: None,
        };
        self.access(row, access::Command::Start { attempt, calls }).await;
        let done = match ends {
            Ends::Done => true,
            Ends::Refused => false,
            Ends::Unknown => return,
        };
        let standing = &row.standing;
        let out = done && row.plan.kick;
        let present = if out {
            Some(false)
        } else {
            Some(row.desired.present || standing.present == Some(true))
        };
        let given = if done {
            row.desired.roles.difference(&standing.kept).copied().collect()
        } else {
            standing.roles()
        };
        let report = Report {
            holder: holder(row),
            command: row.version,
            desired: row.desired.clone(),
            given: if present == Some(false) { BTreeSet::new() } else { given },
            kept: standing.kept.clone(),
            present,
            brought_in: !out && (standing.brought_in || row.plan.join),
            joined_at: None,
            unseen: false,
            trouble: (!done).then_some(Trouble::MissingPermissions),
            role: None,
            http_status: None,
            detail: None,
        };
        self.access(row, access::Command::Report(report)).await;
    }

    async fn check(&self) {
        self.rest().await;
        for name in VIEWS {
            let verdict =
                Views::verify(&self.folder.path().join("views"), &self.store, name, |_| {})
                    .await
                    .unwrap();
            assert_eq!(verdict.differences, [], "{name}");
        }
        self.nobody_takes_what_is_held().await;
        self.whoever_has_trouble_is_told_once().await;
    }

    async fn waiting(&self) -> Vec<HoldId> {
        self.rest().await;
        let wanted = HoldsWanted { status: Some(HoldStatus::Waiting), ..HoldsWanted::default() };
        let holds = self.views.fan_access().holds(&wanted, None, 200).await.unwrap();
        holds.into_iter().map(|hold| hold.id).collect()
    }

    async fn decide(&self, hold: HoldId, approve: bool) {
        let command = if approve { hold::Command::Approve } else { hold::Command::Reject };
        let stream = hold::stream(hold);
        self.store.handle::<Hold>(&stream, command, self.metadata(), None).await.unwrap();
    }

    async fn nobody_takes_what_is_held(&self) {
        let open = self.open().await;
        let view = self.views.fan_access();
        for hold in view.holds(&HoldsWanted::default(), None, 200).await.unwrap() {
            let of = (0..3).find(|n| id(*n) == hold.integration).map(guild);
            for held in view.held_fans(hold.id, None, 200).await.unwrap() {
                let own = open.iter().filter(|row| {
                    row.fan == held.fan
                        && Some(row.guild) == of
                        && Some(&row.account) == held.account.as_ref()
                });
                for CommandRow { plan, .. } in own {
                    assert!(plan.remove.is_disjoint(&held.roles), "{held:?} {plan:?}");
                    assert!(!plan.kick, "{held:?} {plan:?}");
                }
            }
        }
    }

    /// Every trouble that a row shows has one notice that is not resolved, and there is none without.
    async fn whoever_has_trouble_is_told_once(&self) {
        let view = self.views.fan_access();
        let mut audiences = vec![Audience::Creator(kim())];
        audiences.extend((0..3).map(|n| Audience::Fan(fan(n))));
        let mut told = vec![];
        for audience in audiences {
            for notice in view.notices(&audience, None, 500).await.unwrap() {
                if notice.resolved_at.is_none() {
                    told.push((audience.clone(), notice.integration, notice.trouble, notice.role));
                }
            }
        }
        let distinct: BTreeSet<_> = told.iter().cloned().collect();
        assert_eq!(distinct.len(), told.len(), "told twice: {told:#?}");
        let mut troubled = BTreeSet::new();
        for n in 0..3 {
            for row in view.fans(id(n), None, None, 200).await.unwrap() {
                let Some((trouble, _)) = row.trouble else { continue };
                if !matches!(trouble, Trouble::Withheld | Trouble::RemovalRejected) {
                    let of_fan = trouble.who() == Who::Fan;
                    troubled.insert((trouble, of_fan.then_some(row.fan)));
                }
            }
        }
        let told = distinct.into_iter().map(|(audience, _, trouble, _)| match audience {
            Audience::Fan(fan) => (trouble, Some(fan)),
            Audience::Creator(_) => (trouble, None),
        });
        assert_eq!(told.collect::<BTreeSet<_>>(), troubled);
    }

    /// Three fans who have what five memberships give in two servers.
    async fn everybody_is_in(&mut self) {
        for n in 0..3 {
            self.play(Step::Connect { integration: n }).await;
            self.play(Step::Attach { integration: n, tier: 0, roles: 1 }).await;
            self.play(Step::Attach { integration: n, tier: 1, roles: 3 }).await;
            self.play(Step::Link { fan: n, account: 0 }).await;
        }
        for membership in 0..5 {
            let (tier, status) = (membership % 2, Status::Active);
            self.play(Step::Report { membership, tier, status }).await;
        }
        self.finish().await;
    }

    /// Executes everything until nothing is left that does not wait for somebody.
    async fn finish(&self) {
        for _ in 0..50 {
            let open: Vec<_> =
                self.open().await.into_iter().filter(|row| row.parked.is_none()).collect();
            if open.is_empty() {
                return;
            }
            for row in &open {
                self.execute(row, Ends::Done).await;
            }
        }
        panic!("the command stream does not come to an end: {:#?}", self.open().await);
    }
}

fn holder(row: &CommandRow) -> Holder {
    Holder {
        guild: row.guild,
        fan: row.fan.clone(),
        account: row.account.clone(),
        account_key: row.account_key.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_view_equals_the_one_that_is_built_from_the_beginning(
        busy in any::<bool>(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut game = Game::start().await;
            if busy {
                game.everybody_is_in().await;
            }
            for step in steps {
                game.play(step).await;
            }
            game.check().await;
            game.finish().await;
            for hold in game.waiting().await {
                game.decide(hold, true).await;
            }
            game.finish().await;
            game.check().await;
            assert_eq!(game.waiting().await, []);
        });
    }
}

#[tokio::test]
async fn a_view_that_is_rebuilt_takes_the_live_one_s_place() {
    let mut game = Game::start().await;
    let steps = [
        Step::Connect { integration: 0 },
        Step::Attach { integration: 0, tier: 0, roles: 1 },
        Step::Link { fan: 0, account: 0 },
        Step::Report { membership: 0, tier: 0, status: Status::Active },
    ];
    for step in steps {
        game.play(step).await;
    }
    game.rest().await;
    for name in VIEWS {
        let folder = game.folder.path().join("views");
        let position = Views::rebuild(&folder, &game.store, name, |_| {}).await.unwrap();
        assert_eq!(position, game.store.log().head(), "{name}");
    }
    // The live node takes the new generations up by itself and goes on.
    game.play(Step::Execute { nth: 0, ends: Ends::Done }).await;
    game.rest().await;
    let counts = game.views.fan_access().counts(id(0)).await.unwrap();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(domain::status::Status::Connected, 1)]);
    game.check().await;
    let status = game.views.status();
    assert!(status.iter().all(|view| view.position == view.head), "{status:?}");
}

/// A process that is killed while it builds the views leaves files that anything may have happened to.
#[tokio::test]
async fn what_was_never_finished_is_built_anew_whatever_its_file_holds() {
    let mut game = Game::start().await;
    game.play(Step::Connect { integration: 0 }).await;
    game.rest().await;
    let (stop, following) = game.following.take().unwrap();
    stop.cancel();
    following.await.unwrap();
    let folder = game.folder.path().join("views");
    std::fs::remove_dir_all(&folder).unwrap();
    // It begins, and dies before it has applied anything.
    drop(Views::open(&folder, &game.store).await.unwrap());
    for name in VIEWS {
        let file = std::fs::read_to_string(folder.join(format!("{name}.current"))).unwrap();
        let torn = File::options().write(true).open(folder.join(file)).unwrap();
        torn.write_all_at(&[7; 4096], 8192).unwrap();
    }
    game.views = Views::open(&folder, &game.store).await.unwrap();
    game.follow();
    game.check().await;
    // Once it has caught up it lasts: nothing is built a second time.
    let built = std::fs::read_to_string(folder.join("audit.current")).unwrap();
    game.start_anew().await;
    assert_eq!(std::fs::read_to_string(folder.join("audit.current")).unwrap(), built);
    game.check().await;
}

/// Whoever restores an older log beside newer views would otherwise skip what is appended to it.
#[tokio::test]
async fn a_view_that_has_seen_what_the_log_does_not_hold_is_built_anew() {
    let game = Game::start().await;
    game.rest().await;
    let (folder, older) = (game.folder.path().join("views"), TempDir::new().unwrap());
    let options =
        StoreOptions { clock: Clock::fixed(game.now), master_key: None, mode: Mode::Serve };
    let store = Store::open(older.path(), options).await.unwrap();
    assert!(game.store.log().head() > store.log().head());
    let (stop, following) = game.following.unwrap();
    stop.cancel();
    following.await.unwrap();
    let views = Views::open(&folder, &store).await.unwrap();
    assert!(views.status().iter().all(|view| view.position == store.log().head()));
}
