//! Every event of the Hub, and its form in the log.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::{
    Decider,
    access::{self, Access},
    account::{self, DiscordAccount},
    creator::{self, Creator},
    fan::{self, Fan},
    guild::{self, Guild},
    hold::{self, Hold},
    integration::{self, Integration},
    membership::{self, Membership},
    personal::Subject,
    tier::{self, Tier},
    upcast,
};

/// Something that happened. In JSON: `{"type": "FanLinked", "data": {…}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Event {
    Tier(tier::Event),
    Membership(membership::Event),
    Integration(integration::Event),
    Guild(guild::Event),
    Fan(fan::Event),
    DiscordAccount(account::Event),
    Access(access::Event),
    Hold(hold::Event),
    Creator(creator::Event),
}

/// An event as the log stores it: its name, the schema that it is written in, its data as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    pub kind: String,
    pub schema: u16,
    pub data: String,
}

/// Why a stored event cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error(
        "no aggregate is called {0:?}; the log was written by a newer program, so run that one"
    )]
    UnknownCategory(String),
    #[error(
        "{kind} has schema {schema}, which this program does not know; run the newer program that wrote it"
    )]
    UnknownSchema { kind: String, schema: u16 },
    #[error("{kind} cannot be read: {source}")]
    Malformed { kind: String, source: serde_json::Error },
}

