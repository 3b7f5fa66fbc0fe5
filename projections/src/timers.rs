//! Which memberships end by themselves, and when.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Event, FanId, IntegrationId, MembershipId,
    fan::Event as FanEvent,
    membership::{Status, Terms},
};
use eventstore::Envelope;
use serde_json::json;
use sqlx::{Row, SqliteConnection};

use crate::{
    file::{Reader, stored},
    rows::{self, Rows},
    view::{Change, Projection, ViewError},
};

/// A membership whose end has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub membership: MembershipId,
    /// The version of the terms that end.
    pub version: u64,
    pub at: DateTime<Utc>,
    /// Whether it is a paid period that ran out with no word about a renewal, and not an end that was told before.
    pub lapse: bool,
}

/// Answers what ends when.
#[derive(Clone)]
pub struct Timers(pub(crate) Reader);

impl Timers {
    /// The memberships whose end has come at `now`, earliest first.
    pub async fn due(
        &self,
        now: DateTime<Utc>,
        grace: TimeDelta,
        limit: u32,
    ) -> Result<Vec<Due>, ViewError> {
        let rows = sqlx::query(
            "select * from (
                 select membership, version, ends_at as due, false as lapse from timers
                 where status = 'canceled' and ends_at <= ?1
                 union all
                 select membership, version, ends_at + ?2, true from timers
                 where status = 'active' and ends_at <= ?1 - ?2
             ) order by due, membership limit ?3",
        )
        .bind(now.timestamp_micros())
        .bind(grace.num_microseconds().unwrap_or(i64::MAX))
        .bind(limit)
        .fetch_all(&self.0.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                let version: i64 = row.get("version");
                Ok(Due {
                    membership: stored(row.get("membership"))?,
                    version: version.cast_unsigned(),
                    at: DateTime::from_timestamp_micros(row.get("due")).unwrap_or_default(),
                    lapse: row.get("lapse"),
                })
            })
            .collect()
    }

    /// The next fans by id who hold memberships whose paid period had ended at `until`, with no word about a renewal.
    pub async fn lapses(
        &self,
        until: DateTime<Utc>,
        after: Option<&FanId>,
        fans: u32,
    ) -> Result<BTreeMap<FanId, BTreeSet<MembershipId>>, ViewError> {
        // By itself SQLite looks at all that have ended for every page of them.
        let rows = sqlx::query(
            "with lapsed as (
                 select distinct fan from timers indexed by timers_by_fan
                 where fan > ?2 and status = 'active' and ends_at <= ?1 order by fan limit ?3
             )
             select timers.fan, membership from lapsed cross join timers on timers.fan = lapsed.fan
             where status = 'active' and ends_at <= ?1",
        )
        .bind(until.timestamp_micros())
        .bind(after.map_or("", FanId::as_str))
        .bind(fans)
        .fetch_all(&self.0.pool())
        .await?;
        let mut lapses: BTreeMap<FanId, BTreeSet<MembershipId>> = BTreeMap::new();
        for row in &rows {
            let membership = stored(row.get("membership"))?;
            lapses.entry(stored(row.get("fan"))?).or_default().insert(membership);
        }
        Ok(lapses)
    }

    /// What was given by hand and has ended at `now`, earliest first.
    pub async fn ended_grants(
        &self,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<(FanId, IntegrationId)>, ViewError> {
        let rows = sqlx::query(
            "select fan, integration from grants where until <= ?1 order by until, fan, integration limit ?2",
        )
        .bind(now.timestamp_micros())
        .bind(limit)
        .fetch_all(&self.0.pool())
        .await?;
        rows.iter()
            .map(|row| Ok((stored(row.get("fan"))?, stored(row.get("integration"))?)))
            .collect()
    }
}

pub(crate) enum Follow {}

impl Projection for Follow {
    const NAME: &'static str = "timers";
    const VERSION: u32 = 3;
    const SCHEMA: &'static str = include_str!("timers.sql");

