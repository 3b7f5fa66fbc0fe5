//! The auditor's answers: who had what when, why, and what happened. Routes, pages and the command line ask here, so
//! that all three say the same.

mod access;
mod events;
mod explain;
mod history;
mod names;
mod shapes;
mod words;

use chrono::{DateTime, Utc};
use domain::{CreatorId, FanId, hold, integration};
use eventstore::{Envelope, Position, Store, StoreError};
use projections::{
    Audit, ViewError,
    audit::{Direction, Wanted},
};

pub use self::{
    access::{AccessAt, Asked, access},
    explain::{Explanation, explain},
};
pub(crate) use self::{
    events::{Told, event, events},
    explain::{Step, StepKind},
    history::{Change, Course, Of, course, history},
    shapes::{HadShape, PersonalData, RoleShape},
};
use crate::error::{ApiError, Kind};

/// Why an auditor gets no answer.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(
        "no integration has this id; `GET /v1/audit/events?type=IntegrationCreated` lists all that there ever were"
    )]
    UnknownIntegration,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    View(#[from] ViewError),
}

impl From<AuditError> for ApiError {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::UnknownIntegration => Self::new(Kind::NOT_FOUND, error.to_string()),
            AuditError::Store(error) => error.into(),
            AuditError::View(error) => error.into(),
        }
    }
}

/// How many events are found and read at once.
const READ: usize = 1_000;

/// Every event that names a fan up to a time, every event of some creators' integrations, and what became of mass
/// removals there; in the log's order.
async fn of_fan(
    store: &Store,
    audit: &Audit,
    fan: &FanId,
    creators: Option<&[CreatorId]>,
    at: Option<DateTime<Utc>>,
) -> Result<Vec<Envelope>, AuditError> {
    let mut told =
        all(store, audit, &Wanted { fan: Some(fan.clone()), ..Wanted::default() }).await?;
    for creator in creators.map_or_else(|| creators_of(&told), <[CreatorId]>::to_vec) {
        for kind in hold::Event::NAMES {
            let (creator, kind) = (Some(creator.clone()), Some(kind.to_owned()));
            told.extend(all(store, audit, &Wanted { creator, kind, ..Wanted::default() }).await?);
        }
        for id in audit.integrations_of(&creator).await? {
            let own = store.log().read_stream(&integration::stream(id), 0).await?;
            told.extend(store.decode(own).await?);
        }
    }
    told.retain(|envelope| at.is_none_or(|at| envelope.metadata.at <= at));
    told.sort_unstable_by_key(|envelope| envelope.position);
    Ok(told)
}

/// All events that are wanted, in the log's order.
async fn all(store: &Store, audit: &Audit, wanted: &Wanted) -> Result<Vec<Envelope>, AuditError> {
    let (mut told, mut last): (Vec<Envelope>, _) = (vec![], Position(0));
    loop {
        let found = audit.find(wanted, Direction::After(last), READ).await?;
        let Some(end) = found.last() else { return Ok(told) };
        last = *end;
        told.extend(store.decode(store.log().read_at(&found).await?).await?);
    }
}

/// The creators whose tiers a fan's events name, or who gave them something by hand.
fn creators_of(told: &[Envelope]) -> Vec<CreatorId> {
    use domain::{Event, fan::Event as FanEvent};

    let creators = told.iter().filter_map(|envelope| match &envelope.event {
        Event::Membership(event) => Some(event.terms().creator.clone()),
        Event::Fan(FanEvent::ManualGrantGiven(grant)) => Some(grant.creator.clone()),
        Event::Fan(_)
        | Event::Tier(_)
        | Event::Integration(_)
        | Event::Guild(_)
        | Event::DiscordAccount(_)
        | Event::Access(_)
        | Event::Hold(_)
        | Event::Creator(_) => None,
    });
    let mut creators: Vec<_> = creators.collect();
    creators.sort_unstable();
    creators.dedup();
    creators
}