impl Event {
    /// The form of this event in the log.
    pub fn encode(&self) -> Result<Encoded, serde_json::Error> {
        #[derive(Deserialize)]
        struct Split<'a> {
            r#type: &'a str,
            #[serde(borrow)]
            data: &'a serde_json::value::RawValue,
        }
        let json = serde_json::to_string(self)?;
        let Split { r#type, data } = serde_json::from_str(&json)?;
        Ok(Encoded { kind: r#type.to_owned(), schema: upcast::SCHEMA, data: data.get().to_owned() })
    }

    /// Reads an event of any schema that was ever released.
    pub fn decode(
        category: &str,
        kind: &str,
        schema: u16,
        data: &str,
    ) -> Result<Self, DecodeError> {
        let unknown = || DecodeError::UnknownSchema { kind: kind.to_owned(), schema };
        let data = upcast::up(kind, schema, data).ok_or_else(unknown)?;
        let json = format!(r#"{{"type":"{kind}","data":{data}}}"#);
        Ok(match category {
            Tier::CATEGORY => Self::Tier(read(kind, &json)?),
            Membership::CATEGORY => Self::Membership(read(kind, &json)?),
            Integration::CATEGORY => Self::Integration(read(kind, &json)?),
            Guild::CATEGORY => Self::Guild(read(kind, &json)?),
            Fan::CATEGORY => Self::Fan(read(kind, &json)?),
            DiscordAccount::CATEGORY => Self::DiscordAccount(read(kind, &json)?),
            Access::CATEGORY => Self::Access(read(kind, &json)?),
            Hold::CATEGORY => Self::Hold(read(kind, &json)?),
            Creator::CATEGORY => Self::Creator(read(kind, &json)?),
            unknown => return Err(DecodeError::UnknownCategory(unknown.to_owned())),
        })
    }

    /// The person whose data this event holds, and where it is, for the store to seal and to open.
    pub fn subject(&mut self) -> Option<Subject<'_>> {
        match self {
            Self::Fan(fan::Event::FanLinked(link) | fan::Event::FanUnlinked(link)) => {
                Some(Subject { fan: &link.fan, account: &mut link.account })
            }
            Self::Access(event) => Some(event.subject()),
            Self::Fan(
                fan::Event::LinkBroken { .. }
                | fan::Event::IntegrationActivated { .. }
                | fan::Event::IntegrationDeactivated { .. }
                | fan::Event::NotificationRead { .. }
                | fan::Event::ManualGrantGiven(_)
                | fan::Event::ManualGrantEnded { .. }
                | fan::Event::AccessWithheld { .. }
                | fan::Event::WithholdingLifted { .. },
            )
            | Self::Tier(_)
            | Self::Membership(_)
            | Self::Integration(_)
            | Self::Guild(_)
            | Self::DiscordAccount(_)
            | Self::Hold(_)
            | Self::Creator(_) => None,
        }
    }
}

fn read<T: DeserializeOwned>(kind: &str, json: &str) -> Result<T, DecodeError> {
    serde_json::from_str(json)
        .map_err(|source| DecodeError::Malformed { kind: kind.to_owned(), source })
}

/// Whether one of these events is called that: a name is looked at before the data of what it names.
fn knows<T: DeserializeOwned>(kind: &str) -> bool {
    let read = serde_json::from_value::<T>(json!({ "type": kind, "data": null }));
    !read.is_err_and(|error| error.to_string().starts_with("unknown variant"))
}

macro_rules! events_of {
    ($($variant:ident: $module:ident),*) => {
        $(impl From<$module::Event> for Event {
            fn from(event: $module::Event) -> Self {
                Self::$variant(event)
            }
        })*

        impl Event {
            /// Whether there are events that are called that.
            pub fn is_called(kind: &str) -> bool {
                $(knows::<$module::Event>(kind))||*
            }
        }
    };
}

events_of!(Tier: tier, Membership: membership, Integration: integration, Guild: guild, Fan: fan, DiscordAccount: account, Access: access, Hold: hold, Creator: creator);

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::{
        DiscordUserId, GuildId, HoldId, IntegrationId, RoleId, Trouble,
        access::{Attempt, Desired, Found, Holder, Report},
        account::AccountKey,
        discord::{Permissions, Role, RoleList},
        fan::{BrokenBy, Link},
        hold::{Cause, Held, RemovalLimit},
        integration::{Drift, OnEnd, Provider, Server},
        membership::{Status, Terms},
        personal::{Account, Personal},
    };

    fn terms(status: Status) -> Terms {
        Terms {
            membership: "m-1".parse().unwrap(),
            fan: "ada".parse().unwrap(),
            creator: "kim".parse().unwrap(),
            tier: "gold".parse().unwrap(),
            status,
            ends_at: DateTime::from_timestamp(1_800_000_000, 0),
            version: 3,
        }
    }

    fn of_membership() -> Vec<Event> {
        use membership::Event::*;
        let events = vec![
            MembershipPurchased(terms(Status::Active)),
            MembershipRenewed(terms(Status::Active)),
            MembershipTierChanged(terms(Status::Active)),
            MembershipReinstated(terms(Status::Active)),
            MembershipCanceled(terms(Status::Canceled)),
            MembershipPaused(terms(Status::Paused)),
            MembershipExpired(terms(Status::Canceled)),
            MembershipRefunded(terms(Status::Refunded)),
            MembershipChargedBack(terms(Status::ChargedBack)),
        ];
        events.into_iter().map(Event::from).collect()
    }

    fn of_integration() -> Vec<Event> {
        use integration::{Event::*, Left};
        let integration = IntegrationId(Uuid::from_u128(1));
        let (creator, tier) = ("kim".parse().unwrap(), || "gold".parse().unwrap());
        let (guild, vip) = (GuildId(42), RoleId(10));
        let role = Role {
            id: vip,
            name: "VIP".into(),
            position: 1,
            color: 0x00ff_aa00,
            managed: false,
            permissions: Permissions(0),
        };
        let server = Server { id: guild, name: "Kim's Club".into(), icon: Some("a1b2".into()) };
        let name: crate::DisplayName = "Kim's Discord".parse().unwrap();
        let events = vec![
            IntegrationCreated {
                integration,
                creator,
                provider: Provider::Discord,
                name: name.clone(),
            },
            IntegrationRenamed { integration, name },
            RemovalPolicyChanged { integration, on_end: OnEnd::RolesOnly },
            DriftPolicyChanged { integration, drift: Drift::Respect },
            RemovalLimitChanged { integration, limit: RemovalLimit { fans: 50, percent: 10 } },
            ServerConnected { integration, guild: server },
            RolesRefreshed { integration, guild, roles: RoleList::new(vec![role], [vip]) },
            MembershipAttached { integration, tier: tier(), roles: [vip].into() },
            AttachmentRolesChanged { integration, tier: tier(), roles: [].into() },
            MembershipDetached { integration, tier: tier() },
            BotRemoved { integration, guild },
            BotReturned { integration, guild },
            DisconnectStarted { integration, guild, remove: true },
            ServerDisconnected { integration, guild, left_behind: 0, left: vec![] },
            ServerDisconnected {
                integration,
                guild,
                left_behind: 1,
                left: vec![Left {
                    fan: "ada".parse().unwrap(),
                    roles: [vip].into(),
                    brought_in: true,
                }],
            },
            IntegrationRemoved { integration },
        ];
        events.into_iter().map(Event::from).collect()
    }

    fn account() -> Personal<Account> {
        Personal::Known(Account { id: DiscordUserId(77), username: "ada".into() })
    }

    fn of_people() -> Vec<Event> {
        let fan = || "ada".parse().unwrap();
        let integration = IntegrationId(Uuid::from_u128(1));
        let account_key = || AccountKey::new("c0ffee");
        let link = || Link { fan: fan(), account: account(), account_key: account_key() };
        vec![
            fan::Event::FanLinked(link()).into(),
            fan::Event::FanUnlinked(link()).into(),
            fan::Event::LinkBroken {
                fan: fan(),
                account_key: account_key(),
                reason: BrokenBy::InvalidGrant,
            }
            .into(),
            fan::Event::LinkBroken {
                fan: fan(),
                account_key: account_key(),
                reason: BrokenBy::RenewalLost,
            }
            .into(),
            fan::Event::IntegrationActivated { fan: fan(), integration }.into(),
            fan::Event::IntegrationDeactivated { fan: fan(), integration }.into(),
            fan::Event::NotificationRead { fan: fan(), notification: Uuid::from_u128(2) }.into(),
            fan::Event::ManualGrantGiven(fan::Grant {
                fan: fan(),
                creator: "kim".parse().unwrap(),
                integration,
                roles: [RoleId(10)].into(),
                until: DateTime::from_timestamp(1_800_000_000, 0),
            })
            .into(),
            fan::Event::ManualGrantEnded { fan: fan(), integration }.into(),
            fan::Event::AccessWithheld { fan: fan(), integration, why: "spam".into() }.into(),
            fan::Event::WithholdingLifted { fan: fan(), integration }.into(),
            account::Event::AccountReserved { account_key: account_key(), fan: fan() }.into(),
            account::Event::AccountReleased { account_key: account_key(), fan: fan() }.into(),
        ]
    }

    fn of_access() -> Vec<Event> {
        let holder = || Holder {
            guild: GuildId(42),
            fan: "ada".parse().unwrap(),
            account: account(),
            account_key: AccountKey::new("c0ffee"),
        };
        let attempt = || Attempt {
            holder: holder(),
            command: 12,
            at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            roles: [RoleId(10)].into(),
            removes: [RoleId(11)].into(),
            found: None,
        };
        let found = Found {
            joined_at: DateTime::from_timestamp(1_700_000_000, 0),
            brought_in: true,
            given: [RoleId(12)].into(),
            kept: [RoleId(13)].into(),
        };
        let report = || Report {
            holder: holder(),
            command: 12,
            desired: Desired { present: true, roles: [RoleId(10)].into() },
            given: [RoleId(10)].into(),
            kept: [RoleId(11)].into(),
            present: Some(true),
            brought_in: true,
            joined_at: None,
            unseen: false,
            trouble: None,
            role: None,
            http_status: None,
            detail: None,
        };
        let refused = || Report {
            trouble: Some(Trouble::MissingPermissions),
            role: Some(RoleId(10)),
            http_status: Some(403),
            detail: Some("Missing Permissions".into()),
            ..report()
        };
        vec![
            access::Event::JoinAttempted(attempt()).into(),
            access::Event::RolesAttempted(attempt()).into(),
            access::Event::RolesAttempted(Attempt { found: Some(found), ..attempt() }).into(),
            access::Event::RemovalAttempted(attempt()).into(),
            access::Event::AccessGranted(report()).into(),
            access::Event::AccessChanged(report()).into(),
            access::Event::AccessRevoked(report()).into(),
            access::Event::AccessBlocked(refused()).into(),
            access::Event::RevokeBlocked(refused()).into(),
            access::Event::DriftObserved { holder: holder(), missing: [RoleId(10)].into() }.into(),
            access::Event::DriftMended {
                holder: holder(),
                roles: [RoleId(10)].into(),
                kept: [RoleId(11)].into(),
            }
            .into(),
            access::Event::RemovalFoundUndone {
                holder: holder(),
                roles: [RoleId(10)].into(),
                brought_in: true,
            }
            .into(),
            access::Event::MemberLeft { holder: holder() }.into(),
            access::Event::MemberReturned { holder: holder() }.into(),
            access::Event::MemberBanned { holder: holder() }.into(),
        ]
    }

    fn of_holds() -> Vec<Event> {
        let (id, integration) = (HoldId(Uuid::from_u128(3)), IntegrationId(Uuid::from_u128(1)));
        let creator = || "kim".parse().unwrap();
        let held = Held {
            hold: id,
            creator: creator(),
            integration,
            cause: Cause::Import,
            losing: 60,
            of: 80,
            limit: RemovalLimit { fans: 50, percent: 10 },
            until: None,
        };
        let lapses = Held {
            cause: Cause::Lapses,
            until: DateTime::from_timestamp(1_800_000_000, 0),
            ..held.clone()
        };
        vec![
            hold::Event::RemovalsHeld(held).into(),
            hold::Event::RemovalsHeld(lapses).into(),
            hold::Event::RemovalsApproved { hold: id, creator: creator(), integration }.into(),
            hold::Event::RemovalsRejected { hold: id, creator: creator(), integration }.into(),
            creator::Event::NoticeRead { creator: creator(), notice: Uuid::from_u128(4) }.into(),
        ]
    }

    fn every_event() -> Vec<Event> {
        let (creator, tier) = (|| "kim".parse().unwrap(), || "gold".parse().unwrap());
        let name = || "Gold".parse().unwrap();
        let (guild, integration) = (GuildId(42), IntegrationId(Uuid::from_u128(1)));
        let mut events: Vec<Event> = vec![
            tier::Event::TierRegistered { creator: creator(), tier: tier(), name: name() }.into(),
            tier::Event::TierRenamed { creator: creator(), tier: tier(), name: name() }.into(),
            guild::Event::GuildReserved { guild, creator: creator(), integration }.into(),
            guild::Event::GuildReleased { guild, creator: creator(), integration }.into(),
        ];
        events.extend(of_membership());
        events.extend(of_integration());
        events.extend(of_people());
        events.extend(of_access());
        events.extend(of_holds());
        events
    }

    fn category(event: &Event) -> &'static str {
        match event {
            Event::Tier(_) => Tier::CATEGORY,
            Event::Membership(_) => Membership::CATEGORY,
            Event::Integration(_) => Integration::CATEGORY,
            Event::Guild(_) => Guild::CATEGORY,
            Event::Fan(_) => Fan::CATEGORY,
            Event::DiscordAccount(_) => DiscordAccount::CATEGORY,
            Event::Access(_) => Access::CATEGORY,
            Event::Hold(_) => Hold::CATEGORY,
            Event::Creator(_) => Creator::CATEGORY,
        }
    }

