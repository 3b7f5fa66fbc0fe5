//! Removals that wait for a person: one decision that would take access from very many fans at once is more often a
//! mistake (an empty snapshot, an outage of the platform, a tier that was mapped wrongly) than what anybody meant.
//!
//! A hold is opened in the log before what it holds, under the same correlation. So it covers the first fan as well as
//! the last, and whoever reads the log from the beginning comes to the same rows.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Decider, Event as AnyEvent, StreamName,
    ids::{CreatorId, HoldId, IntegrationId},
};

pub fn stream(hold: HoldId) -> StreamName {
    StreamName::new(Hold::CATEGORY, hold)
}

pub enum Hold {}

/// What would have taken the access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HoldCause)]
pub enum Cause {
    /// Memberships that were imported together.
    Import,
    /// Tiers that were detached or give other roles.
    Attachments,
    /// Fans whose membership is over are to be removed from the server after all.
    RemovalPolicy,
    /// Paid periods that ran out together, with no word about a renewal.
    Lapses,
}

impl Cause {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Attachments => "attachments",
            Self::RemovalPolicy => "removal_policy",
            Self::Lapses => "lapses",
        }
    }
}

/// How many fans of an integration one decision may take access from: up to so many, and up to such a share of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RemovalLimit {
    pub fans: u32,
    /// Of the fans who have access; 100 sets no share.
    pub percent: u8,
}

impl Default for RemovalLimit {
    fn default() -> Self {
        Self { fans: 500, percent: 20 }
    }
}

impl RemovalLimit {
    /// Fewer fans than this are no share of anything: two of three may well leave together.
    pub const FEW: u64 = 10;

    /// Whether taking access from `losing` of the `all` fans who have it through an integration is over the limit.
    pub fn is_exceeded(self, losing: u64, all: u64) -> bool {
        let share = losing >= Self::FEW && losing * 100 > u64::from(self.percent) * all;
        losing > u64::from(self.fans) || share
    }
}

/// What is held, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub hold: HoldId,
    pub creator: CreatorId,
    pub integration: IntegrationId,
    pub cause: Cause,
    /// How many fans would lose something, as it was counted before.
    pub losing: u64,
    /// Of how many who have access.
    pub of: u64,
    pub limit: RemovalLimit,
    /// Of lapses: the paid periods that had ended by then. Everything else is held by its correlation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    RemovalsHeld(Held),
    RemovalsApproved { hold: HoldId, creator: CreatorId, integration: IntegrationId },
    RemovalsRejected { hold: HoldId, creator: CreatorId, integration: IntegrationId },
}

impl Event {
    /// The names of these events in the log.
    pub const NAMES: [&str; 3] = ["RemovalsHeld", "RemovalsApproved", "RemovalsRejected"];

    pub fn hold(&self) -> HoldId {
        match self {
            Self::RemovalsHeld(held) => held.hold,
            Self::RemovalsApproved { hold, .. } | Self::RemovalsRejected { hold, .. } => *hold,
        }
    }

    pub fn creator(&self) -> &CreatorId {
        match self {
            Self::RemovalsHeld(held) => &held.creator,
            Self::RemovalsApproved { creator, .. } | Self::RemovalsRejected { creator, .. } => {
                creator
            }
        }
    }

    pub fn integration(&self) -> IntegrationId {
        match self {
            Self::RemovalsHeld(held) => held.integration,
            Self::RemovalsApproved { integration, .. }
            | Self::RemovalsRejected { integration, .. } => *integration,
        }
    }
}

#[derive(Debug, Clone)]
pub enum Command {
    Open(Held),
    /// The access is taken away.
    Approve,
    /// The access stays, until the platform or the creator says something new about it.
    Reject,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no such hold")]
    Unknown,
    #[error(
        "this removal was approved already; whoever is to have access again needs a membership, or roles given by hand"
    )]
    Approved,
    #[error(
        "this removal was rejected already; report the memberships again, change the tiers again, or withhold access by hand"
    )]
    Rejected,
}

#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    #[default]
    Waiting,
    Approved,
    Rejected,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub held: Option<Held>,
    pub status: Status,
}

