//! A log and its views, and everything that a step does to them.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Account, CreatorId, DiscordUserId, FanId, GuildId, HoldId, IntegrationId, MembershipId,
    Personal, RoleId, TierId, Trouble, Who,
    access::{self, Access, Attempt, Calls, Report},
    account::{self, AccountKey, DiscordAccount},
    creator::{self, Creator},
    discord::{Permissions, Role, RoleList},
    fan::{self, Fan, Link},
    hold::{self, Cause, Held, Hold, RemovalLimit},
    integration::{self, Integration, Provider, Server},
    membership::{self, Membership, Status, Terms},
};
use eventstore::{Actor, Clock, Metadata, Mode, Position, Store, StoreOptions};
use projections::{
    Audience, CommandCursor, CommandKind, CommandRow, FanRow, HoldStatus, HoldsWanted, VIEWS,
    Views, audit::Retelling,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::steps::{Change, Ends, Look, Step};

fn kim() -> CreatorId {
    "kim".parse().unwrap()
}

fn fan(n: u8) -> FanId {
    format!("fan{n}").parse().unwrap()
}

fn tier(n: u8) -> TierId {
    format!("tier{n}").parse().unwrap()
}

pub(crate) fn id(n: u8) -> IntegrationId {
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

/// A server in which the bot can give every role, or none.
fn list(guild: GuildId, above: bool) -> RoleList {
    let role = |id, position, permissions| Role {
        id: RoleId(id),
        name: format!("r{id}"),
        position,
        color: 0,
        managed: id == 50,
        permissions,
    };
    let none = Permissions::default();
    RoleList::new(
        vec![
            role(guild.0, 0, none),
            role(10, 1, none),
            role(11, 2, none),
            role(50, if above { 9 } else { 1 }, Permissions::INSTALL),
        ],
        [RoleId(50)],
    )
}

pub(crate) struct Game {
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
    pub(crate) views: Views,
    pub(crate) following: Option<(CancellationToken, JoinHandle<()>)>,
    version: u64,
    pub(crate) now: DateTime<Utc>,
}

impl Game {
    pub(crate) async fn start() -> Self {
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

    pub(crate) fn follow(&mut self) {
        let (stop, views) = (CancellationToken::new(), self.views.clone());
        let stopped = stop.clone();
        self.following =
            Some((stop, tokio::spawn(async move { views.run(stopped).await.unwrap() })));
    }

    pub(crate) async fn start_anew(&mut self) {
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

    pub(crate) async fn rest(&self) {
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

    async fn account(&self, key: &AccountKey, command: account::Command) {
        let stream = account::stream(key);
        let _ = self.store.handle::<DiscordAccount>(&stream, command, self.metadata(), None).await;
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
    pub(crate) async fn play(&mut self, step: Step) {
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
                let reserve =
                    account::Command::Reserve { account_key: account_key.clone(), fan: fan(n) };
                self.account(&account_key, reserve).await;
                let link = Link { fan: fan(n), account: Personal::Known(account), account_key };
                self.fan(n, fan::Command::Link(link)).await;
            }
            Step::Unlink { fan: n } => self.fan(n, fan::Command::Unlink { fan: fan(n) }).await,
            Step::Release => {
                self.rest().await;
                let released = self.views.fan_access().releasable_accounts(10).await.unwrap();
                for (account_key, fan) in released {
                    let release =
                        account::Command::Release { account_key: account_key.clone(), fan };
                    self.account(&account_key, release).await;
                }
            }
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
                    integration::Command::Connect { server, roles: list(guild(n), true) },
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
            Step::Drift { integration: n, drift } => {
                self.integration(n, integration::Command::ChangeDriftPolicy { drift }).await;
            }
            Step::Look { integration: n, look } => {
                let refresh = |roles, again| integration::Command::RefreshRoles { roles, again };
                let all = list(guild(n), true);
                let command = match look {
                    Look::Above(above) => refresh(list(guild(n), above), false),
                    Look::Again => refresh(all, true),
                    Look::Deleted => {
                        let left = all.roles().iter().filter(|role| role.id != RoleId(11));
                        refresh(RoleList::new(left.cloned().collect(), [RoleId(50)]), false)
                    }
                    Look::Bot(present) => integration::Command::ObserveBot { present },
                };
                self.integration(n, command).await;
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
                    self.access(&row, access::Command::Observe { holder: row.holder(), sighting })
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
            holder: row.holder(),
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
            holder: row.holder(),
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

    pub(crate) async fn check(&self) {
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
        self.histories_end_at_the_present().await;
    }

    /// The history that auditors are told of each fan, heard to its end, is how the view has them.
    async fn histories_end_at_the_present(&self) {
        self.rest().await;
        let recorded = self.store.log().read_after(Position(0), 100_000).await.unwrap();
        let events = self.store.decode(recorded).await.unwrap();
        for fan in (0..3).map(fan) {
            let mut retelling = Retelling::of(fan.clone());
            for event in &events {
                retelling.hear(event);
            }
            for n in 0..3 {
                let rows = self.views.fan_access().fans(id(n), None, None, 200).await.unwrap();
                let row = rows.into_iter().find(|row| row.fan == fan);
                let told = retelling.row(id(n)).cloned().zip(row.as_ref()).map(|(told, row)| {
                    // What it was that changed it last is not part of the story.
                    FanRow { position: row.position, ..told }
                });
                assert_eq!(told, row, "{fan} in {n}");
            }
        }
    }

    pub(crate) async fn waiting(&self) -> Vec<HoldId> {
        self.rest().await;
        let wanted = HoldsWanted { status: Some(HoldStatus::Waiting), ..HoldsWanted::default() };
        let holds = self.views.fan_access().holds(&wanted, None, 200).await.unwrap();
        holds.into_iter().map(|hold| hold.id).collect()
    }

    pub(crate) async fn decide(&self, hold: HoldId, approve: bool) {
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

    /// Every trouble that a server or a fan's row shows has one notice that is not resolved, and there is none without.
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
            let server = self.views.integrations().get(id(n)).await.unwrap().unwrap();
            troubled
                .extend(server.state.troubles().into_iter().map(|(trouble, _)| (trouble, None)));
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
    pub(crate) async fn everybody_is_in(&mut self) {
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
    pub(crate) async fn finish(&self) {
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
