//! A fan: the Discord account they proved to be theirs, and what they chose to activate.
//!
//! Linking, or buying while linked, activates everything attached to the fan's live memberships; that
//! follows from the order of events and is not recorded twice. Recorded is what the fan chose, and what a
//! creator decided about them by hand.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Decider, Event as AnyEvent, StreamName,
    account::AccountKey,
    ids::{CreatorId, FanId, IntegrationId, RoleId},
    personal::{Account, Personal},
    trouble::Trouble,
};

pub fn stream(fan: &FanId) -> StreamName {
    StreamName::new(Fan::CATEGORY, fan)
}

pub enum Fan {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    FanLinked(Link),
    FanUnlinked(Link),
    /// Discord no longer takes the fan's authorisation; the account is still known to be theirs.
    LinkBroken {
        fan: FanId,
        account_key: AccountKey,
        reason: BrokenBy,
    },
    IntegrationActivated {
        fan: FanId,
        integration: IntegrationId,
    },
    IntegrationDeactivated {
        fan: FanId,
        integration: IntegrationId,
    },
    NotificationRead {
        fan: FanId,
        notification: Uuid,
    },
    /// A creator gave roles by hand: a reason like any other.
    ManualGrantGiven(Grant),
    ManualGrantEnded {
        fan: FanId,
        integration: IntegrationId,
    },
    /// A creator withholds all access, whatever reasons there are, until it is lifted.
    AccessWithheld {
        fan: FanId,
        integration: IntegrationId,
        why: String,
    },
    WithholdingLifted {
        fan: FanId,
        integration: IntegrationId,
    },
}

/// Roles that a creator gave by hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    pub fan: FanId,
    pub creator: CreatorId,
    pub integration: IntegrationId,
    pub roles: BTreeSet<RoleId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

impl Event {
    pub fn fan(&self) -> &FanId {
        match self {
            Self::FanLinked(link) | Self::FanUnlinked(link) => &link.fan,
            Self::LinkBroken { fan, .. }
            | Self::IntegrationActivated { fan, .. }
            | Self::IntegrationDeactivated { fan, .. }
            | Self::NotificationRead { fan, .. }
            | Self::ManualGrantEnded { fan, .. }
            | Self::AccessWithheld { fan, .. }
            | Self::WithholdingLifted { fan, .. } => fan,
            Self::ManualGrantGiven(grant) => &grant.fan,
        }
    }

    /// The integration that it is about, where it is about one.
    pub fn integration(&self) -> Option<IntegrationId> {
        match self {
            Self::IntegrationActivated { integration, .. }
            | Self::IntegrationDeactivated { integration, .. }
            | Self::ManualGrantEnded { integration, .. }
            | Self::AccessWithheld { integration, .. }
            | Self::WithholdingLifted { integration, .. } => Some(*integration),
            Self::ManualGrantGiven(grant) => Some(grant.integration),
            Self::FanLinked(_)
            | Self::FanUnlinked(_)
            | Self::LinkBroken { .. }
            | Self::NotificationRead { .. } => None,
        }
    }
}

/// A Discord account proven to be a fan's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    pub fan: FanId,
    pub account: Personal<Account>,
    pub account_key: AccountKey,
}

/// How a link was found to be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BrokenBy {
    /// The refresh token was refused (`invalid_grant`).
    InvalidGrant,
    /// The same, after the answer to an earlier renewal was lost: the next token may have been in it.
    RenewalLost,
    /// Discord refused the fan's token when joining (50025).
    InvalidToken,
    /// The fan granted no `guilds.join` (50026).
    MissingScope,
    /// Discord told that the fan removed the application.
    Deauthorized,
}

impl BrokenBy {
    /// What the fan is told of it.
    pub fn trouble(self) -> Trouble {
        match self {
            Self::MissingScope => Trouble::MissingScope,
            Self::RenewalLost => Trouble::RenewalLost,
            Self::InvalidGrant | Self::InvalidToken | Self::Deauthorized => Trouble::LinkBroken,
        }
    }
}