    async fn apply(
        db: &mut SqliteConnection,
        run: &[Arc<Envelope>],
    ) -> Result<Vec<Change>, ViewError> {
        // Every event carries the whole of a membership's terms, so only the last of each counts.
        let mut timers: Rows<MembershipId, Terms> = Rows::new();
        let mut grants: BTreeMap<(FanId, IntegrationId), Option<DateTime<Utc>>> = BTreeMap::new();
        for envelope in run {
            match &envelope.event {
                Event::Membership(event) => {
                    let terms = event.terms();
                    let ends = event.is_live()
                        && matches!(terms.status, Status::Active | Status::Canceled);
                    if ends && terms.ends_at.is_some() {
                        timers.set(terms.membership.clone(), terms.clone());
                    } else {
                        timers.remove(terms.membership.clone());
                    }
                }
                Event::Fan(FanEvent::ManualGrantGiven(grant)) => {
                    grants.insert((grant.fan.clone(), grant.integration), grant.until);
                }
                Event::Fan(FanEvent::ManualGrantEnded { fan, integration }) => {
                    grants.insert((fan.clone(), *integration), None);
                }
                Event::Tier(_)
                | Event::Integration(_)
                | Event::Guild(_)
                | Event::Fan(_)
                | Event::DiscordAccount(_)
                | Event::Access(_)
                | Event::Hold(_)
                | Event::Creator(_) => {}
            }
        }
        let (mut set, mut unset) = (vec![], vec![]);
        for (membership, terms) in timers.take_changes() {
            match terms.and_then(|terms| Some((terms, terms.ends_at?))) {
                Some((terms, ends_at)) => set.push(json!([
                    membership,
                    terms.fan,
                    terms.version,
                    terms.status.as_str(),
                    ends_at.timestamp_micros()
                ])),
                None => unset.push(json!(membership)),
            }
        }
        rows::write(
            db,
            "insert into timers (membership, fan, version, status, ends_at)
             select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 from json_each(?1) where true
             on conflict (membership) do update
             set version = excluded.version, status = excluded.status, ends_at = excluded.ends_at",
            set,
        )
        .await?;
        rows::write(
            db,
            "delete from timers where membership in (select value from json_each(?1))",
            unset,
        )
        .await?;
        let (mut set, mut unset) = (vec![], vec![]);
        for ((fan, integration), until) in grants {
            match until {
                Some(until) => set.push(json!([fan, integration, until.timestamp_micros()])),
                None => unset.push(json!([fan, integration])),
            }
        }
        rows::write(
            db,
            "insert into grants (fan, integration, until)
             select value ->> 0, value ->> 1, value ->> 2 from json_each(?1) where true
             on conflict (fan, integration) do update set until = excluded.until",
            set,
        )
        .await?;
        rows::write(
            db,
            "delete from grants where (fan, integration) in (select value ->> 0, value ->> 1 from json_each(?1))",
            unset,
        )
        .await?;
        Ok(vec![])
    }
}

#[cfg(test)]
mod tests {
    use domain::membership::Event as MembershipEvent;
    use eventstore::{Actor, Metadata, Position};
    use uuid::Uuid;

    use super::*;
    use crate::file::Generation;

    fn purchased(
        position: u64,
        membership: &str,
        fan: &str,
        ends_at: DateTime<Utc>,
    ) -> Arc<Envelope> {
        let terms = Terms {
            membership: membership.parse().unwrap(),
            fan: fan.parse().unwrap(),
            creator: "kim".parse().unwrap(),
            tier: "gold".parse().unwrap(),
            status: Status::Active,
            ends_at: Some(ends_at),
            version: 1,
        };
        let metadata = Metadata { at: ends_at, actor: Actor::Platform, correlation: Uuid::nil() };
        Arc::new(Envelope {
            position: Position(position),
            id: Uuid::nil(),
            stream: domain::membership::stream(&terms.membership),
            version: 1,
            kind: "MembershipPurchased".into(),
            metadata,
            event: Event::Membership(MembershipEvent::MembershipPurchased(terms)),
        })
    }

    #[tokio::test]
    async fn lapses_come_fan_by_fan_with_all_that_each_of_them_held() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("timers");
        let mut generation = Generation::create::<Follow>(path).await.unwrap();
        let (early, late) = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::days(9));
        let run = [
            purchased(1, "m1", "ada", early),
            purchased(2, "m2", "ben", early),
            purchased(3, "m3", "ada", early),
            purchased(4, "m4", "ada", late),
            purchased(5, "m5", "cleo", late),
        ];
        generation.apply::<Follow>(&run).await.unwrap();
        generation.finish().await.unwrap();
        let timers = Timers(Reader::new(generation.readers()));

        let (mut pages, mut after): (Vec<String>, Option<FanId>) = (vec![], None);
        loop {
            let page = timers.lapses(early, after.as_ref(), 1).await.unwrap();
            let Some((fan, held)) = page.into_iter().next() else { break };
            let held: Vec<_> = held.iter().map(MembershipId::as_str).collect();
            pages.push(format!("{fan}: {}", held.join(" ")));
            after = Some(fan);
        }
        assert_eq!(pages, ["ada: m1 m3", "ben: m2"]);
    }
}
