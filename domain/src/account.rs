//! The reservation of a Discord account: one account belongs to one fan until released.
//!
//! The stream is named by a keyed hash of the account, so that a log without its keys names nobody.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Decider, Event as AnyEvent, StreamName, ids::FanId};

/// What stands for a Discord account where its id may not: HMAC-SHA256 in hexadecimal, made by the
/// store under a key that is never rotated.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountKey(Box<str>);

impl AccountKey {
    pub fn new(hex: impl Into<Box<str>>) -> Self {
        Self(hex.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub fn stream(account: &AccountKey) -> StreamName {
    StreamName::new(DiscordAccount::CATEGORY, account)
}

pub enum DiscordAccount {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    AccountReserved { account_key: AccountKey, fan: FanId },
    AccountReleased { account_key: AccountKey, fan: FanId },
}

#[derive(Debug, Clone)]
pub enum Command {
    Reserve { account_key: AccountKey, fan: FanId },
    Release { account_key: AccountKey, fan: FanId },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "this Discord account is connected to another membership account; disconnect it there first, or sign in to Discord with another account"
    )]
    HeldByAnotherFan,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub holder: Option<FanId>,
    /// Who held it last, while nobody does.
    pub last: Option<FanId>,
}

impl Decider for DiscordAccount {
    const CATEGORY: &'static str = "account";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Refusal> {
        match (command, &state.holder) {
            (Command::Reserve { account_key, fan }, None) => {
                Ok(vec![Event::AccountReserved { account_key, fan }])
            }
            (Command::Reserve { fan, .. }, Some(holder)) if fan != *holder => {
                Err(Refusal::HeldByAnotherFan)
            }
            (Command::Release { account_key, fan }, Some(holder)) if fan == *holder => {
                Ok(vec![Event::AccountReleased { account_key, fan }])
            }
            (Command::Reserve { .. } | Command::Release { .. }, _) => Ok(vec![]),
        }
    }

    fn evolve(state: &mut State, event: &Event) {
        match event {
            Event::AccountReserved { fan, .. } => {
                (state.holder, state.last) = (Some(fan.clone()), None);
            }
            Event::AccountReleased { fan, .. } => {
                (state.holder, state.last) = (None, Some(fan.clone()));
            }
        }
    }

    fn own(event: AnyEvent) -> Option<Event> {
        if let AnyEvent::DiscordAccount(event) = event { Some(event) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decider::story::{given, says_it_once};

    fn key() -> AccountKey {
        AccountKey::new("c0ffee")
    }

    fn fan(id: &str) -> FanId {
        id.parse().unwrap()
    }

    fn reserved(id: &str) -> Event {
        Event::AccountReserved { account_key: key(), fan: fan(id) }
    }

    fn reserve(id: &str) -> Command {
        Command::Reserve { account_key: key(), fan: fan(id) }
    }

    fn release(id: &str) -> Command {
        Command::Release { account_key: key(), fan: fan(id) }
    }

    #[test]
    fn an_account_belongs_to_one_fan() {
        given::<DiscordAccount>([]).when(reserve("ada")).then([reserved("ada")]);
        given::<DiscordAccount>([reserved("ada")]).when(reserve("ada")).then_nothing();
        given::<DiscordAccount>([reserved("ada")])
            .when(reserve("bob"))
            .refused(Refusal::HeldByAnotherFan);
    }

    #[test]
    fn only_its_holder_releases_an_account() {
        given::<DiscordAccount>([reserved("ada")]).when(release("bob")).then_nothing();
        given::<DiscordAccount>([]).when(release("ada")).then_nothing();
        given::<DiscordAccount>([reserved("ada")])
            .when(release("ada"))
            .then([Event::AccountReleased { account_key: key(), fan: fan("ada") }]);
    }

    fn any_command() -> impl Strategy<Value = Command> {
        let fan = prop::sample::select(vec!["ada", "bob"]);
        (fan, any::<bool>()).prop_map(|(fan, kept)| if kept { reserve(fan) } else { release(fan) })
    }

    proptest! {
        #[test]
        fn saying_it_twice_changes_nothing(before in prop::collection::vec(any_command(), 0..8), command in any_command()) {
            says_it_once::<DiscordAccount>(before, command);
        }
    }
}
