//! A membership tier that a creator sells. The platform owns it; the Hub knows its name.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::{
    Decider, Event as AnyEvent, StreamName,
    ids::{CreatorId, TierId},
    name::DisplayName,
};

/// The name of a tier's stream. A tier's id is its creator's, so the creator is part of the name.
pub fn stream(creator: &CreatorId, tier: &TierId) -> StreamName {
    StreamName::new(Tier::CATEGORY, format_args!("{creator}/{tier}"))
}

pub enum Tier {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    TierRegistered { creator: CreatorId, tier: TierId, name: DisplayName },
    TierRenamed { creator: CreatorId, tier: TierId, name: DisplayName },
}

#[derive(Debug, Clone)]
pub enum Command {
    Register { creator: CreatorId, tier: TierId, name: DisplayName },
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub name: Option<DisplayName>,
}

impl Decider for Tier {
    const CATEGORY: &'static str = "tier";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Refusal = Infallible;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Infallible> {
        let Command::Register { creator, tier, name } = command;
        Ok(match &state.name {
            None => vec![Event::TierRegistered { creator, tier, name }],
            Some(known) if *known != name => vec![Event::TierRenamed { creator, tier, name }],
            Some(_) => vec![],
        })
    }

    fn evolve(state: &mut State, event: &Event) {
        let (Event::TierRegistered { name, .. } | Event::TierRenamed { name, .. }) = event;
        state.name = Some(name.clone());
    }

    fn own(event: AnyEvent) -> Option<Event> {
        if let AnyEvent::Tier(event) = event { Some(event) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Command::*, Event::*, *};
    use crate::decider::story::{given, says_it_once};

    fn register(name: &str) -> Command {
        Register {
            creator: "kim".parse().unwrap(),
            tier: "gold".parse().unwrap(),
            name: name.parse().unwrap(),
        }
    }

    fn registered() -> Event {
        TierRegistered {
            creator: "kim".parse().unwrap(),
            tier: "gold".parse().unwrap(),
            name: "Gold".parse().unwrap(),
        }
    }

    #[test]
    fn a_tier_is_registered_once_and_renamed_after() {
        given::<Tier>([]).when(register("Gold")).then([registered()]);
        given::<Tier>([registered()]).when(register("Gold")).then_nothing();
        given::<Tier>([registered()]).when(register("Gold+")).then([TierRenamed {
            creator: "kim".parse().unwrap(),
            tier: "gold".parse().unwrap(),
            name: "Gold+".parse().unwrap(),
        }]);
    }

    fn any_command() -> impl Strategy<Value = Command> {
        prop::sample::select(vec!["Gold", "Gold+", "Silver"]).prop_map(register)
    }

    proptest! {
        #[test]
        fn saying_it_twice_changes_nothing(before in prop::collection::vec(any_command(), 0..8), command in any_command()) {
            says_it_once::<Tier>(before, command);
        }
    }
}
