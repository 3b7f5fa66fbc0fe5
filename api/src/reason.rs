//! What the matter is, who can mend it, and how: the same four fields everywhere.

use domain::{RoleId, Trouble, Who, discord::Role, status::Status, trouble::Matter};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Reason {
    /// Stable, for programs.
    pub(crate) code: String,
    pub(crate) detail: String,
    /// What to do.
    pub(crate) fix: String,
    /// `fan`, `creator` or `operator`.
    pub(crate) who: Who,
    /// The role that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<RoleId>,
}

impl Reason {
    pub(crate) fn of((trouble, role): Matter) -> Self {
        Self {
            code: trouble.code().to_owned(),
            detail: trouble.detail().to_owned(),
            fix: trouble.fix().to_owned(),
            who: trouble.who(),
            role,
        }
    }

    pub(crate) fn new(code: &str, who: Who, detail: &str, fix: &str) -> Self {
        Self {
            code: code.to_owned(),
            detail: detail.to_owned(),
            fix: fix.to_owned(),
            who,
            role: None,
        }
    }

    /// That whoever buys a role gets power over the server with it, where it has any.
    pub(crate) fn of_powers(role: &Role) -> Option<Self> {
        let powers = role.permissions.powers();
        let detail = format!("Whoever is given this role gets: {}.", powers.join(", "));
        let fix = "Choose a role without them, unless fans are meant to have them.";
        (!powers.is_empty()).then(|| Self {
            role: Some(role.id),
            ..Self::new("role_has_powers", Who::Creator, &detail, fix)
        })
    }

    /// That fans wait for their creator, where some do.
    pub(crate) fn of_waiting(fans: u64) -> Option<Self> {
        let detail = format!("{fans} of the fans wait for something that only you can mend.");
        let fix = "Look at the fans who are blocked: each shows what to do.";
        (fans > 0).then(|| Self::new("fans_blocked", Who::Creator, &detail, fix))
    }

    /// That removals wait for approval, where some do.
    pub(crate) fn of_held(fans: u64) -> Option<Self> {
        let held = Trouble::RemovalHeld;
        let detail = format!(
            "The access of {fans} fans is to be taken away at once, which waits for approval."
        );
        let fix = "Look at the held removals and approve or reject them.";
        (fans > 0).then(|| Self::new(held.code(), held.who(), &detail, fix))
    }

    /// Why a fan stands where they stand.
    pub(crate) fn of_fan(status: Status, trouble: Option<Matter>, linked: bool) -> Option<Self> {
        match (status, trouble) {
            (_, Some(trouble)) => Some(Self::of(trouble)),
            (Status::Available, None) if linked => Some(Self::new(
                "not_activated",
                Who::Fan,
                "This integration is available and not activated yet.",
                "Activate it.",
            )),
            (Status::Available, None) => Some(Self::new(
                "not_linked",
                Who::Fan,
                "No Discord account is connected yet.",
                "Connect Discord.",
            )),
            (
                Status::Pending
                | Status::Connected
                | Status::ActionRequired
                | Status::Blocked
                | Status::Revoking
                | Status::RevokeBlocked
                | Status::Revoked,
                None,
            ) => None,
        }
    }
}