impl Decider for Hold {
    const CATEGORY: &'static str = "hold";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Refusal> {
        if let Command::Open(held) = command {
            let known = state.held.is_some();
            return Ok(if known { vec![] } else { vec![Event::RemovalsHeld(held)] });
        }
        let Some(Held { hold, creator, integration, .. }) = state.held.clone() else {
            return Err(Refusal::Unknown);
        };
        match (command, state.status) {
            (Command::Approve, Status::Waiting) => {
                Ok(vec![Event::RemovalsApproved { hold, creator, integration }])
            }
            (Command::Reject, Status::Waiting) => {
                Ok(vec![Event::RemovalsRejected { hold, creator, integration }])
            }
            (Command::Approve, Status::Rejected) => Err(Refusal::Rejected),
            (Command::Reject, Status::Approved) => Err(Refusal::Approved),
            (Command::Open(_), _)
            | (Command::Approve, Status::Approved)
            | (Command::Reject, Status::Rejected) => Ok(vec![]),
        }
    }

    fn evolve(state: &mut State, event: &Event) {
        match event {
            Event::RemovalsHeld(held) => state.held = Some(held.clone()),
            Event::RemovalsApproved { .. } => state.status = Status::Approved,
            Event::RemovalsRejected { .. } => state.status = Status::Rejected,
        }
    }

    fn own(event: AnyEvent) -> Option<Event> {
        if let AnyEvent::Hold(event) = event { Some(event) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::{Event::*, *};
    use crate::decider::story::given;

    fn held() -> Held {
        Held {
            hold: HoldId(Uuid::from_u128(1)),
            creator: "kim".parse().unwrap(),
            integration: IntegrationId(Uuid::from_u128(2)),
            cause: Cause::Import,
            losing: 60,
            of: 100,
            limit: RemovalLimit::default(),
            until: None,
        }
    }

    fn approved() -> Event {
        let Held { hold, creator, integration, .. } = held();
        RemovalsApproved { hold, creator, integration }
    }

    fn rejected() -> Event {
        let Held { hold, creator, integration, .. } = held();
        RemovalsRejected { hold, creator, integration }
    }

    #[test]
    fn a_hold_is_opened_once_and_decided_once() {
        given::<Hold>([]).when(Command::Open(held())).then([RemovalsHeld(held())]);
        given::<Hold>([RemovalsHeld(held())]).when(Command::Open(held())).then_nothing();
        given::<Hold>([RemovalsHeld(held())]).when(Command::Approve).then([approved()]);
        given::<Hold>([RemovalsHeld(held())]).when(Command::Reject).then([rejected()]);
    }

    #[test]
    fn saying_it_again_is_no_news_and_the_opposite_is_refused() {
        let approved = given::<Hold>([RemovalsHeld(held()), approved()]);
        approved.when(Command::Approve).then_nothing();
        approved.when(Command::Reject).refused(Refusal::Approved);
        let rejected = given::<Hold>([RemovalsHeld(held()), rejected()]);
        rejected.when(Command::Reject).then_nothing();
        rejected.when(Command::Approve).refused(Refusal::Rejected);
    }

    #[test]
    fn the_names_are_those_in_the_log() {
        let events = [RemovalsHeld(held()), approved(), rejected()];
        let names = events.map(|event| AnyEvent::from(event).encode().unwrap().kind);
        assert_eq!(names, Event::NAMES);
    }

    #[test]
    fn nobody_decides_on_a_hold_that_was_never_opened() {
        given::<Hold>([]).when(Command::Approve).refused(Refusal::Unknown);
        given::<Hold>([]).when(Command::Reject).refused(Refusal::Unknown);
    }

    #[test]
    fn a_limit_is_a_number_and_a_share_and_a_few_are_no_share() {
        let limit = RemovalLimit { fans: 50, percent: 20 };
        assert!(!limit.is_exceeded(9, 9), "all of nine");
        assert!(limit.is_exceeded(10, 10), "all of ten");
        assert!(!limit.is_exceeded(20, 100), "a fifth is not more than a fifth");
        assert!(limit.is_exceeded(21, 100));
        assert!(!limit.is_exceeded(50, 10_000));
        assert!(limit.is_exceeded(51, 10_000));
        assert!(!RemovalLimit { fans: u32::MAX, percent: 100 }.is_exceeded(5_000, 5_000));
        assert!(!RemovalLimit { fans: 0, percent: 0 }.is_exceeded(0, 5_000), "nothing is lost");
    }

    proptest! {
        #[test]
        fn losing_more_is_never_held_less(fans in 0u32..100, percent in 0u8..=100, losing in 0u64..200, all in 0u64..300) {
            let limit = RemovalLimit { fans, percent };
            prop_assert!(!limit.is_exceeded(losing, all) || limit.is_exceeded(losing + 1, all));
        }
    }
}
