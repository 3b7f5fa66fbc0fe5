//! How a fan stands in an integration, in their words, with the one thing that they can do about it.

use std::{collections::BTreeSet, sync::Arc};

use axum::extract::State;
use domain::{CreatorId, FanId, IntegrationId, Trouble, status::Status};
use projections::{Change, Topic};

use crate::{
    app::App,
    auth::ByFan,
    error::ApiError,
    extract::{Path, Query},
    pages::{
        components::{Chip, RolePill},
        session::Signed,
        texts::{Standing, Texts, Troubles},
    },
    paging::Paging,
    reason::Reason,
    routes::{
        fan_grants,
        fans::{self, FanIntegration, FanMembership},
        integrations::GuildAnswer,
    },
};

/// How many integrations of one creator are looked at.
const MOST: u32 = 1_000;

/// The one button of a trouble.
pub(super) enum Action {
    Connect,
    ConnectAgain,
    Activate,
    Restore,
    /// Where the server is.
    Open(String),
    /// Where help is.
    Support(String),
}

/// An integration as a fan sees it.
pub(super) struct Access {
    pub(super) id: IntegrationId,
    /// What the row is called in the page: an integration may be there once for each reason.
    pub(super) key: String,
    pub(super) name: String,
    pub(super) server: Option<String>,
    pub(super) roles: Vec<RolePill>,
    pub(super) chip: Chip,
    pub(super) status: Status,
    /// What is the matter, or what happens now.
    pub(super) words: Option<&'static str>,
    /// The tone of the words.
    pub(super) tone: &'static str,
    pub(super) action: Option<Action>,
    /// Nothing gives it any more.
    kept: bool,
}

impl Access {
    /// As a fan has it now; `reason`: what gives it.
    pub(super) async fn of(
        app: &App,
        t: &'static Texts,
        fan: &FanId,
        reason: &str,
        shown: &FanIntegration,
    ) -> Result<Self, ApiError> {
        let access = Self::told(app, t, reason, shown);
        if access.words != Some(t.troubles.creator) {
            return Ok(access);
        }
        let row = app.views.fan_access().fan_row(shown.id, fan).await?;
        Ok(match row.and_then(|row| row.present) {
            Some(true) => {
                let action = open(app, shown);
                Self { words: Some(t.troubles.creator_in), tone: "", action, ..access }
            }
            Some(false) | None => access,
        })
    }

    fn told(app: &App, t: &'static Texts, reason: &str, shown: &FanIntegration) -> Self {
        let code = shown.reason.as_ref().map(|reason| reason.code.as_str());
        let help = || {
            let settings = &app.pages;
            let mail = settings.support_email.as_ref().map(|email| format!("mailto:{email}"));
            settings.support_url.as_ref().map(ToString::to_string).or(mail).map(Action::Support)
        };
        let waits = code == Some(Trouble::RemovalHeld.code());
        let (words, action) = match (shown.status, code) {
            (Status::Connected, _) => (None, open(app, shown)),
            (Status::Revoking, _) if waits => (Some(t.troubles.kept), open(app, shown)),
            (Status::Pending | Status::Revoked, _) => (None, None),
            (Status::Revoking | Status::RevokeBlocked, _) => (Some(t.troubles.ending), None),
            (_, Some(code)) => {
                let (words, action) = trouble(&t.troubles, code);
                (Some(words), action.or_else(help))
            }
            (Status::Available | Status::ActionRequired | Status::Blocked, None) => (None, help()),
        };
        Self {
            id: shown.id,
            key: format!("{reason}-{}", shown.id),
            name: shown.name.to_string(),
            server: shown.server.as_ref().map(|server| server.name.clone()),
            roles: shown
                .roles
                .iter()
                .map(|role| match &role.name {
                    Some(name) => RolePill::new(name, role.color),
                    None => RolePill::gone(&role.id.to_string()),
                })
                .collect(),
            chip: chip(&t.standing, shown.status, code),
            status: shown.status,
            words,
            tone: match shown.status {
                Status::ActionRequired => "warn",
                Status::Blocked => "bad",
                _ => "",
            },
            action,
            kept: false,
        }
    }

