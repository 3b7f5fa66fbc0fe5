//! Who is told what: one notice for each cause, however many fans it concerns, until it is mended.
//!
//! Everything that is the matter is counted under whom it concerns and why. Where a count leaves zero somebody is told;
//! where it comes back to zero the notice is resolved, and the next time is news again.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::{
    CreatorId, FanId, IntegrationId, RoleId, Trouble, Who, integration::State as Integration,
    status::Status, trouble::Matter,
};
use eventstore::{Envelope, Position};
use serde_json::{Value, json};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use uuid::Uuid;

use super::{FanAccess, FanRow};
use crate::{
    file::{number, stored},
    rows,
    view::{Change, Topic, ViewError},
};

/// Something that a creator or a fan is told because they can do something about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub id: Uuid,
    /// Where it is; missing where it is about the fan's Discord account.
    pub integration: Option<IntegrationId>,
    pub trouble: Trouble,
    pub role: Option<RoleId>,
    pub at: DateTime<Utc>,
    pub position: Position,
    /// When it was mended.
    pub resolved_at: Option<DateTime<Utc>>,
    pub read: bool,
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Audience {
    Creator(CreatorId),
    Fan(FanId),
}

impl std::fmt::Display for Audience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Creator(creator) => write!(f, "creator:{creator}"),
            Self::Fan(fan) => write!(f, "fan:{fan}"),
        }
    }
}

impl FanAccess {
    /// What somebody was told, newest first; `before` continues a list from the last one of its page.
    pub async fn notices(
        &self,
        audience: &Audience,
        before: Option<(Position, Uuid)>,
        limit: u32,
    ) -> Result<Vec<Notice>, ViewError> {
        let (position, id) =
            before.map_or((i64::MAX, String::new()), |(p, id)| (number(p), id.to_string()));
        let rows = sqlx::query(
            "select * from notices where audience = ?1 and (position, id) < (?2, ?3)
             order by position desc, id desc limit ?4",
        )
        .bind(audience.to_string())
        .bind(position)
        .bind(id)
        .bind(limit)
        .fetch_all(&self.0.pool())
        .await?;
        rows.iter().map(notice).collect()
    }

    /// Whether somebody was told this.
    pub async fn was_told(&self, audience: &Audience, id: Uuid) -> Result<bool, ViewError> {
        Ok(sqlx::query_scalar(
            "select exists (select 1 from notices where id = ?1 and audience = ?2)",
        )
        .bind(id.to_string())
        .bind(audience.to_string())
        .fetch_one(&self.0.pool())
        .await?)
    }
}

fn notice(row: &SqliteRow) -> Result<Notice, ViewError> {
    let text = |column: &str| Some(row.get::<&str, _>(column)).filter(|text| !text.is_empty());
    let position: i64 = row.get("position");
    let resolved: Option<i64> = row.get("resolved_at");
    Ok(Notice {
        id: stored(row.get("id"))?,
        integration: text("integration").map(stored).transpose()?,
        trouble: stored(row.get("trouble"))?,
        role: text("role").map(stored).transpose()?,
        at: DateTime::from_timestamp_micros(row.get("at")).unwrap_or_default(),
        position: Position(position.cast_unsigned()),
        resolved_at: resolved.and_then(DateTime::from_timestamp_micros),
        read: row.get("read"),
    })
}

/// A cause: the same for everybody whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cause {
    audience: Audience,
    integration: Option<IntegrationId>,
    trouble: Trouble,
    role: Option<RoleId>,
}

impl Cause {
    fn of_creator(creator: &CreatorId, id: IntegrationId, (trouble, role): Matter) -> Self {
        Self {
            audience: Audience::Creator(creator.clone()),
            integration: Some(id),
            trouble,
            role: role.filter(|_| !trouble.is_of_server()),
        }
    }

    /// Whom a fan's row gives something to do, if anybody. What a creator decided by hand is no news to them.
    pub(super) fn of_fan(row: &FanRow, creator: &CreatorId) -> Option<Self> {
        let (trouble, role) = row.trouble?;
        match (row.status, trouble) {
            (_, Trouble::Withheld | Trouble::RemovalRejected) => None,
            (Status::ActionRequired, _) if trouble.who() == Who::Fan => Some(Self {
                audience: Audience::Fan(row.fan.clone()),
                integration: Some(row.integration).filter(|_| !trouble.is_of_account()),
                trouble,
                role: None,
            }),
            _ => Some(Self::of_creator(creator, row.integration, (trouble, role))),
        }
    }

    /// What is the matter with an integration's server.
    pub(super) fn of_server(
        id: IntegrationId,
        creator: &CreatorId,
        state: &Integration,
    ) -> BTreeSet<Self> {
        let troubles = state.troubles().into_iter();
        troubles.map(|matter| Self::of_creator(creator, id, matter)).collect()
    }

    fn columns(&self) -> [String; 4] {
        [
            self.audience.to_string(),
            self.integration.map(|id| id.to_string()).unwrap_or_default(),
            self.trouble.code().to_owned(),
            self.role.map(|role| role.to_string()).unwrap_or_default(),
        ]
    }
}

