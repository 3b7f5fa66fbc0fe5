//! One fan holding one tier: bought, renewed, ended.
//!
//! The platform reports a membership's whole state under a version of its own, so that reports may
//! repeat and arrive out of order. Whether a membership is live follows from its events alone: an end
//! that time brings is an event too, appended when the time has passed.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Decider, Event as AnyEvent, StreamName,
    ids::{CreatorId, FanId, MembershipId, TierId},
};

pub fn stream(membership: &MembershipId) -> StreamName {
    StreamName::new(Membership::CATEGORY, membership)
}

pub enum Membership {}

/// What the platform says of a membership.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = MembershipStatus)]
pub enum Status {
    /// Paid for. With `ends_at`: paid through then, and given a grace for a late renewal.
    Active,
    /// Ends at `ends_at`, without grace; at once where there is none.
    Canceled,
    /// No access until it is taken up again.
    Paused,
    Expired,
    Refunded,
    ChargedBack,
}

impl Status {
    /// What the membership is by now: what was reported as paid for may have ended by time since.
    pub fn now(self, live: bool) -> Self {
        match self {
            Self::Active | Self::Canceled if !live => Self::Expired,
            status => status,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Canceled => "canceled",
            Self::Paused => "paused",
            Self::Expired => "expired",
            Self::Refunded => "refunded",
            Self::ChargedBack => "charged_back",
        }
    }
}

/// A membership's whole state under one version: what a report says, and what every event records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    pub membership: MembershipId,
    pub fan: FanId,
    pub creator: CreatorId,
    pub tier: TierId,
    pub status: Status,
    pub ends_at: Option<DateTime<Utc>>,
    pub version: u64,
}

impl Terms {
    /// When these terms end by themselves; `None` where time alone does not end them.
    pub fn due(&self, grace: TimeDelta) -> Option<DateTime<Utc>> {
        match self.status {
            Status::Active => self.ends_at?.checked_add_signed(grace),
            Status::Canceled => self.ends_at,
            Status::Paused | Status::Expired | Status::Refunded | Status::ChargedBack => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    MembershipPurchased(Terms),
    MembershipRenewed(Terms),
    MembershipTierChanged(Terms),
    MembershipReinstated(Terms),
    MembershipCanceled(Terms),
    MembershipPaused(Terms),
    MembershipExpired(Terms),
    MembershipRefunded(Terms),
    MembershipChargedBack(Terms),
}

impl Event {
    pub fn terms(&self) -> &Terms {
        match self {
            Self::MembershipPurchased(terms)
            | Self::MembershipRenewed(terms)
            | Self::MembershipTierChanged(terms)
            | Self::MembershipReinstated(terms)
            | Self::MembershipCanceled(terms)
            | Self::MembershipPaused(terms)
            | Self::MembershipExpired(terms)
            | Self::MembershipRefunded(terms)
            | Self::MembershipChargedBack(terms) => terms,
        }
    }

    /// Whether the fan has what they paid for after this event.
    pub fn is_live(&self) -> bool {
        match self {
            Self::MembershipPurchased(_)
            | Self::MembershipRenewed(_)
            | Self::MembershipTierChanged(_)
            | Self::MembershipReinstated(_)
            | Self::MembershipCanceled(_) => true,
            Self::MembershipPaused(_)
            | Self::MembershipExpired(_)
            | Self::MembershipRefunded(_)
            | Self::MembershipChargedBack(_) => false,
        }
    }
}

#[derive(Debug, Clone)]
pub enum Command {
    /// The platform reports the membership's state at `now`.
    Report { terms: Terms, now: DateTime<Utc>, grace: TimeDelta },
    /// The end of `version` may have come; it is checked against `now`.
    Expire { version: u64, now: DateTime<Utc>, grace: TimeDelta },
}

/// What a report did. Only `Applied` appends events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReportOutcome)]
pub enum Outcome {
    Applied,
    Unchanged,
    Stale,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "version {version} of this membership was reported before with other content; report a change under a higher version"
    )]
    VersionConflict { version: u64 },
    #[error(
        "a membership's {field} never changes; report another fan's or creator's membership under an id of its own"
    )]
    OwnerFixed { field: &'static str },
}

/// The latest terms, as reported, and whether they are live still.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub terms: Option<Terms>,
    pub live: bool,
}

impl State {
    /// What a report of `terms` would do.
    pub fn outcome(&self, terms: &Terms) -> Result<Outcome, Refusal> {
        let Some(known) = &self.terms else { return Ok(Outcome::Applied) };
        if known.fan != terms.fan {
            return Err(Refusal::OwnerFixed { field: "fan" });
        }
        if known.creator != terms.creator {
            return Err(Refusal::OwnerFixed { field: "creator" });
        }
        match terms.version.cmp(&known.version) {
            std::cmp::Ordering::Less => Ok(Outcome::Stale),
            std::cmp::Ordering::Greater => Ok(Outcome::Applied),
            std::cmp::Ordering::Equal if terms == known => Ok(Outcome::Unchanged),
            std::cmp::Ordering::Equal => Err(Refusal::VersionConflict { version: terms.version }),
        }
    }