    /// The same where a membership gave it that does not do so any more.
    pub(super) fn of_what_is_kept(self, t: &'static Texts) -> Self {
        let words =
            if self.status == Status::Connected { Some(t.troubles.kept) } else { self.words };
        Self { words, kept: true, ..self }
    }

    /// The same below a membership that runs: who has all of it has it, whatever else could not be taken away yet.
    pub(super) fn of_what_is_live(self, t: &'static Texts) -> Self {
        match self.status {
            Status::RevokeBlocked => Self {
                chip: chip(&t.standing, Status::Connected, None),
                status: Status::Connected,
                words: None,
                ..self
            },
            _ => self,
        }
    }

    /// The same below a membership that is over: what the fan has there is given by something else, and stands there.
    pub(super) fn of_what_is_over(self, t: &'static Texts, shown: &FanIntegration) -> Self {
        let kept = shown
            .reason
            .as_ref()
            .is_some_and(|reason| reason.code == Trouble::RemovalRejected.code());
        match self.status {
            Status::Revoked | Status::Revoking | Status::RevokeBlocked => self,
            _ if kept => self,
            _ => Self {
                chip: chip(&t.standing, Status::Revoked, None),
                status: Status::Revoked,
                words: None,
                action: None,
                ..self
            },
        }
    }

    /// Whether there is something to press here: connecting an account is for all servers at once.
    pub(super) fn has_button(&self) -> bool {
        self.action.as_ref().is_some_and(|action| !matches!(action, Action::Connect))
    }

    /// Whether the words say more than the button that connects an account.
    pub(super) fn says_more(&self) -> bool {
        !matches!(self.action, Some(Action::Connect))
    }

    /// Whether the fan may turn it off: what gives nothing cannot be left.
    pub(super) fn can_be_left(&self) -> bool {
        !self.kept
            && matches!(
                self.status,
                Status::Connected | Status::Pending | Status::Blocked | Status::ActionRequired
            )
    }

    /// Whether the roles are what the membership gives, rather than what it gave.
    pub(super) fn is_offered(&self) -> bool {
        !self.kept
            && !matches!(self.status, Status::Revoked | Status::Revoking | Status::RevokeBlocked)
    }
}

/// The way into the server.
fn open(app: &App, shown: &FanIntegration) -> Option<Action> {
    Some(Action::Open(app.oauth.server_url(shown.server.as_ref()?.id).into()))
}

/// What a fan still has of a creator though nothing gives it any more: it waits to be taken away, or is left to them.
pub(super) async fn kept(
    app: &App,
    fan: &FanId,
    creator: &CreatorId,
    given: &BTreeSet<IntegrationId>,
) -> Result<Vec<FanIntegration>, ApiError> {
    let mut kept = vec![];
    for row in app.views.integrations().of_creator(creator, None, MOST).await? {
        if row.state.held_guild().is_none() || given.contains(&row.id) {
            continue;
        }
        let known = app.views.fan_access().fan_row(row.id, fan).await?;
        let has =
            |status| matches!(status, Status::Connected | Status::Revoking | Status::RevokeBlocked);
        let Some(known) = known.filter(|known| has(known.status)) else { continue };
        kept.push(FanIntegration {
            id: row.id,
            name: row.name,
            server: row.state.server.as_ref().map(GuildAnswer::of),
            status: known.status,
            reason: Reason::of_fan(known.status, known.trouble, true),
            roles: vec![],
        });
    }
    Ok(kept)
}

