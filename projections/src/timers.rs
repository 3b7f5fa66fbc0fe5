//! Which memberships end by themselves, and when.

use std::{collections::BTreeMap, sync::Arc};

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

/// The view's questions.
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

    /// The memberships whose paid period had ended at `until`, with no word about a renewal.
    pub async fn lapses(&self, until: DateTime<Utc>) -> Result<Vec<MembershipId>, ViewError> {
        let rows: Vec<String> = sqlx::query_scalar(
            "select membership from timers where status = 'active' and ends_at <= ?1",
        )
        .bind(until.timestamp_micros())
        .fetch_all(&self.0.pool())
        .await?;
        rows.iter().map(|membership| stored(membership)).collect()
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

    /// When the next membership ends, whether that has passed or not.
    pub async fn next(&self, grace: TimeDelta) -> Result<Option<DateTime<Utc>>, ViewError> {
        let due: Option<i64> = sqlx::query_scalar(
            "select min(due) from (
                 select min(ends_at) as due from timers where status = 'canceled'
                 union all
                 select min(ends_at) + ?1 from timers where status = 'active'
             )",
        )
        .bind(grace.num_microseconds().unwrap_or(i64::MAX))
        .fetch_one(&self.0.pool())
        .await?;
        Ok(due.and_then(DateTime::from_timestamp_micros))
    }
}

pub(crate) enum Follow {}

impl Projection for Follow {
    const NAME: &'static str = "timers";
    const VERSION: u32 = 2;
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
                    terms.version,
                    terms.status.as_str(),
                    ends_at.timestamp_micros()
                ])),
                None => unset.push(json!(membership)),
            }
        }
        rows::write(
            db,
            "insert into timers (membership, version, status, ends_at)
             select value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each(?1) where true
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
