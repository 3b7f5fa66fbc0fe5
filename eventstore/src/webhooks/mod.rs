//! Webhook endpoints of the platform, and what each was told or is yet to be told.
//!
//! The cursor moves once everything up to it is stored, under ids that stay: a crash tells nothing twice under two names
//! and forgets nothing.
//!
//! `endpoints` has the endpoints and their secrets, `deliveries` what they are told.

mod deliveries;
mod endpoints;

use chrono::{DateTime, TimeDelta, Utc};
use domain::FanId;
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};
use uuid::Uuid;

use crate::{metadata::Position, vault::Vault};

/// How long a secret goes on signing after another has taken its place.
pub const OLD_SECRET: TimeDelta = TimeDelta::hours(24);

/// Why an endpoint is told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledBy {
    Hand,
    /// It answered 410.
    Gone,
    /// A message was tried in vain as often as there are tries, and nothing was taken meanwhile.
    Failures,
}

impl DisabledBy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hand => "hand",
            Self::Gone => "gone",
            Self::Failures => "failures",
        }
    }
}

/// Where the platform is told what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub id: Uuid,
    pub url: String,
    pub description: String,
    /// The types that it is told; all of them where there is none.
    pub types: Vec<String>,
    pub created_at: DateTime<Utc>,
    /// It is told what came after this.
    pub since: Position,
    pub disabled: Option<(DateTime<Utc>, DisabledBy)>,
}

/// What is changed of an endpoint: what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct EndpointChange {
    pub url: Option<String>,
    pub description: Option<String>,
    pub types: Option<Vec<String>>,
    pub enabled: Option<bool>,
}

impl Endpoint {
    pub fn wants(&self, kind: &str) -> bool {
        self.disabled.is_none()
            && (self.types.is_empty() || self.types.iter().any(|wanted| wanted == kind))
    }
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    Waiting,
    Delivered,
    Failed,
}

impl DeliveryState {
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Failed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// A message for an endpoint, before it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same whenever the same is told: what was told already is not told again.
    pub id: Uuid,
    pub endpoint: Uuid,
    pub position: Position,
    pub fan: Option<FanId>,
    pub kind: &'static str,
    pub body: String,
}

/// A message and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub id: Uuid,
    pub endpoint: Uuid,
    pub position: Position,
    pub fan: Option<String>,
    pub kind: String,
    pub body: String,
    pub state: DeliveryState,
    pub attempts: u32,
    /// When it is tried next, while it waits.
    pub next_at: Option<DateTime<Utc>>,
    pub http_status: Option<u16>,
    pub problem: Option<String>,
    pub created_at: DateTime<Utc>,
    pub done_at: Option<DateTime<Utc>>,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    pub state: DeliveryState,
    pub next_at: Option<DateTime<Utc>>,
    pub http_status: Option<u16>,
    pub problem: Option<String>,
}

/// Reads and writes endpoints and their deliveries.
pub struct Webhooks<'a> {
    pub(crate) db: &'a SqlitePool,
    pub(crate) vault: &'a Vault,
}

fn time(row: &SqliteRow, column: &str) -> Option<DateTime<Utc>> {
    row.get::<Option<i64>, _>(column).and_then(DateTime::from_timestamp_micros)
}