fn chip(t: &Standing, status: Status, code: Option<&str>) -> Chip {
    match status {
        Status::Available => match code {
            Some("not_linked") => Chip::new(t.not_linked, ""),
            Some("not_activated") => Chip::new(t.not_activated, ""),
            _ => Chip::new(t.available, ""),
        },
        Status::Pending => Chip::new(t.pending, "work"),
        Status::Connected => Chip::new(t.connected, "good"),
        Status::ActionRequired => Chip::new(t.action_required, "warn"),
        Status::Blocked if code == Some("withheld") => Chip::new(t.withheld, ""),
        Status::Blocked => Chip::new(t.blocked, "bad"),
        // That a removal is refused is the creator's to know.
        Status::Revoking | Status::RevokeBlocked => Chip::new(t.revoking, "work"),
        Status::Revoked => Chip::new(t.revoked, ""),
    }
}

/// A trouble's words for a fan, and what they can do; nothing where it is somebody else's turn.
fn trouble(t: &Troubles, code: &str) -> (&'static str, Option<Action>) {
    match code {
        "not_linked" => (t.not_linked, Some(Action::Connect)),
        "not_activated" => (t.not_activated, Some(Action::Activate)),
        "link_broken" => (t.link_broken, Some(Action::ConnectAgain)),
        "renewal_lost" => (t.renewal_lost, Some(Action::ConnectAgain)),
        "missing_scope" => (t.missing_scope, Some(Action::ConnectAgain)),
        "account_gone" => (t.account_gone, Some(Action::ConnectAgain)),
        "left_server" => (t.left_server, Some(Action::Restore)),
        "server_limit_reached" => (t.server_limit, Some(Action::Restore)),
        "joining_limited" => (t.joining_limited, Some(Action::Restore)),
        "account_unverified" => (t.unverified, Some(Action::Restore)),
        "banned" => (t.banned, None),
        "server_full" => (t.full, None),
        "withheld" => (t.withheld, None),
        "two_factor_needed" | "bot_token_dead" | "refused_by_discord" => (t.operator, None),
        _ => (t.creator, None),
    }
}

/// Everything that a fan was offered, by memberships and by hand; what there are several reasons for is there once, as what
/// gives something now has it.
pub(super) async fn all(
    app: &Arc<App>,
    signed: &Signed<FanId>,
) -> Result<Vec<FanIntegration>, ApiError> {
    let whole = || Query(Paging::whole());
    let caller = || ByFan::of(signed.caller.clone());
    let (state, fan) = (|| State(Arc::clone(app)), || Path(signed.who.clone()));
    let held = fans::integrations(state(), caller()?, fan(), whole()).await?.0.data;
    let given = fan_grants::list(state(), caller()?, fan(), whole()).await?.0.data;
    let (live, over): (Vec<_>, Vec<_>) = held.into_iter().partition(|held| held.live);
    let of = |held: Vec<FanMembership>| held.into_iter().flat_map(|held| held.integrations);
    let by_hand = given.into_iter().map(|given| given.integration);
    let mut all: Vec<_> = of(live).chain(by_hand).chain(of(over)).collect();
    let mut seen = BTreeSet::new();
    all.retain(|shown| seen.insert(shown.id));
    Ok(all)
}

/// A trouble's words for a fan.
pub(super) fn words(t: &Troubles, code: &str) -> &'static str {
    trouble(t, code).0
}

/// Whether a change may change what a fan sees.
pub(super) fn concerns(fan: &FanId, change: &Change) -> bool {
    match change.topic {
        Topic::Fans | Topic::Notifications => change.key == fan.as_str(),
        Topic::Integrations => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use domain::Who;

    use super::*;
    use crate::pages::texts;

    #[test]
    fn whatever_only_the_fan_can_mend_has_a_button() {
        for known in Trouble::ALL.iter().filter(|known| known.who() == Who::Fan) {
            let (words, action) = trouble(&texts::EN.troubles, known.code());
            assert!(action.is_some(), "{known}: {words}");
        }
    }

    #[test]
    fn what_somebody_else_mends_does_not_send_the_fan_to_do_it() {
        for known in Trouble::ALL.iter().filter(|known| known.who() != Who::Fan) {
            let (words, action) = trouble(&texts::EN.troubles, known.code());
            assert!(action.is_none(), "{known}: {words}");
            assert_ne!(words, known.detail(), "said to the creator");
        }
    }
}
