//! The shape that every aggregate has: decide on a command, fold what happened.

use std::error::Error;

use crate::event::Event;

/// An aggregate's rules.
///
/// `decide` is pure: the time, where a rule needs it, comes with the command. Answering no events is
/// the idempotent answer to a command that has nothing left to do. `evolve` cannot fail, whatever
/// order of events it is handed.
pub trait Decider {
    /// The first part of the names of this aggregate's streams.
    const CATEGORY: &'static str;
    type State: Default + Clone + Send + Sync + 'static;
    type Command;
    type Event: Clone + Into<Event> + Send;
    type Refusal: Error + Send;

    fn decide(
        state: &Self::State,
        command: Self::Command,
    ) -> Result<Vec<Self::Event>, Self::Refusal>;
    fn evolve(state: &mut Self::State, event: &Self::Event);
    /// This aggregate's part of a recorded event; `None` if it belongs to another aggregate.
    fn own(event: Event) -> Option<Self::Event>;
}

/// The state that a history leads to.
pub fn fold<'a, D: Decider>(history: impl IntoIterator<Item = &'a D::Event>) -> D::State
where
    D::Event: 'a,
{
    let mut state = D::State::default();
    for event in history {
        D::evolve(&mut state, event);
    }
    state
}

#[cfg(test)]
pub(crate) mod story {
    //! Given what happened, when a command comes, then this follows.

    use std::fmt::Debug;

    use super::{Decider, fold};

    /// The law of every aggregate: whatever came before, saying the same twice is saying it once.
    #[track_caller]
    pub(crate) fn says_it_once<D: Decider>(before: Vec<D::Command>, command: D::Command)
    where
        D::Command: Clone,
        D::Event: Debug + PartialEq,
    {
        let mut state = D::State::default();
        for command in before.into_iter().chain([command.clone()]) {
            for event in D::decide(&state, command).unwrap_or_default() {
                D::evolve(&mut state, &event);
            }
        }
        assert_eq!(D::decide(&state, command).unwrap_or_default(), vec![]);
    }

    pub(crate) struct Given<D: Decider>(D::State);
    pub(crate) struct Answer<D: Decider>(Result<Vec<D::Event>, D::Refusal>);

    pub(crate) fn given<D: Decider>(history: impl IntoIterator<Item = D::Event>) -> Given<D> {
        let history: Vec<_> = history.into_iter().collect();
        Given(fold::<D>(&history))
    }

    impl<D: Decider> Given<D> {
        pub(crate) fn when(&self, command: D::Command) -> Answer<D> {
            Answer(D::decide(&self.0, command))
        }
    }

    impl<D: Decider> Answer<D>
    where
        D::Event: Debug + PartialEq,
        D::Refusal: PartialEq,
    {
        #[track_caller]
        pub(crate) fn then(self, events: impl IntoIterator<Item = D::Event>) {
            assert_eq!(self.0, Ok(events.into_iter().collect()));
        }

        #[track_caller]
        pub(crate) fn then_nothing(self) {
            assert_eq!(self.0, Ok(vec![]));
        }

        #[track_caller]
        pub(crate) fn refused(self, refusal: D::Refusal) {
            assert_eq!(self.0, Err(refusal));
        }
    }
}
