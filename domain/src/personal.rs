//! People's data inside events: in the clear only in memory, sealed with the fan's key in the log,
//! and erased once that key is destroyed.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

use crate::ids::{DiscordUserId, FanId};

/// A fan's Discord account, as Discord names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Account {
    pub id: DiscordUserId,
    pub username: String,
}

/// A piece of a person's data.
///
/// In JSON: the value itself while it is in the clear, `{"sealed": "…"}` in the log, `"erased"`
/// where the key is gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Personal<T> {
    Known(T),
    Sealed(Box<str>),
    Erased,
}

impl<T> Personal<T> {
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Sealed(_) | Self::Erased => None,
        }
    }
}

impl<T: Serialize> Serialize for Personal<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(value) => value.serialize(serializer),
            Self::Sealed(sealed) => {
                Form::<T>::Sealed { sealed: sealed.clone() }.serialize(serializer)
            }
            Self::Erased => serializer.serialize_str("erased"),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Personal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Form::<T>::deserialize(deserializer)? {
            Form::Sealed { sealed } => Self::Sealed(sealed),
            Form::Known(value) => Self::Known(value),
            Form::Erased(ErasedWord::Erased) => Self::Erased,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form<T> {
    Sealed { sealed: Box<str> },
    Known(T),
    Erased(ErasedWord),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ErasedWord {
    Erased,
}

/// Whose data an event holds, and where: what the store seals before it writes and opens after it reads.
#[derive(Debug)]
pub struct Subject<'a> {
    pub fan: &'a FanId,
    pub account: &'a mut Personal<Account>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_data_has_three_forms_in_json() {
        let ada = Account { id: DiscordUserId(42), username: "ada".into() };
        for (form, json) in [
            (Personal::Known(ada), r#"{"id":"42","username":"ada"}"#),
            (Personal::Sealed("c2VhbGVk".into()), r#"{"sealed":"c2VhbGVk"}"#),
            (Personal::Erased, r#""erased""#),
        ] {
            assert_eq!(serde_json::to_string(&form).unwrap(), json);
            assert_eq!(serde_json::from_str::<Personal<Account>>(json).unwrap(), form);
        }
    }
}
