//! The shapes that all answers of the audit share.

use std::collections::BTreeSet;

use domain::{
    Account, Personal, RoleId,
    access::{Desired, Report},
};
use projections::audit::{Had, Knowledge};
use serde::Serialize;
use utoipa::ToSchema;

use super::names::Names;
use crate::{reason::Reason, routes::integration_fans::AccountAnswer};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NamedRole)]
pub(crate) struct RoleShape {
    pub(crate) id: RoleId,
    /// Null where the log never told it.
    pub(crate) name: Option<String>,
}

pub(super) fn roles(roles: &BTreeSet<RoleId>, names: &Names) -> Vec<RoleShape> {
    let role = |id: &RoleId| RoleShape { id: *id, name: names.role(*id).map(str::to_owned) };
    roles.iter().map(role).collect()
}

/// The union of all reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DesiredThen)]
pub(crate) struct DesiredShape {
    pub(crate) present: bool,
    pub(crate) roles: Vec<RoleShape>,
}

impl DesiredShape {
    pub(super) fn of(desired: &Desired, names: &Names) -> Self {
        Self { present: desired.present, roles: roles(&desired.roles, names) }
    }
}

/// What was had, as far as Discord told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = HadThen)]
pub(crate) struct HadShape {
    /// `attempted`: Discord was being asked for the desired access, and what it said before still stood. `accepted`:
    /// Discord accepted the desired access. `refused`: it refused a part of it. `observed`: somebody else changed it.
    pub(crate) state: Knowledge,
    /// In the server; null where Discord has not told.
    pub(crate) present: Option<bool>,
    /// Whether the Hub brought the fan into the server.
    pub(crate) brought_in: bool,
    /// What the Hub gave.
    pub(crate) roles: Vec<RoleShape>,
    /// Desired roles that the fan had from elsewhere.
    pub(crate) kept: Vec<RoleShape>,
    /// As it was sent to Discord.
    pub(crate) desired: DesiredShape,
}

impl HadShape {
    pub(super) fn of(had: &Had, names: &Names) -> Self {
        Self {
            state: had.state,
            present: had.present,
            brought_in: had.brought_in,
            roles: roles(&had.roles, names),
            kept: roles(&had.kept, names),
            desired: DesiredShape::of(&had.desired, names),
        }
    }
}

/// Whether a person's data can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PersonalData {
    Known,
    /// Its key is not at hand.
    Sealed,
    /// The key is destroyed.
    Erased,
}

/// The Discord account, where it can be told, and whether it can.
pub(super) fn account(account: &Personal<Account>) -> (Option<AccountAnswer>, PersonalData) {
    match account {
        Personal::Known(known) => (Some(AccountAnswer::of(known)), PersonalData::Known),
        Personal::Sealed(_) => (None, PersonalData::Sealed),
        Personal::Erased => (None, PersonalData::Erased),
    }
}

/// Why Discord refused, where it did.
pub(super) fn refused(report: &Report) -> Option<Reason> {
    report.trouble.map(|trouble| Reason::of((trouble, report.role)))
}
