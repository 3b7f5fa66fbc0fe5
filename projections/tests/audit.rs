//! What the audit view finds, beside a look through everything.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    CreatorId, Event, GuildId, IntegrationId, RoleId,
    access::{self, Desired, Event as AccessEvent, Holder, Report},
    account::AccountKey,
    integration::{self, Provider, Server},
    personal::Personal,
    tier,
};
use eventstore::{
    Actor, Append, Clock, Envelope, Metadata, Mode, NewEvent, Position, Store, StoreOptions, Write,
};
use projections::{
    Views,
    audit::{Direction, Wanted},
};
use proptest::prelude::*;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

struct Desk {
    folder: TempDir,
    store: Store,
}

impl Desk {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let options =
            StoreOptions { clock: Clock::fixed(time(0)), master_key: None, mode: Mode::Serve };
        let store = Store::open(&folder.path().join("data"), options).await.unwrap();
        Self { folder, store }
    }

    /// Appends events at a time; each stream goes on where it was.
    async fn append(&self, events: Vec<(domain::StreamName, Event)>, at: DateTime<Utc>) {
        let mut writes: Vec<Write> = vec![];
        for (stream, event) in events {
            let encoded = event.encode().unwrap();
            let new = NewEvent {
                kind: encoded.kind.into(),
                schema: encoded.schema,
                data: encoded.data.into(),
            };
            if let Some(write) = writes.iter_mut().find(|write| write.stream == stream) {
                write.events.push(new);
                continue;
            }
            let before = self.store.log().read_stream(&stream, 0).await.unwrap().len();
            writes.push(Write { stream, expected: before as u64, events: vec![new] });
        }
        let metadata = Metadata { at, actor: Actor::Platform, correlation: Uuid::nil() };
        self.store.log().append(Append { writes, metadata, key: None }).await.unwrap();
    }

    async fn log(&self) -> Vec<Envelope> {
        let raw = self.store.log().read_after(Position(0), 100_000).await.unwrap();
        self.store.decode(raw).await.unwrap()
    }

    async fn views(&self) -> Views {
        let views = Views::open(&self.folder.path().join("views"), &self.store).await.unwrap();
        let (stop, following) = (CancellationToken::new(), views.clone());
        tokio::spawn(async move { following.run(stop).await.unwrap() });
        views.seen(self.store.log().head(), Duration::from_mins(1)).await.unwrap();
        views
    }
}

fn kim() -> CreatorId {
    "kim".parse().unwrap()
}

fn renamed(n: usize) -> (domain::StreamName, Event) {
    let (creator, tier) = (format!("creator{}", n % 7), format!("tier{}", n % 3));
    let (creator, tier): (CreatorId, domain::TierId) =
        (creator.parse().unwrap(), tier.parse().unwrap());
    let name = format!("Tier {n}").parse().unwrap();
    let stream = tier::stream(&creator, &tier);
    let event = if n.is_multiple_of(5) {
        tier::Event::TierRegistered { creator, tier, name }
    } else {
        tier::Event::TierRenamed { creator, tier, name }
    };
    (stream, event.into())
}

#[tokio::test]
async fn events_are_found_by_name_and_time_although_a_clock_ran_backwards() {
    let desk = Desk::new().await;
    // Ten blocks of the log; the clock is set back twice, once for long.
    for part in 0..20 {
        let events = (0..500).map(|n| renamed(part * 500 + n)).collect();
        let seconds = i64::try_from(part).unwrap() * 100;
        let back = if part == 7 { 450 } else { i64::from((12..14).contains(&part)) * 1_150 };
        desk.append(events, time(seconds - back)).await;
    }
    let log = desk.log().await;
    let views = desk.views().await;
    let kinds = [None, Some("TierRegistered")];
    let creators = [None, Some("creator3")];
    let spans = [
        (None, None),
        (Some(320), None),
        (None, Some(900)),
        (Some(200), Some(210)),
        (Some(9_000), None),
    ];
    for kind in kinds {
        for creator in creators {
            for (from, to) in spans {
                let wanted = Wanted {
                    kind: kind.map(str::to_owned),
                    creator: creator.map(|creator| creator.parse().unwrap()),
                    from: from.map(time),
                    to: to.map(time),
                    ..Wanted::default()
                };
                let named = |envelope: &&Envelope| {
                    let of = format!("tier/{}/", creator.unwrap_or_default());
                    kind.is_none_or(|kind| &*envelope.kind == kind)
                        && (creator.is_none() || envelope.stream.as_str().starts_with(&of))
                };
                let timely = |envelope: &&Envelope| {
                    let at = envelope.metadata.at;
                    wanted.from.is_none_or(|from| at >= from) && wanted.to.is_none_or(|to| at < to)
                };
                let found = views.audit().find(&wanted, Direction::After(Position(0)), 100_000);
                let found = found.await.unwrap();
                let is_found =
                    |envelope: &&Envelope| found.binary_search(&envelope.position).is_ok();
                let all = log.iter().filter(named).filter(timely);
                assert!(all.clone().all(|envelope| is_found(&envelope)), "{wanted:?}");
                assert!(log.iter().filter(is_found).all(|envelope| named(&envelope)), "{wanted:?}");
                // Page by page, in both directions, it is the same.
                let (mut up, mut down) = (vec![], vec![]);
                let (mut low, mut high) = (Position(0), Position(u64::MAX));
                loop {
                    let page =
                        views.audit().find(&wanted, Direction::After(low), 700).await.unwrap();
                    let Some(last) = page.last() else { break };
                    low = *last;
                    up.extend(page);
                }
                loop {
                    let page =
                        views.audit().find(&wanted, Direction::Before(high), 700).await.unwrap();
                    let Some(last) = page.last() else { break };
                    high = *last;
                    down.extend(page);
                }
                down.reverse();
                assert_eq!((&up, &down), (&found, &found), "{wanted:?}");
            }
        }
    }
}

