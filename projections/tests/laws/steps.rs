//! What may happen in a random history.

use domain::{
    RoleId,
    access::Sighting,
    integration::{Drift, OnEnd},
    membership::Status,
};
use proptest::prelude::*;

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Report {
        membership: u8,
        tier: u8,
        status: Status,
    },
    Link {
        fan: u8,
        account: u8,
    },
    Unlink {
        fan: u8,
    },
    /// Accounts that hold nothing any more are anybody's again.
    Release,
    Choose {
        fan: u8,
        integration: u8,
        on: bool,
    },
    Grant {
        fan: u8,
        integration: u8,
        on: bool,
    },
    Withhold {
        fan: u8,
        integration: u8,
        on: bool,
    },
    Connect {
        integration: u8,
    },
    Attach {
        integration: u8,
        tier: u8,
        roles: u8,
    },
    Detach {
        integration: u8,
        tier: u8,
    },
    Policy {
        integration: u8,
        on_end: OnEnd,
    },
    Drift {
        integration: u8,
        drift: Drift,
    },
    /// The server looks otherwise: its roles are read, or the bot is not there.
    Look {
        integration: u8,
        look: Look,
    },
    Leave {
        integration: u8,
    },
    Confirm {
        integration: u8,
    },
    Execute {
        nth: u8,
        ends: Ends,
    },
    See {
        nth: u8,
        sighting: Sighting,
    },
    /// Memberships, each a bit, that are imported together and whose removals are held.
    Import {
        integration: u8,
        memberships: u8,
        tier: u8,
        status: Status,
    },
    /// A hold for paid periods that run out.
    HoldLapses {
        integration: u8,
    },
    Lapse {
        membership: u8,
    },
    /// A change of the creator whose removals are held.
    HoldChange {
        integration: u8,
        tier: u8,
        change: Change,
    },
    Decide {
        nth: u8,
        approve: bool,
    },
    ReadNotice {
        nth: u8,
    },
    /// The views come to rest, so that the next run begins here.
    Rest,
    StartAnew,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Look {
    /// The bot stands above all roles, or below them.
    Above(bool),
    /// What was refused is tried again.
    Again,
    /// A role that tiers give is there, or is deleted.
    Deleted,
    Bot(bool),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    Roles(u8),
    Detach,
    OnEnd(OnEnd),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Ends {
    Done,
    Refused,
    Unknown,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let status = prop::sample::select(vec![
        Status::Active,
        Status::Active,
        Status::Paused,
        Status::Refunded,
    ]);
    let ends = prop::sample::select(vec![Ends::Done, Ends::Done, Ends::Refused, Ends::Unknown]);
    let sighting = prop::sample::select(vec![
        Sighting::Left,
        Sighting::Returned,
        Sighting::Banned,
        Sighting::Missing([RoleId(10)].into()),
        Sighting::There([RoleId(10)].into()),
    ]);
    let on_end = prop::sample::select(vec![OnEnd::RolesOnly, OnEnd::RemoveFromServer]);
    let drift = prop::sample::select(vec![Drift::Repair, Drift::Report, Drift::Respect]);
    let look = prop_oneof![
        any::<bool>().prop_map(Look::Above),
        Just(Look::Again),
        Just(Look::Deleted),
        any::<bool>().prop_map(Look::Bot),
    ];
    let change = prop_oneof![
        (0u8..4).prop_map(Change::Roles),
        Just(Change::Detach),
        prop::sample::select(vec![OnEnd::RolesOnly, OnEnd::RemoveFromServer])
            .prop_map(Change::OnEnd),
    ];
    let ended = prop::sample::select(vec![Status::Expired, Status::Expired, Status::Active]);
    prop_oneof![
        3 => (0u8..3, any::<u8>(), 0u8..2, ended).prop_map(|(integration, memberships, tier, status)| {
            Step::Import { integration, memberships, tier, status }
        }),
        1 => (0u8..3).prop_map(|integration| Step::HoldLapses { integration }),
        1 => (0u8..5).prop_map(|membership| Step::Lapse { membership }),
        2 => (0u8..3, 0u8..2, change)
            .prop_map(|(integration, tier, change)| Step::HoldChange { integration, tier, change }),
        2 => (0u8..4, any::<bool>()).prop_map(|(nth, approve)| Step::Decide { nth, approve }),
        1 => (0u8..4).prop_map(|nth| Step::ReadNotice { nth }),
        6 => (0u8..5, 0u8..2, status).prop_map(|(membership, tier, status)| Step::Report { membership, tier, status }),
        3 => (0u8..3, 0u8..4).prop_map(|(fan, account)| Step::Link { fan, account }),
        1 => (0u8..3).prop_map(|fan| Step::Unlink { fan }),
        1 => Just(Step::Release),
        2 => (0u8..3, 0u8..3, any::<bool>())
            .prop_map(|(fan, integration, on)| Step::Choose { fan, integration, on }),
        1 => (0u8..3, 0u8..3, any::<bool>())
            .prop_map(|(fan, integration, on)| Step::Grant { fan, integration, on }),
        1 => (0u8..3, 0u8..3, any::<bool>())
            .prop_map(|(fan, integration, on)| Step::Withhold { fan, integration, on }),
        2 => (0u8..3).prop_map(|integration| Step::Connect { integration }),
        4 => (0u8..3, 0u8..2, 0u8..4)
            .prop_map(|(integration, tier, roles)| Step::Attach { integration, tier, roles }),
        1 => (0u8..3, 0u8..2).prop_map(|(integration, tier)| Step::Detach { integration, tier }),
        1 => (0u8..3, on_end).prop_map(|(integration, on_end)| Step::Policy { integration, on_end }),
        1 => (0u8..3, drift).prop_map(|(integration, drift)| Step::Drift { integration, drift }),
        3 => (0u8..3, look).prop_map(|(integration, look)| Step::Look { integration, look }),
        1 => (0u8..3).prop_map(|integration| Step::Leave { integration }),
        1 => (0u8..3).prop_map(|integration| Step::Confirm { integration }),
        6 => (0u8..4, ends).prop_map(|(nth, ends)| Step::Execute { nth, ends }),
        1 => (0u8..4, sighting).prop_map(|(nth, sighting)| Step::See { nth, sighting }),
        3 => Just(Step::Rest),
        1 => Just(Step::StartAnew),
    ]
}
