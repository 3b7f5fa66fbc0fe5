//! What auditors ask: which events name whom, who had what on Discord at any time, and what was known of a fan then.
//!
//! No answer looks through the log: `mentions` finds events by whom they name, `blocks` by their time, `moments` what
//! lasted at a moment. `access` tells what was had from what the log recorded, whatever the rules are by now;
//! `retelling` hears the events of one fan again with today's rules. No personal data is kept here: it is opened from
//! the events, so that what is erased is erased here too.

mod access;
mod beside;
mod blocks;
mod follow;
mod mentions;
mod moments;
mod retelling;
mod servers;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{CreatorId, FanId, GuildId, IntegrationId};
use eventstore::Position;
use serde_json::json;
use sqlx::{AssertSqlSafe, Row};

pub(crate) use self::follow::Follow;
pub use self::{
    access::{Had, Interval, Knowledge},
    beside::AuditBeside,
    retelling::Retelling,
};
use self::{
    mentions::{Subject, block, first, read},
    moments::{micros, path},
    servers::{guild, guild_number},
};
use crate::{
    file::{Reader, number, stored},
    view::ViewError,
};

/// Which events are looked for: all that is given must be so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    pub fan: Option<FanId>,
    pub creator: Option<CreatorId>,
    pub integration: Option<IntegrationId>,
    /// An event's name.
    pub kind: Option<String>,
    /// Not before this time. What is found may be a little early, where its neighbours in the log are not.
    pub from: Option<DateTime<Utc>>,
    /// Before this time. What is found may be a little late.
    pub to: Option<DateTime<Utc>>,
}

/// Where in the log to go on, and which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    After(Position),
    Before(Position),
}

/// How many blocks are looked at at once.
const BLOCKS: i64 = 64;

impl Interval {
    pub fn began(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.began).unwrap_or_default()
    }

    /// `None` while it lasts.
    pub fn ended(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.ended?)
    }
}

/// Answers what happened, and who had which access when.
#[derive(Clone)]
pub struct Audit(pub(crate) Reader);

