//! The names of things: ids that the platform owns, ids that the Hub makes, ids that Discord makes.

use std::{fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Visitor},
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};
use uuid::Uuid;

/// Why a text is not an id. The message says what an id looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    #[error("must be 1 to 128 characters of A-Z a-z 0-9 . _ : @ -")]
    Platform,
    #[error("must be a UUID, as the Hub answered it when it made the thing")]
    Hub,
    #[error("must be a Discord id: a string of digits, from 1 to 18446744073709551615")]
    Discord,
}

/// The longest id that a platform may choose, in characters.
pub const MAX_PLATFORM_ID: usize = 128;

fn is_platform_id(text: &str) -> bool {
    (1..=MAX_PLATFORM_ID).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:@-".contains(&byte))
}

/// How a text of some form is described to those who write clients.
fn text_like(pattern: &str, description: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(pattern))
        .description(Some(description.trim()))
        .build()
        .into()
}

macro_rules! described {
    ($name:ident, $pattern:literal, $description:expr) => {
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                text_like($pattern, $description)
            }
        }

        impl ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
        }
    };
}

macro_rules! platform_id {
    (#[doc = $doc:literal] $name:ident) => {
        described!($name, "^[A-Za-z0-9._:@-]{1,128}$", $doc);

        #[doc = $doc]
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Box<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                if is_platform_id(&text) { Ok(Self(text.into())) } else { Err(InvalidId::Platform) }
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::try_from(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

platform_id!(
    /// A creator, as the platform names them.
    CreatorId
);
platform_id!(
    /// A fan, as the platform names them.
    FanId
);
platform_id!(
    /// A tier of one creator, as the platform names it.
    TierId
);
platform_id!(
    /// One fan's holding of one tier, as the platform names it.
    MembershipId
);

macro_rules! hub_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a string")
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                // A UUID has other spellings, too; the Hub answers this one.
                let uuid = Some(text).filter(|text| text.len() == 36).map(Uuid::parse_str);
                uuid.and_then(Result::ok).map(Self).ok_or(InvalidId::Hub)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

hub_id!(
    /// A creator's named connection to a provider.
    IntegrationId
);
hub_id!(
    /// Removals that wait for a person.
    HoldId
);

macro_rules! discord_id {
    (#[doc = $doc:literal] $name:ident) => {
        described!($name, "^[1-9][0-9]{0,19}$", $doc);

        #[doc = $doc]
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub u64);

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.to_string()
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                // Discord never answers a sign or a leading zero, and two texts must not name one thing.
                let canonical = !text.starts_with(['+', '0']);
                text.parse().ok().filter(|_| canonical).map(Self).ok_or(InvalidId::Discord)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

discord_id!(
    /// A Discord server.
    GuildId
);
discord_id!(
    /// A role of a Discord server. The role `@everyone` has its server's id.
    RoleId
);
discord_id!(
    /// A Discord account.
    DiscordUserId
);

impl GuildId {
    /// The shard that owns this server, by Discord's formula `(guild_id >> 22) % shards`.
    pub fn shard(self, shards: u32) -> u32 {
        u32::try_from((self.0 >> 22) % u64::from(shards.max(1))).unwrap_or_default()
    }

    /// The id of the server's `@everyone` role.
    pub fn everyone(self) -> RoleId {
        RoleId(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_id_takes_the_contract_s_characters_and_length_only() {
        assert!("fan_1.a:b@c-D".parse::<FanId>().is_ok());
        assert!("x".repeat(128).parse::<FanId>().is_ok());
        for bad in ["", "a b", "a/b", "ü", &"x".repeat(129), "a\u{202e}b", "a\0"] {
            assert_eq!(bad.parse::<FanId>(), Err(InvalidId::Platform), "{bad:?}");
        }
    }

    #[test]
    fn a_discord_id_has_one_spelling() {
        assert_eq!("81384788765712384".parse(), Ok(GuildId(81_384_788_765_712_384)));
        for bad in ["", "+1", "01", "0", "-1", "1.0", "18446744073709551616", "x"] {
            assert_eq!(bad.parse::<GuildId>(), Err(InvalidId::Discord), "{bad:?}");
        }
    }

    #[test]
    fn discord_ids_are_strings_in_json() {
        let json = serde_json::to_string(&RoleId(9_007_199_254_740_993)).unwrap();
        assert_eq!(json, r#""9007199254740993""#);
        assert_eq!(serde_json::from_str::<RoleId>(&json).unwrap(), RoleId(9_007_199_254_740_993));
    }

    #[test]
    fn the_shard_follows_discord_s_formula() {
        assert_eq!(GuildId(3 << 22).shard(2), 1);
        assert_eq!(GuildId(3 << 22).shard(1), 0);
    }
}