    /// The promise to every log that was ever written: a change here needs a new schema and a step in
    /// `upcast` for the old one.
    #[test]
    fn the_json_of_every_event_stays_as_it_was_released() {
        insta::assert_json_snapshot!(every_event());
    }

    #[test]
    fn every_event_reads_back_from_its_form_in_the_log() {
        for event in every_event() {
            let Encoded { kind, schema, data } = event.encode().unwrap();
            assert_eq!(Event::decode(category(&event), &kind, schema, &data).unwrap(), event);
            assert!(Event::is_called(&kind), "{kind}");
        }
        assert!(!Event::is_called("Rained"));
    }

    #[test]
    fn an_event_of_a_newer_program_is_refused_and_not_guessed() {
        let error = Event::decode("fan", "FanLinked", 9, "{}").unwrap_err();
        assert!(matches!(error, DecodeError::UnknownSchema { .. }), "{error}");
        let error = Event::decode("weather", "Rained", 1, "{}").unwrap_err();
        assert!(matches!(error, DecodeError::UnknownCategory(_)), "{error}");
    }

    #[test]
    fn no_event_holds_a_discord_account_outside_its_sealed_field() {
        for mut event in every_event() {
            if let Some(subject) = event.subject() {
                *subject.account = Personal::Erased;
            }
            let Encoded { kind, data, .. } = event.encode().unwrap();
            assert!(!data.contains("77"), "{kind}: {data}");
        }
    }
}