    fn apply(&self, terms: Terms, now: DateTime<Utc>, grace: TimeDelta) -> Event {
        // An end that has passed already is recorded as the end, never as a purchase that lives for
        // the blink of one event.
        let over = match (terms.status, terms.ends_at) {
            (Status::Canceled, None) => true,
            _ => terms.due(grace).is_some_and(|due| due <= now),
        };
        match terms.status {
            Status::Active | Status::Canceled if over => Event::MembershipExpired(terms),
            Status::Active => match &self.terms {
                Some(known) if self.live && known.tier != terms.tier => {
                    Event::MembershipTierChanged(terms)
                }
                Some(known) if self.live && known.status == Status::Active => {
                    Event::MembershipRenewed(terms)
                }
                Some(known) if self.live || known.status == Status::Paused => {
                    Event::MembershipReinstated(terms)
                }
                Some(_) | None => Event::MembershipPurchased(terms),
            },
            Status::Canceled => Event::MembershipCanceled(terms),
            Status::Paused => Event::MembershipPaused(terms),
            Status::Expired => Event::MembershipExpired(terms),
            Status::Refunded => Event::MembershipRefunded(terms),
            Status::ChargedBack => Event::MembershipChargedBack(terms),
        }
    }
}

impl Decider for Membership {
    const CATEGORY: &'static str = "membership";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Report { terms, now, grace } => Ok(match state.outcome(&terms)? {
                Outcome::Applied => vec![state.apply(terms, now, grace)],
                Outcome::Unchanged | Outcome::Stale => vec![],
            }),
            Command::Expire { version, now, grace } => {
                let ending = state.terms.as_ref().filter(|terms| {
                    state.live
                        && terms.version == version
                        && terms.due(grace).is_some_and(|due| due <= now)
                });
                Ok(ending.cloned().map(Event::MembershipExpired).into_iter().collect())
            }
        }
    }

    fn evolve(state: &mut State, event: &Event) {
        state.terms = Some(event.terms().clone());
        state.live = event.is_live();
    }

    fn own(event: AnyEvent) -> Option<Event> {
        if let AnyEvent::Membership(event) = event { Some(event) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Event::*, Status::*, *};
    use crate::decider::{fold, story::given};

    const GRACE: TimeDelta = TimeDelta::days(3);

    fn day(n: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::days(n)
    }

    fn terms(version: u64, status: Status, ends_at: Option<i64>) -> Terms {
        Terms {
            membership: "m1".parse().unwrap(),
            fan: "ada".parse().unwrap(),
            creator: "kim".parse().unwrap(),
            tier: "gold".parse().unwrap(),
            status,
            ends_at: ends_at.map(day),
            version,
        }
    }

    fn report(terms: Terms) -> Command {
        Command::Report { terms, now: day(0), grace: GRACE }
    }

    fn expire(version: u64, now: i64) -> Command {
        Command::Expire { version, now: day(now), grace: GRACE }
    }

    #[test]
    fn a_first_active_report_is_a_purchase() {
        let bought = terms(1, Active, Some(30));
        given::<Membership>([]).when(report(bought.clone())).then([MembershipPurchased(bought)]);
    }

    #[test]
    fn the_same_version_with_the_same_content_is_unchanged() {
        let bought = terms(1, Active, Some(30));
        given::<Membership>([MembershipPurchased(bought.clone())])
            .when(report(bought))
            .then_nothing();
    }

    #[test]
    fn the_same_version_with_other_content_is_refused() {
        given::<Membership>([MembershipPurchased(terms(1, Active, Some(30)))])
            .when(report(terms(1, Refunded, None)))
            .refused(Refusal::VersionConflict { version: 1 });
    }

    #[test]
    fn an_older_active_never_undoes_a_newer_end() {
        given::<Membership>([
            MembershipPurchased(terms(1, Active, None)),
            MembershipRefunded(terms(5, Refunded, None)),
        ])
        .when(report(terms(4, Active, None)))
        .then_nothing();
    }

    #[test]
    fn a_repeated_report_never_revives_what_the_hub_has_expired() {
        let bought = terms(1, Active, Some(1));
        given::<Membership>([
            MembershipPurchased(bought.clone()),
            MembershipExpired(bought.clone()),
        ])
        .when(report(bought))
        .then_nothing();
    }

    #[test]
    fn fan_and_creator_never_change() {
        let history = [MembershipPurchased(terms(1, Active, None))];
        let mut moved = terms(2, Active, None);
        moved.fan = "bob".parse().unwrap();
        given::<Membership>(history.clone())
            .when(report(moved))
            .refused(Refusal::OwnerFixed { field: "fan" });
        let mut moved = terms(2, Active, None);
        moved.creator = "lou".parse().unwrap();
        given::<Membership>(history)
            .when(report(moved))
            .refused(Refusal::OwnerFixed { field: "creator" });
    }

    #[test]
    fn an_active_membership_outlives_its_end_by_the_grace() {
        let history = [MembershipPurchased(terms(1, Active, Some(10)))];
        given::<Membership>(history.clone()).when(expire(1, 12)).then_nothing();
        given::<Membership>(history).when(expire(1, 13)).then([MembershipExpired(terms(
            1,
            Active,
            Some(10),
        ))]);
    }

    #[test]
    fn a_canceled_membership_ends_exactly_at_its_end() {
        let history = [
            MembershipPurchased(terms(1, Active, Some(30))),
            MembershipCanceled(terms(2, Canceled, Some(10))),
        ];
        given::<Membership>(history.clone()).when(expire(2, 9)).then_nothing();
        given::<Membership>(history).when(expire(2, 10)).then([MembershipExpired(terms(
            2,
            Canceled,
            Some(10),
        ))]);
    }

    #[test]
    fn canceled_without_an_end_ends_now() {
        given::<Membership>([MembershipPurchased(terms(1, Active, Some(30)))])
            .when(report(terms(2, Canceled, None)))
            .then([MembershipExpired(terms(2, Canceled, None))]);
    }

    #[test]
    fn a_timer_for_an_older_version_ends_nothing() {
        given::<Membership>([
            MembershipPurchased(terms(1, Active, Some(1))),
            MembershipRenewed(terms(2, Active, Some(60))),
        ])
        .when(expire(1, 30))
        .then_nothing();
    }

    #[test]
    fn a_report_whose_end_has_passed_is_an_end_and_not_a_purchase() {
        given::<Membership>([])
            .when(report(terms(1, Active, Some(-10))))
            .then([MembershipExpired(terms(1, Active, Some(-10)))]);
    }

    #[test]
    fn taking_a_cancellation_back_before_the_end_reinstates() {
        given::<Membership>([
            MembershipPurchased(terms(1, Active, Some(30))),
            MembershipCanceled(terms(2, Canceled, Some(30))),
        ])
        .when(report(terms(3, Active, Some(60))))
        .then([MembershipReinstated(terms(3, Active, Some(60)))]);
    }

    #[test]
    fn another_tier_is_a_change_of_tier() {
        let mut silver = terms(2, Active, None);
        silver.tier = "silver".parse().unwrap();
        given::<Membership>([MembershipPurchased(terms(1, Active, None))])
            .when(report(silver.clone()))
            .then([MembershipTierChanged(silver)]);
    }

    #[test]
    fn an_end_far_beyond_the_calendar_is_no_end() {
        let mut forever = terms(1, Active, None);
        forever.ends_at = Some(DateTime::<Utc>::MAX_UTC);
        given::<Membership>([]).when(report(forever.clone())).then([MembershipPurchased(forever)]);
    }

    fn any_status() -> impl Strategy<Value = Status> {
        prop::sample::select(vec![Active, Canceled, Paused, Expired, Refunded, ChargedBack])
    }

    prop_compose! {
        fn any_terms()(version in 0u64..6, status in any_status(), ends_at in prop::option::of(-5i64..40)) -> Terms {
            terms(version, status, ends_at)
        }
    }

    fn any_command() -> impl Strategy<Value = Command> {
        prop_oneof![
            3 => (any_terms(), -5i64..50).prop_map(|(terms, now)| Command::Report { terms, now: day(now), grace: GRACE }),
            1 => (0u64..6, -5i64..50).prop_map(|(version, now)| expire(version, now)),
        ]
    }

    proptest! {
        #[test]
        fn saying_it_twice_changes_nothing(before in prop::collection::vec(any_command(), 0..12), command in any_command()) {
            let mut state = State::default();
            for command in before.into_iter().chain([command.clone()]) {
                for event in Membership::decide(&state, command).unwrap_or_default() {
                    Membership::evolve(&mut state, &event);
                }
            }
            prop_assert_eq!(Membership::decide(&state, command).unwrap_or_default(), vec![]);
        }

        #[test]
        fn the_highest_version_wins_in_whatever_order_reports_arrive(
            statuses in prop::collection::vec(any_status(), 1..6),
            order in Just((0..6usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let reports: Vec<_> = statuses.iter().zip(0u64..).map(|(status, version)| terms(version, *status, Some(30))).collect();
            let mut state = State::default();
            for index in order.into_iter().filter(|index| *index < reports.len()) {
                for event in Membership::decide(&state, report(reports[index].clone())).unwrap() {
                    Membership::evolve(&mut state, &event);
                }
            }
            prop_assert_eq!(state.terms.as_ref(), reports.last());
            prop_assert_eq!(state.live, matches!(statuses.last(), Some(Active | Canceled)));
        }

        #[test]
        fn folding_never_fails(events in prop::collection::vec(any_terms(), 0..12)) {
            let events: Vec<_> = events.into_iter().map(MembershipRenewed).collect();
            fold::<Membership>(&events);
        }
    }
}
