//! What is recorded beside an event: where it stands, when it was appended, on whose behalf.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use domain::{CreatorId, FanId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A place in the log. The first event has 1; 0 is before it.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// On whose behalf an event was appended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Actor {
    Platform,
    Creator(CreatorId),
    Fan(FanId),
    Auditor,
    /// A bot process, by the name that it gave.
    Bot(String),
    /// The Hub itself: timers and policies.
    Hub,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no actor")]
pub struct InvalidActor(String);

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform => f.write_str("platform"),
            Self::Creator(id) => write!(f, "creator:{id}"),
            Self::Fan(id) => write!(f, "fan:{id}"),
            Self::Auditor => f.write_str("auditor"),
            Self::Bot(name) => write!(f, "bot:{name}"),
            Self::Hub => f.write_str("hub"),
        }
    }
}

impl FromStr for Actor {
    type Err = InvalidActor;

    fn from_str(text: &str) -> Result<Self, InvalidActor> {
        let invalid = || InvalidActor(text.to_owned());
        match text.split_once(':') {
            None if text == "platform" => Ok(Self::Platform),
            None if text == "auditor" => Ok(Self::Auditor),
            None if text == "hub" => Ok(Self::Hub),
            Some(("creator", id)) => id.parse().map(Self::Creator).map_err(|_| invalid()),
            Some(("fan", id)) => id.parse().map(Self::Fan).map_err(|_| invalid()),
            Some(("bot", name)) => Ok(Self::Bot(name.to_owned())),
            Some(_) | None => Err(invalid()),
        }
    }
}

impl TryFrom<String> for Actor {
    type Error = InvalidActor;

    fn try_from(text: String) -> Result<Self, InvalidActor> {
        text.parse()
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> String {
        actor.to_string()
    }
}

/// What is recorded beside every event of an append.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    pub at: DateTime<Utc>,
    pub actor: Actor,
    /// Ties together what followed from one request.
    pub correlation: Uuid,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_reads_back_from_its_text() {
        for text in ["platform", "creator:kim", "fan:a:b", "auditor", "bot:eu-1", "hub"] {
            assert_eq!(text.parse::<Actor>().unwrap().to_string(), text);
        }
        for text in ["", "root", "creator:", "fan:a b"] {
            assert!(text.parse::<Actor>().is_err(), "{text}");
        }
    }
}
