//! The reservation of a Discord server: one server belongs to one creator until released.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    Decider, Event as AnyEvent, StreamName,
    ids::{CreatorId, GuildId, IntegrationId},
};

pub fn stream(guild: GuildId) -> StreamName {
    StreamName::new(Guild::CATEGORY, guild)
}

pub enum Guild {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    GuildReserved { guild: GuildId, creator: CreatorId, integration: IntegrationId },
    GuildReleased { guild: GuildId, creator: CreatorId, integration: IntegrationId },
}

#[derive(Debug, Clone)]
pub enum Command {
    Reserve { guild: GuildId, creator: CreatorId, integration: IntegrationId },
    Release { guild: GuildId, integration: IntegrationId },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "this Discord server is connected to another creator's account; release it there first, or choose another server"
    )]
    HeldByAnotherCreator,
}

/// Several integrations of one creator may share a server; the last one to go releases it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub holder: Option<CreatorId>,
    pub integrations: BTreeSet<IntegrationId>,
}

impl Decider for Guild {
    const CATEGORY: &'static str = "guild";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Reserve { creator, .. }
                if state.holder.as_ref().is_some_and(|holder| *holder != creator) =>
            {
                Err(Refusal::HeldByAnotherCreator)
            }
            Command::Reserve { integration, .. } if state.integrations.contains(&integration) => {
                Ok(vec![])
            }
            Command::Reserve { guild, creator, integration } => {
                Ok(vec![Event::GuildReserved { guild, creator, integration }])
            }
            Command::Release { guild, integration } => Ok(state
                .holder
                .clone()
                .filter(|_| state.integrations.contains(&integration))
                .map(|creator| Event::GuildReleased { guild, creator, integration })
                .into_iter()
                .collect()),
        }
    }

    fn evolve(state: &mut State, event: &Event) {
        match event {
            Event::GuildReserved { creator, integration, .. } => {
                state.holder = Some(creator.clone());
                state.integrations.insert(*integration);
            }
            Event::GuildReleased { integration, .. } => {
                state.integrations.remove(integration);
                if state.integrations.is_empty() {
                    state.holder = None;
                }
            }
        }
    }

    fn own(event: AnyEvent) -> Option<Event> {
        if let AnyEvent::Guild(event) = event { Some(event) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::decider::story::given;

    const CLUB: GuildId = GuildId(7);

    fn integration(n: u128) -> IntegrationId {
        IntegrationId(Uuid::from_u128(n))
    }

    fn reserved(creator: &str, n: u128) -> Event {
        Event::GuildReserved {
            guild: CLUB,
            creator: creator.parse().unwrap(),
            integration: integration(n),
        }
    }

    fn released(creator: &str, n: u128) -> Event {
        Event::GuildReleased {
            guild: CLUB,
            creator: creator.parse().unwrap(),
            integration: integration(n),
        }
    }

    fn reserve(creator: &str, n: u128) -> Command {
        Command::Reserve {
            guild: CLUB,
            creator: creator.parse().unwrap(),
            integration: integration(n),
        }
    }

    fn release(n: u128) -> Command {
        Command::Release { guild: CLUB, integration: integration(n) }
    }

    #[test]
    fn a_server_belongs_to_one_creator() {
        given::<Guild>([reserved("kim", 1)])
            .when(reserve("lou", 2))
            .refused(Refusal::HeldByAnotherCreator);
        given::<Guild>([reserved("kim", 1)]).when(reserve("kim", 2)).then([reserved("kim", 2)]);
    }

    #[test]
    fn a_server_is_free_once_its_last_integration_released_it() {
        let shared = [reserved("kim", 1), reserved("kim", 2), released("kim", 1)];
        given::<Guild>(shared.clone())
            .when(reserve("lou", 3))
            .refused(Refusal::HeldByAnotherCreator);
        let free = shared.into_iter().chain([released("kim", 2)]);
        given::<Guild>(free).when(reserve("lou", 3)).then([reserved("lou", 3)]);
    }

    #[test]
    fn saying_it_twice_changes_nothing() {
        given::<Guild>([reserved("kim", 1)]).when(reserve("kim", 1)).then_nothing();
        given::<Guild>([reserved("kim", 1), released("kim", 1)]).when(release(1)).then_nothing();
        given::<Guild>([reserved("kim", 1)]).when(release(2)).then_nothing();
    }
}