#[derive(Debug, Clone)]
pub enum Command {
    Link(Link),
    Unlink {
        fan: FanId,
    },
    BreakLink {
        fan: FanId,
        account_key: AccountKey,
        reason: BrokenBy,
    },
    /// `again` repeats an activation that is on: the fan asks to be let in anew.
    Activate {
        fan: FanId,
        integration: IntegrationId,
        again: bool,
    },
    Deactivate {
        fan: FanId,
        integration: IntegrationId,
    },
    ReadNotification {
        fan: FanId,
        notification: Uuid,
    },
    Grant(Grant),
    EndGrant {
        fan: FanId,
        integration: IntegrationId,
    },
    /// The end of a grant may have come; it is checked against `now`.
    ExpireGrant {
        fan: FanId,
        integration: IntegrationId,
        now: DateTime<Utc>,
    },
    Withhold {
        fan: FanId,
        integration: IntegrationId,
        why: String,
    },
    LiftWithholding {
        fan: FanId,
        integration: IntegrationId,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no Discord account is connected; connect one first")]
    NotLinked,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub link: Option<Link>,
    pub broken: Option<BrokenBy>,
    /// The fan's own choices; an integration that is not in here follows the rule for everybody.
    pub choices: BTreeMap<IntegrationId, bool>,
    pub read: BTreeSet<Uuid>,
    pub grants: BTreeMap<IntegrationId, Grant>,
    /// Why access is withheld.
    pub withheld: BTreeMap<IntegrationId, String>,
}

impl Decider for Fan {
    const CATEGORY: &'static str = "fan";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Refusal> {
        Ok(match command {
            Command::Link(link) => match &state.link {
                Some(known) if known.account_key == link.account_key => {
                    let renamed = known.account != link.account;
                    if state.broken.is_some() || renamed {
                        vec![Event::FanLinked(link)]
                    } else {
                        vec![]
                    }
                }
                Some(known) => vec![Event::FanUnlinked(known.clone()), Event::FanLinked(link)],
                None => vec![Event::FanLinked(link)],
            },
            Command::Unlink { .. } => {
                state.link.clone().map(Event::FanUnlinked).into_iter().collect()
            }
            Command::BreakLink { fan, account_key, reason } => {
                let current =
                    state.link.as_ref().is_some_and(|link| link.account_key == account_key);
                if current && state.broken.is_none() {
                    vec![Event::LinkBroken { fan, account_key, reason }]
                } else {
                    vec![]
                }
            }
            Command::Activate { .. } if state.link.is_none() => return Err(Refusal::NotLinked),
            Command::Activate { fan, integration, again } => {
                if again || state.choices.get(&integration) != Some(&true) {
                    vec![Event::IntegrationActivated { fan, integration }]
                } else {
                    vec![]
                }
            }
            Command::Deactivate { fan, integration } => {
                if state.choices.get(&integration) == Some(&false) {
                    vec![]
                } else {
                    vec![Event::IntegrationDeactivated { fan, integration }]
                }
            }
            Command::Grant(grant) => {
                if state.grants.get(&grant.integration) == Some(&grant) {
                    vec![]
                } else {
                    vec![Event::ManualGrantGiven(grant)]
                }
            }
            Command::EndGrant { fan, integration } => {
                let given = state.grants.contains_key(&integration);
                given.then_some(Event::ManualGrantEnded { fan, integration }).into_iter().collect()
            }
            Command::ExpireGrant { fan, integration, now } => {
                let until = state.grants.get(&integration).and_then(|grant| grant.until);
                let over = until.is_some_and(|until| until <= now);
                over.then_some(Event::ManualGrantEnded { fan, integration }).into_iter().collect()
            }
            Command::Withhold { fan, integration, why } => {
                if state.withheld.get(&integration) == Some(&why) {
                    vec![]
                } else {
                    vec![Event::AccessWithheld { fan, integration, why }]
                }
            }
            Command::LiftWithholding { fan, integration } => {
                let withheld = state.withheld.contains_key(&integration);
                withheld
                    .then_some(Event::WithholdingLifted { fan, integration })
                    .into_iter()
                    .collect()
            }
            Command::ReadNotification { fan, notification } => {
                if state.read.contains(&notification) {
                    vec![]
                } else {
                    vec![Event::NotificationRead { fan, notification }]
                }
            }
        })
    }

    fn evolve(state: &mut State, event: &Event) {
        match event {
            Event::FanLinked(link) => {
                state.link = Some(link.clone());
                state.broken = None;
            }
            Event::FanUnlinked(_) => {
                state.link = None;
                state.broken = None;
            }
            Event::LinkBroken { reason, .. } => state.broken = Some(*reason),
            Event::IntegrationActivated { integration, .. } => {
                state.choices.insert(*integration, true);
            }
            Event::IntegrationDeactivated { integration, .. } => {
                state.choices.insert(*integration, false);
            }
            Event::NotificationRead { notification, .. } => {
                state.read.insert(*notification);
            }
            Event::ManualGrantGiven(grant) => {
                state.grants.insert(grant.integration, grant.clone());
            }
            Event::ManualGrantEnded { integration, .. } => {
                state.grants.remove(integration);
            }
            Event::AccessWithheld { integration, why, .. } => {
                state.withheld.insert(*integration, why.clone());
            }
            Event::WithholdingLifted { integration, .. } => {
                state.withheld.remove(integration);
            }
        }
    }

