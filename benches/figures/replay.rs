//! Replay through all views at once, beside a bare SELECT of all rows in the same run.

use std::{path::Path, time::Duration, time::Instant};

use chrono::{DateTime, Utc};
use domain::{
    Account, DiscordUserId, Event, GuildId, IntegrationId, Personal, RoleId,
    access::{self, Attempt, Desired, Holder, Report},
    account,
    discord::{Permissions, Role, RoleList},
    fan::{self, Link},
    integration::{self, Provider, Server},
    membership::{self, Status, Terms},
    tier,
};
use eventstore::{
    Actor, Append, Clock, Metadata, Mode, NewEvent, Position, Store, StoreOptions, Write,
};
use projections::Views;
use sqlx::{ConnectOptions, Row, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::table::{heading, line, median};

const FANS: u64 = 16_000;
const SERVERS: u64 = 40;
const ROUNDS: usize = 5;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn id(n: u64) -> IntegrationId {
    IntegrationId(Uuid::from_u128(u128::from(n) + 1))
}

/// Events of one stream, and the stream.
type Story = (domain::StreamName, Vec<Event>);

fn server(n: u64) -> Vec<Story> {
    let creator: domain::CreatorId = format!("creator{n}").parse().unwrap();
    let (guild, tier): (_, domain::TierId) = (GuildId(1_000_000 + n), "gold".parse().unwrap());
    let name: domain::DisplayName = "Club".parse().unwrap();
    let integration = id(n);
    let set_up = vec![
        integration::Event::IntegrationCreated {
            integration,
            creator: creator.clone(),
            provider: Provider::Discord,
            name: name.clone(),
        },
        integration::Event::ServerConnected {
            integration,
            guild: Server { id: guild, name: "Club".into(), icon: None },
        },
        integration::Event::RolesRefreshed { integration, guild, roles: roles(guild) },
        integration::Event::MembershipAttached {
            integration,
            tier: tier.clone(),
            roles: [RoleId(10)].into(),
        },
    ];
    let registered =
        tier::Event::TierRegistered { creator: creator.clone(), tier: tier.clone(), name };
    vec![
        (tier::stream(&creator, &tier), vec![registered.into()]),
        (integration::stream(integration), set_up.into_iter().map(Into::into).collect()),
    ]
}

fn roles(guild: GuildId) -> RoleList {
    let role = |id, position, managed, permissions| Role {
        id: RoleId(id),
        name: "role".into(),
        position,
        color: 0,
        managed,
        permissions,
    };
    let none = Permissions::default();
    let all = vec![
        role(guild.0, 0, false, none),
        role(10, 1, false, none),
        role(50, 9, true, Permissions::INSTALL),
    ];
    RoleList::new(all, [RoleId(50)])
}

/// A fan who buys, links, is brought in, renews, and at the end of some stories leaves.
fn story(store: &Store, n: u64) -> Vec<Story> {
    let fan: domain::FanId = format!("fan{n}").parse().unwrap();
    let account = Account { id: DiscordUserId(n + 1), username: format!("fan{n}") };
    let account_key = store.vault().account_key(account.id);
    let account = Personal::Known(account);
    let terms = |version, status| Terms {
        membership: format!("m{n}").parse().unwrap(),
        fan: fan.clone(),
        creator: format!("creator{}", n % SERVERS).parse().unwrap(),
        tier: "gold".parse().unwrap(),
        status,
        ends_at: None,
        version,
    };
    let guild = GuildId(1_000_000 + n % SERVERS);
    let holder = || Holder {
        guild,
        fan: fan.clone(),
        account: account.clone(),
        account_key: account_key.clone(),
    };
    let desired = Desired { present: true, roles: [RoleId(10)].into() };
    let attempt = Attempt {
        holder: holder(),
        command: 1,
        at: now(),
        roles: [RoleId(10)].into(),
        removes: [].into(),
        found: None,
    };
    let report = Report {
        holder: holder(),
        command: 1,
        desired,
        given: [RoleId(10)].into(),
        kept: [].into(),
        present: Some(true),
        brought_in: true,
        joined_at: None,
        unseen: false,
        trouble: None,
        role: None,
        http_status: None,
        detail: None,
    };
    let mut bought = vec![
        membership::Event::MembershipPurchased(terms(1, Status::Active)),
        membership::Event::MembershipRenewed(terms(2, Status::Active)),
    ];
    if n.is_multiple_of(4) {
        bought.push(membership::Event::MembershipExpired(terms(2, Status::Active)));
    }
    let reserved =
        account::Event::AccountReserved { account_key: account_key.clone(), fan: fan.clone() };
    let link =
        Link { fan: fan.clone(), account: account.clone(), account_key: account_key.clone() };
    vec![
        (
            membership::stream(&format!("m{n}").parse().unwrap()),
            bought.into_iter().map(Into::into).collect(),
        ),
        (account::stream(&account_key), vec![reserved.into()]),
        (fan::stream(&fan), vec![fan::Event::FanLinked(link).into()]),
        (
            access::stream(guild, &fan),
            vec![
                access::Event::JoinAttempted(attempt).into(),
                access::Event::AccessGranted(report).into(),
            ],
        ),
    ]
}

async fn append(store: &Store, stories: Vec<Story>) {
    let mut writes = vec![];
    for (stream, events) in stories {
        let mut new = vec![];
        for mut event in events {
            store.vault().seal_event(&mut event).await.unwrap();
            let encoded = event.encode().unwrap();
            new.push(NewEvent {
                kind: encoded.kind.into(),
                schema: encoded.schema,
                data: encoded.data.into(),
            });
        }
        writes.push(Write { stream, expected: 0, events: new });
    }
    let metadata = Metadata { at: now(), actor: Actor::Platform, correlation: Uuid::nil() };
    store.log().append(Append { writes, metadata, key: None }).await.unwrap();
}

async fn replay(folder: &Path, store: &Store, round: usize) -> f64 {
    let views = Views::open(&folder.join(format!("views{round}")), store).await.unwrap();
    let (head, stop) = (store.log().head(), CancellationToken::new());
    let began = Instant::now();
    let running = tokio::spawn({
        let (views, stop) = (views.clone(), stop.clone());
        async move { views.run(stop).await.unwrap() }
    });
    views.seen(head, Duration::from_mins(10)).await.unwrap();
    let took = began.elapsed().as_secs_f64();
    stop.cancel();
    running.await.unwrap();
    f64::from(u32::try_from(head.0).unwrap()) / took
}

/// Reads the whole log as a subscriber that has seen nothing does, from disk for the most part.
async fn read(store: &Store) -> f64 {
    let (began, head) = (Instant::now(), store.log().head());
    let mut subscription = store.log().subscribe(Position::default());
    let mut last = Position::default();
    while last < head {
        last = subscription.next().await.unwrap().last().unwrap().position;
    }
    f64::from(u32::try_from(head.0).unwrap()) / began.elapsed().as_secs_f64()
}

async fn select(folder: &Path) -> f64 {
    let mut db = SqliteConnectOptions::new()
        .filename(folder.join("data/hub.sqlite"))
        .connect()
        .await
        .unwrap();
    let (began, mut count, mut bytes) = (Instant::now(), 0u32, 0);
    let mut after = 0i64;
    loop {
        let rows =
            sqlx::query("select * from events where position > ?1 order by position limit 4096")
                .bind(after)
                .fetch_all(&mut db)
                .await
                .unwrap();
        let Some(last) = rows.last() else { break };
        after = last.get("position");
        for row in &rows {
            bytes += row.get::<&str, _>("data").len();
            count += 1;
        }
    }
    assert!(bytes > 0);
    f64::from(count) / began.elapsed().as_secs_f64()
}

pub(crate) async fn run() {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let options = || StoreOptions { clock: Clock::system(), master_key: None, mode: Mode::Serve };
    let store = Store::open(&folder.path().join("data"), options()).await.unwrap();
    for n in 0..SERVERS {
        append(&store, server(n)).await;
    }
    let all: Vec<u64> = (0..FANS).collect();
    for some in all.chunks(100) {
        append(&store, some.iter().flat_map(|n| story(&store, *n)).collect()).await;
    }
    let (mut selects, mut reads, mut replays) = (vec![], vec![], vec![]);
    for round in 0..ROUNDS {
        selects.push(select(folder.path()).await);
        reads.push(read(&store).await);
        replays.push(replay(folder.path(), &store, round).await);
    }
    let (select, read, replay) = (median(selects), median(reads), median(replays));
    heading("Replay, events per second");
    line("bare SELECT of all rows", &format!("{select:.0}"), "the floor");
    let against = format!("{:.2} of SELECT (goal 350,000/s)", read / select);
    line("by a subscription", &format!("{read:.0}"), &against);
    let against =
        format!("{:.2} of SELECT (goal 100,000/s), {} events", replay / select, store.log().head());
    line("through all views at once", &format!("{replay:.0}"), &against);
}