/// The event that is being applied.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moment {
    position: Position,
    id: Uuid,
    at: i64,
}

impl Moment {
    pub(super) fn of(envelope: &Envelope) -> Self {
        let at = envelope.metadata.at.timestamp_micros();
        Self { position: envelope.position, id: envelope.id, at }
    }
}

/// What came and went since the last flush, in the order of the log.
#[derive(Debug, Default)]
pub(super) struct Notices {
    now: Moment,
    /// By how much the counts changed with each event.
    counted: Vec<(Moment, BTreeMap<Cause, i64>)>,
    read: Vec<Uuid>,
}

impl Notices {
    pub(super) fn begin(&mut self, now: Moment) {
        self.now = now;
    }

    pub(super) fn read(&mut self, notice: Uuid) {
        self.read.push(notice);
    }

    /// A cause is the matter `by` times more than before.
    pub(super) fn count(&mut self, cause: Cause, by: i64) {
        let same = self.counted.last().is_some_and(|(now, _)| now.position == self.now.position);
        if !same {
            self.counted.push((self.now, BTreeMap::new()));
        }
        if let Some((_, causes)) = self.counted.last_mut() {
            *causes.entry(cause).or_default() += by;
        }
    }

    /// Tells and resolves what the counts since the last flush come to.
    pub(super) async fn flush(
        &mut self,
        db: &mut SqliteConnection,
        changes: &mut Vec<Change>,
    ) -> Result<(), ViewError> {
        let counted = std::mem::take(&mut self.counted);
        if !counted.is_empty() {
            let causes: BTreeSet<&Cause> =
                counted.iter().flat_map(|(_, causes)| causes.keys()).collect();
            let mut known = load(db, causes).await?;
            let (mut told, mut resolved) = (vec![], vec![]);
            for (now, causes) in counted {
                for (cause, by) in causes {
                    let columns = cause.columns();
                    let (times, notice) = known.entry(columns.clone()).or_default();
                    let before = std::mem::replace(times, *times + by);
                    let key = cause.audience.to_string();
                    if before == 0 && *times > 0 {
                        *notice = Uuid::new_v5(&now.id, columns.join("/").as_bytes());
                        let [audience, integration, trouble, role] = columns;
                        told.push(json!([
                            notice,
                            audience,
                            integration,
                            trouble,
                            role,
                            now.position,
                            now.at,
                            0
                        ]));
                    } else if before > 0 && *times == 0 {
                        resolved.push(json!([notice, now.at]));
                    } else {
                        continue;
                    }
                    changes.push(Change::new(Topic::Notifications, key, now.position));
                }
            }
            write(db, known, told, resolved).await?;
        }
        let read = self.read.drain(..).map(|id| json!(id)).collect();
        let sql = "update notices set read = 1 where id in (select value from json_each(?1))";
        Ok(rows::write(db, sql, read).await?)
    }
}

/// How often each cause is the matter, and under which notice.
type Counts = BTreeMap<[String; 4], (i64, Uuid)>;

async fn load(db: &mut SqliteConnection, causes: BTreeSet<&Cause>) -> Result<Counts, ViewError> {
    let wanted: Vec<_> = causes.into_iter().map(Cause::columns).collect();
    let found = sqlx::query(
        "select audience, integration, trouble, role, times, notice from json_each(?1)
         join troubles on audience = value ->> 0 and integration = value ->> 1
             and trouble = value ->> 2 and role = value ->> 3",
    )
    .bind(json!(wanted).to_string())
    .fetch_all(db)
    .await?;
    found
        .iter()
        .map(|row| {
            let columns = ["audience", "integration", "trouble", "role"].map(|name| row.get(name));
            Ok((columns, (row.get("times"), stored(row.get("notice"))?)))
        })
        .collect()
}

async fn write(
    db: &mut SqliteConnection,
    counts: Counts,
    told: Vec<Value>,
    resolved: Vec<Value>,
) -> Result<(), ViewError> {
    let (some, none): (Vec<_>, Vec<_>) = counts.into_iter().partition(|(_, (times, _))| *times > 0);
    rows::write(
        db,
        "delete from troubles where (audience, integration, trouble, role)
             in (select value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each(?1))",
        none.into_iter().map(|(columns, _)| json!(columns)).collect(),
    )
    .await?;
    let row = |(columns, (times, notice)): ([String; 4], (i64, Uuid))| {
        let [audience, integration, trouble, role] = columns;
        json!([audience, integration, trouble, role, times, notice])
    };
    rows::insert(
        db,
        "troubles (audience, integration, trouble, role, times, notice)",
        "on conflict (audience, integration, trouble, role) do update
         set times = excluded.times, notice = excluded.notice",
        some.into_iter().map(row).collect(),
    )
    .await?;
    rows::insert(
        db,
        "notices (id, audience, integration, trouble, role, position, at, read)",
        // Told, mended and told again by one event: it is the same notice.
        "on conflict (id) do update set resolved_at = null",
        told,
    )
    .await?;
    rows::write(
        db,
        "update notices set resolved_at = value ->> 1 from json_each(?1) where notices.id = value ->> 0",
        resolved,
    )
    .await?;
    Ok(())
}