impl Audit {
    /// Where the events are that are wanted: upwards after a position, or downwards before one.
    pub async fn find(
        &self,
        wanted: &Wanted,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Position>, ViewError> {
        let Some((mut low, mut high)) = self.between(wanted).await? else { return Ok(vec![]) };
        match direction {
            Direction::After(after) => low = low.max(after.0.saturating_add(1)),
            Direction::Before(before) => high = high.min(before.0.saturating_sub(1)),
        }
        let subjects: Vec<String> = [
            wanted.fan.as_ref().map(Subject::Fan),
            wanted.integration.map(Subject::Integration),
            wanted.creator.as_ref().map(Subject::Creator),
            wanted.kind.as_deref().map(Subject::Type),
        ]
        .into_iter()
        .flatten()
        .map(|subject| subject.to_string())
        .collect();
        let upwards = matches!(direction, Direction::After(_));
        if subjects.is_empty() {
            let all = low..=high;
            return Ok(if upwards {
                all.take(limit).map(Position).collect()
            } else {
                all.rev().take(limit).map(Position).collect()
            });
        }
        let mut found: Vec<Position> = vec![];
        while found.len() < limit && low <= high {
            let rows = self.blocks(&subjects, (Position(low), Position(high)), upwards).await?;
            let looked = i64::try_from(rows.len()).unwrap_or(BLOCKS);
            let mut last = 0;
            for (block, positions) in rows {
                last = block;
                let within = positions.into_iter().filter(|at| (low..=high).contains(&at.0));
                found.extend(within);
            }
            if looked < BLOCKS {
                break;
            }
            if upwards {
                low = first(last + 1).0;
            } else {
                high = first(last).0.saturating_sub(1);
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// The positions that every one of some subjects has, block by block.
    async fn blocks(
        &self,
        subjects: &[String],
        (low, high): (Position, Position),
        upwards: bool,
    ) -> Result<Vec<(i64, Vec<Position>)>, ViewError> {
        // The one that names the fewest events comes first, and the others are asked for its blocks only.
        let columns: Vec<_> =
            (0..subjects.len()).map(|n| format!("m{n}.positions as p{n}")).collect();
        let also = |n| {
            format!(
                "cross join mentions as m{n} on m{n}.subject = ?{} and m{n}.block = m0.block",
                n + 4
            )
        };
        let joins: Vec<_> = (1..subjects.len()).map(also).collect();
        let (columns, joins) = (columns.join(", "), joins.join(" "));
        let order = if upwards { "asc" } else { "desc" };
        let sql = format!(
            "select m0.block, {columns} from mentions as m0 {joins}
             where m0.subject = ?4 and m0.block between ?1 and ?2 order by m0.block {order} limit ?3"
        );
        let mut query =
            sqlx::query(AssertSqlSafe(sql)).bind(block(low)).bind(block(high)).bind(BLOCKS);
        for subject in subjects {
            query = query.bind(subject);
        }
        let rows = query.fetch_all(&self.0.pool()).await?;
        Ok(rows
            .iter()
            .map(|row| {
                let block: i64 = row.get("block");
                let mut positions: Vec<_> = read(block, row.get("p0")).collect();
                for n in 1..subjects.len() {
                    let also: Vec<_> =
                        read(block, row.get::<&str, _>(format!("p{n}").as_str())).collect();
                    positions.retain(|position| also.binary_search(position).is_ok());
                }
                if !upwards {
                    positions.reverse();
                }
                (block, positions)
            })
            .collect())
    }

    /// The first and the last position that may be of a wanted time; `None` where none is.
    async fn between(&self, wanted: &Wanted) -> Result<Option<(u64, u64)>, ViewError> {
        let pool = self.0.pool();
        let head: i64 =
            sqlx::query_scalar("select position from checkpoint").fetch_one(&pool).await?;
        let (mut low, mut high) = (1, head.cast_unsigned());
        if let Some(from) = wanted.from {
            let block: Option<i64> = sqlx::query_scalar(
                "select block from blocks where high >= ?1 order by high, block limit 1",
            )
            .bind(micros(from))
            .fetch_optional(&pool)
            .await?;
            let Some(block) = block else { return Ok(None) };
            low = first(block).0.max(1);
        }
        if let Some(to) = wanted.to {
            let block: Option<i64> = sqlx::query_scalar(
                "select block from blocks where floor < ?1 order by floor desc limit 1",
            )
            .bind(micros(to))
            .fetch_optional(&pool)
            .await?;
            let Some(block) = block else { return Ok(None) };
            high = high.min(first(block + 1).0 - 1);
        }
        Ok(Some((low, high)))
    }

    /// What was had in a server at a time, or was on its way, by fan; `after` continues a list.
    pub async fn in_server(
        &self,
        server: GuildId,
        at: DateTime<Utc>,
        after: Option<(&FanId, Position)>,
        limit: u32,
    ) -> Result<Vec<Interval>, ViewError> {
        let (fan, position) = after.map_or(("", 0), |(fan, at)| (fan.as_str(), number(at)));
        let rows = sqlx::query(
            "with path (fork) as (select value from json_each(?3))
             select * from (
                 select * from access where guild = ?1 and ended is null and held = 1 and began <= ?2
                 union all
                 select access.* from path cross join access
                 where path.fork <= ?2 and access.guild = ?1 and access.fork = path.fork and ended > ?2
                 union all
                 select access.* from path cross join access
                 where path.fork > ?2 and access.guild = ?1 and access.fork = path.fork and began <= ?2
             )
             where (fan, position) > (?4, ?5) order by fan, position limit ?6",
        )
        .bind(guild_number(server))
        .bind(micros(at))
        .bind(json!(path(micros(at))).to_string())
        .bind(fan)
        .bind(position)
        .bind(limit)
        .fetch_all(&self.0.pool())
        .await?;
        rows.iter().map(Interval::read).collect()
    }

    /// How many accounts had something in a server at a time, by how it is known.
    pub async fn count_in_server(
        &self,
        server: GuildId,
        at: DateTime<Utc>,
    ) -> Result<BTreeMap<Knowledge, u64>, ViewError> {
        let rows = sqlx::query(
            "with path (fork) as (select value from json_each(?3))
             select state, count(*) as accounts from (
                 select state from access where guild = ?1 and ended is null and held = 1 and began <= ?2
                 union all
                 select state from path cross join access
                 where path.fork <= ?2 and access.guild = ?1 and access.fork = path.fork and ended > ?2
                 union all
                 select state from path cross join access
                 where path.fork > ?2 and access.guild = ?1 and access.fork = path.fork and began <= ?2
             )
             group by state",
        )
        .bind(guild_number(server))
        .bind(micros(at))
        .bind(json!(path(micros(at))).to_string())
        .fetch_all(&self.0.pool())
        .await?;
        rows.iter()
            .map(|row| {
                let accounts: i64 = row.get("accounts");
                Ok((stored(row.get("state"))?, accounts.cast_unsigned()))
            })
            .collect()
    }

    /// What a fan had at a time, or what was on its way, in every server.
    pub async fn of_fan_at(
        &self,
        fan: &FanId,
        at: DateTime<Utc>,
    ) -> Result<Vec<Interval>, ViewError> {
        let rows = sqlx::query(
            "select * from access where fan = ?1 and began <= ?2 and coalesce(ended > ?2, 1) and held = 1
             order by guild, position",
        )
        .bind(fan.as_str())
        .bind(micros(at))
        .fetch_all(&self.0.pool())
        .await?;
        rows.iter().map(Interval::read).collect()
    }

    /// The intervals that began with some of these events.
    pub async fn begun(&self, positions: &[Position]) -> Result<Vec<Interval>, ViewError> {
        let rows = sqlx::query(
            "select access.* from json_each(?1) as begun cross join access on access.position = begun.value",
        )
        .bind(json!(positions).to_string())
        .fetch_all(&self.0.pool())
        .await?;
        rows.iter().map(Interval::read).collect()
    }

    /// The server that was an integration's at a time.
    pub async fn server_at(
        &self,
        integration: IntegrationId,
        at: DateTime<Utc>,
    ) -> Result<Option<GuildId>, ViewError> {
        let server: Option<i64> = sqlx::query_scalar(
            "select guild from servers where integration = ?1 and began <= ?2 and coalesce(ended > ?2, 1)
             order by position desc limit 1",
        )
        .bind(integration.to_string())
        .bind(micros(at))
        .fetch_optional(&self.0.pool())
        .await?;
        Ok(server.map(guild))
    }

    /// The integrations whose a server was at a time.
    pub async fn integrations_at(
        &self,
        server: GuildId,
        at: DateTime<Utc>,
    ) -> Result<Vec<IntegrationId>, ViewError> {
        let ids: Vec<String> = sqlx::query_scalar(
            "select distinct integration from servers
             where guild = ?1 and began <= ?2 and coalesce(ended > ?2, 1) order by integration",
        )
        .bind(guild_number(server))
        .bind(micros(at))
        .fetch_all(&self.0.pool())
        .await?;
        ids.iter().map(|id| stored(id)).collect()
    }

    /// Every server that was ever connected, after one of them; in an order of their own.
    pub async fn servers(
        &self,
        after: Option<GuildId>,
        limit: u32,
    ) -> Result<Vec<GuildId>, ViewError> {
        let servers: Vec<i64> = sqlx::query_scalar(
            "select distinct guild from servers where guild > ?1 order by guild limit ?2",
        )
        .bind(after.map_or(i64::MIN, guild_number))
        .bind(limit)
        .fetch_all(&self.0.pool())
        .await?;
        Ok(servers.into_iter().map(guild).collect())
    }

    /// Which server an integration had when, oldest first: from when, and until when where it has ended.
    pub async fn servers_of(
        &self,
        integration: IntegrationId,
    ) -> Result<Vec<(GuildId, DateTime<Utc>, Option<DateTime<Utc>>)>, ViewError> {
        let rows = sqlx::query(
            "select guild, began, ended from servers where integration = ?1 order by position",
        )
        .bind(integration.to_string())
        .fetch_all(&self.0.pool())
        .await?;
        let time = |micros| DateTime::from_timestamp_micros(micros).unwrap_or_default();
        Ok(rows
            .iter()
            .map(|row| {
                let ended: Option<i64> = row.get("ended");
                (guild(row.get("guild")), time(row.get("began")), ended.map(time))
            })
            .collect())
    }

    /// The names of all events that there ever were.
    pub async fn types(&self) -> Result<Vec<String>, ViewError> {
        // From one name to the next, however many events there are of each.
        let types = sqlx::query_scalar(
            "with recursive types (subject) as (
                 select min(subject) from mentions where subject > 'type/' and subject < 'type0'
                 union all
                 select (select min(subject) from mentions where subject > types.subject and subject < 'type0')
                 from types where subject is not null
             )
             select substr(subject, 6) from types where subject is not null",
        )
        .fetch_all(&self.0.pool())
        .await?;
        Ok(types)
    }

    /// All integrations that there ever were, by id, with their creators.
    pub async fn integrations(
        &self,
        after: Option<IntegrationId>,
        limit: u32,
    ) -> Result<Vec<(IntegrationId, CreatorId)>, ViewError> {
        let rows = sqlx::query(
            "select integration, creator from integrations where integration > ?1 order by integration limit ?2",
        )
        .bind(after.map(|id| id.to_string()).unwrap_or_default())
        .bind(limit)
        .fetch_all(&self.0.pool())
        .await?;
        rows.iter()
            .map(|row| Ok((stored(row.get("integration"))?, stored(row.get("creator"))?)))
            .collect()
    }

    /// Whose an integration is, or was.
    pub async fn creator(&self, id: IntegrationId) -> Result<Option<CreatorId>, ViewError> {
        let creator: Option<String> =
            sqlx::query_scalar("select creator from integrations where integration = ?1")
                .bind(id.to_string())
                .fetch_optional(&self.0.pool())
                .await?;
        creator.map(|creator| stored(&creator)).transpose()
    }

    /// All integrations that a creator has or had.
    pub async fn integrations_of(
        &self,
        creator: &CreatorId,
    ) -> Result<Vec<IntegrationId>, ViewError> {
        let ids: Vec<String> = sqlx::query_scalar(
            "select integration from integrations where creator = ?1 order by integration",
        )
        .bind(creator.as_str())
        .fetch_all(&self.0.pool())
        .await?;
        ids.iter().map(|id| stored(id)).collect()
    }
}