    fn own(event: AnyEvent) -> Option<Event> {
        if let AnyEvent::Fan(event) = event { Some(event) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Event::*, *};
    use crate::{
        DiscordUserId,
        decider::story::{given, says_it_once},
    };

    fn ada() -> FanId {
        "ada".parse().unwrap()
    }

    fn link(n: u64) -> Link {
        Link {
            fan: ada(),
            account: Personal::Known(Account { id: DiscordUserId(n), username: format!("ada{n}") }),
            account_key: AccountKey::new(format!("key{n}")),
        }
    }

    fn club() -> IntegrationId {
        IntegrationId(Uuid::from_u128(1))
    }

    fn broken(reason: BrokenBy) -> Event {
        LinkBroken { fan: ada(), account_key: link(1).account_key, reason }
    }

    #[test]
    fn linking_the_same_account_twice_changes_nothing() {
        given::<Fan>([]).when(Command::Link(link(1))).then([FanLinked(link(1))]);
        given::<Fan>([FanLinked(link(1))]).when(Command::Link(link(1))).then_nothing();
    }

    #[test]
    fn linking_another_account_unlinks_the_first() {
        given::<Fan>([FanLinked(link(1))])
            .when(Command::Link(link(2)))
            .then([FanUnlinked(link(1)), FanLinked(link(2))]);
    }

    #[test]
    fn linking_again_mends_a_broken_link() {
        given::<Fan>([FanLinked(link(1)), broken(BrokenBy::InvalidGrant)])
            .when(Command::Link(link(1)))
            .then([FanLinked(link(1))]);
    }

    #[test]
    fn a_link_breaks_once_and_only_the_current_one() {
        let command = |n| Command::BreakLink {
            fan: ada(),
            account_key: link(n).account_key,
            reason: BrokenBy::InvalidToken,
        };
        given::<Fan>([FanLinked(link(1))]).when(command(1)).then([broken(BrokenBy::InvalidToken)]);
        given::<Fan>([FanLinked(link(1)), broken(BrokenBy::InvalidGrant)])
            .when(command(1))
            .then_nothing();
        given::<Fan>([FanLinked(link(1))]).when(command(2)).then_nothing();
    }

    #[test]
    fn activating_needs_a_linked_account() {
        given::<Fan>([])
            .when(Command::Activate { fan: ada(), integration: club(), again: false })
            .refused(Refusal::NotLinked);
    }

    #[test]
    fn a_fan_may_ask_to_be_let_in_anew() {
        let on = || IntegrationActivated { fan: ada(), integration: club() };
        let history = [FanLinked(link(1)), on()];
        let activate = |again| Command::Activate { fan: ada(), integration: club(), again };
        given::<Fan>(history.clone()).when(activate(false)).then_nothing();
        given::<Fan>(history).when(activate(true)).then([on()]);
    }

    #[test]
    fn deactivating_and_reading_happen_once() {
        let off = || IntegrationDeactivated { fan: ada(), integration: club() };
        let deactivate = || Command::Deactivate { fan: ada(), integration: club() };
        given::<Fan>([]).when(deactivate()).then([off()]);
        given::<Fan>([off()]).when(deactivate()).then_nothing();

        let notification = Uuid::from_u128(9);
        let read = || NotificationRead { fan: ada(), notification };
        let command = || Command::ReadNotification { fan: ada(), notification };
        given::<Fan>([]).when(command()).then([read()]);
        given::<Fan>([read()]).when(command()).then_nothing();
    }

    fn any_command() -> impl Strategy<Value = Command> {
        let integration = || (1u128..3).prop_map(|n| IntegrationId(Uuid::from_u128(n)));
        let until =
            |hours: i64| DateTime::from_timestamp(1_800_000_000 + hours * 3_600, 0).unwrap();
        prop_oneof![
            (1u64..3).prop_map(|n| Command::Link(link(n))),
            Just(Command::Unlink { fan: ada() }),
            (1u64..3, any::<bool>()).prop_map(|(n, scope)| Command::BreakLink {
                fan: ada(),
                account_key: link(n).account_key,
                reason: if scope { BrokenBy::MissingScope } else { BrokenBy::InvalidGrant },
            }),
            // Asking to be let in anew is left out: it is asked as often as it is said.
            integration().prop_map(|integration| Command::Activate {
                fan: ada(),
                integration,
                again: false
            }),
            integration().prop_map(|integration| Command::Deactivate { fan: ada(), integration }),
            (0u128..3).prop_map(|n| Command::ReadNotification {
                fan: ada(),
                notification: Uuid::from_u128(n)
            }),
            (integration(), prop::option::of(0i64..3), 10u64..12).prop_map(
                move |(integration, hours, role)| Command::Grant(Grant {
                    fan: ada(),
                    creator: "kim".parse().unwrap(),
                    integration,
                    roles: [RoleId(role)].into(),
                    until: hours.map(until),
                })
            ),
            integration().prop_map(|integration| Command::EndGrant { fan: ada(), integration }),
            (integration(), 0i64..3).prop_map(move |(integration, hours)| Command::ExpireGrant {
                fan: ada(),
                integration,
                now: until(hours)
            }),
            (integration(), prop::sample::select(vec!["spam", "fraud"])).prop_map(
                |(integration, why)| Command::Withhold { fan: ada(), integration, why: why.into() }
            ),
            integration()
                .prop_map(|integration| Command::LiftWithholding { fan: ada(), integration }),
        ]
    }

    proptest! {
        #[test]
        fn saying_it_twice_changes_nothing(before in prop::collection::vec(any_command(), 0..16), command in any_command()) {
            says_it_once::<Fan>(before, command);
        }
    }
}