/// An event about access: who of three, what became of it, and how much later than the last one.
type Said = (u8, u8, i64);

fn about_access((fan, what, _): Said, guild: GuildId) -> AccessEvent {
    let holder = Holder {
        guild,
        fan: format!("fan{fan}").parse().unwrap(),
        account: Personal::Erased,
        account_key: AccountKey::new(format!("key{fan}")),
    };
    let has = what.is_multiple_of(2);
    let report = Report {
        holder: holder.clone(),
        command: 1,
        desired: Desired { present: has, roles: if has { [RoleId(10)].into() } else { [].into() } },
        given: if has { [RoleId(10)].into() } else { [].into() },
        kept: [].into(),
        present: Some(has),
        brought_in: has,
        joined_at: None,
        unseen: false,
        trouble: None,
        role: None,
        http_status: None,
        detail: None,
    };
    match what {
        0 => AccessEvent::AccessGranted(report),
        1 => AccessEvent::AccessRevoked(report),
        2 => AccessEvent::AccessChanged(report),
        3 => AccessEvent::MemberLeft { holder },
        _ => AccessEvent::DriftObserved { holder, missing: [RoleId(10)].into() },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn who_had_access_at_a_time_is_who_is_found_by_a_look_at_everything(
        said in prop::collection::vec((0u8..3, 0u8..5, -2i64..40), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (desk, guild) = (Desk::new().await, GuildId(42));
            let id = IntegrationId(Uuid::from_u128(1));
            let stream = integration::stream(id);
            let set_up = [
                integration::Event::IntegrationCreated {
                    integration: id, creator: kim(), provider: Provider::Discord, name: "Club".parse().unwrap(),
                },
                integration::Event::ServerConnected {
                    integration: id, guild: Server { id: guild, name: "Club".into(), icon: None },
                },
            ];
            desk.append(set_up.into_iter().map(|event| (stream.clone(), event.into())).collect(), time(0)).await;
            let mut now = 0;
            for one in &said {
                now += one.2;
                let event = about_access(*one, guild);
                let stream = access::stream(guild, &event.holder().fan);
                desk.append(vec![(stream, event.into())], time(now)).await;
            }
            let views = desk.views().await;
            let audit = views.audit();
            let all: Vec<_> = (1..=desk.store.log().head().0).map(Position).collect();
            let all = audit.begun(&all).await.unwrap();
            prop_assert_eq!(all.len(), said.len());
            let begins = all.iter().map(projections::audit::Interval::began);
            let times: std::collections::BTreeSet<_> = begins.chain([time(now + 60)]).collect();
            for at in times {
                for at in [at, at - TimeDelta::microseconds(1), at + TimeDelta::milliseconds(500)] {
                    let lasts = |began: DateTime<Utc>, ended: Option<DateTime<Utc>>| {
                        began <= at && ended.is_none_or(|ended| ended > at)
                    };
                    let mut expected: Vec<_> = all
                        .iter()
                        .filter(|interval| lasts(interval.began(), interval.ended()) && interval.had.is_something())
                        .cloned()
                        .collect();
                    expected.sort_by_key(|interval| (interval.fan.clone(), interval.position));
                    let found = audit.in_server(guild, at, None, 100).await.unwrap();
                    prop_assert_eq!(&found, &expected);
                    let mut of_fans = vec![];
                    for fan in 0..3 {
                        of_fans.extend(audit.of_fan_at(&format!("fan{fan}").parse().unwrap(), at).await.unwrap());
                    }
                    prop_assert_eq!(&of_fans, &expected);
                }
            }
            Ok(())
        })?;
    }
}
