//! A creator, as far as the Hub keeps something about them: what they have read of what they were told.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Decider, Event as AnyEvent, StreamName, ids::CreatorId};

pub fn stream(creator: &CreatorId) -> StreamName {
    StreamName::new(Creator::CATEGORY, creator)
}

pub enum Creator {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    NoticeRead { creator: CreatorId, notice: Uuid },
}

impl Event {
    pub fn creator(&self) -> &CreatorId {
        let Self::NoticeRead { creator, .. } = self;
        creator
    }
}

#[derive(Debug, Clone)]
pub enum Command {
    ReadNotice { creator: CreatorId, notice: Uuid },
}

/// Nothing is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub read: BTreeSet<Uuid>,
}

impl Decider for Creator {
    const CATEGORY: &'static str = "creator";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Refusal> {
        let Command::ReadNotice { creator, notice } = command;
        let known = state.read.contains(&notice);
        Ok(if known { vec![] } else { vec![Event::NoticeRead { creator, notice }] })
    }

    fn evolve(state: &mut State, event: &Event) {
        let Event::NoticeRead { notice, .. } = event;
        state.read.insert(*notice);
    }

    fn own(event: AnyEvent) -> Option<Event> {
        if let AnyEvent::Creator(event) = event { Some(event) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decider::story::{given, says_it_once};

    #[test]
    fn a_notice_is_read_once() {
        let creator: CreatorId = "kim".parse().unwrap();
        let notice = Uuid::from_u128(9);
        let read = || Event::NoticeRead { creator: creator.clone(), notice };
        let command = || Command::ReadNotice { creator: creator.clone(), notice };
        given::<Creator>([]).when(command()).then([read()]);
        given::<Creator>([read()]).when(command()).then_nothing();
    }

    fn any_command() -> impl Strategy<Value = Command> {
        (0u128..4).prop_map(|notice| Command::ReadNotice {
            creator: "kim".parse().unwrap(),
            notice: Uuid::from_u128(notice),
        })
    }

    proptest! {
        #[test]
        fn saying_it_twice_changes_nothing(before in prop::collection::vec(any_command(), 0..8), command in any_command()) {
            says_it_once::<Creator>(before, command);
        }
    }
}
