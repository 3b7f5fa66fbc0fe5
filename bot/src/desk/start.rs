//! Leave to call Discord: the attempt is recorded first.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::access::{self, Access, Attempt, Calls, Found, Seen, Standing};
use eventstore::HandleError;
use projections::{CommandKind, CommandRow};
use secrecy::{ExposeSecret, SecretString};

use super::{Desk, DeskError};
use crate::wire::{Known, StartRequest, Started};

impl Desk {
    /// Records that Discord is about to be called, and answers what that needs.
    pub async fn start(
        &self,
        bot: &str,
        id: &str,
        request: StartRequest,
    ) -> Result<Started, DeskError> {
        let StartRequest { epoch, seen, refused_token } = request;
        let (row, _) = self.command(bot, id, epoch).await?;
        let joins = row.plan.join && seen.is_none();
        let refused = refused_token.map(SecretString::from);
        let token = if joins { self.token(bot, &row, refused.as_ref()).await? } else { None };
        let seen = seen.map(Seen::from);
        let calls = match row.kind {
            CommandKind::Revoke => Calls::Removal,
            CommandKind::Grant if token.is_some() => Calls::Join,
            // Without a token nobody can be brought in.
            CommandKind::Grant | CommandKind::Change => Calls::Roles,
        };
        let (now, stream) = (self.now(), access::stream(row.guild, &row.fan));
        let mut attempts = self.store.attempts();
        loop {
            let mut decision = self.store.begin(self.metadata(bot), None);
            let state = decision.load::<Access>(&stream).await?;
            let standing = state.standings.get(&row.account_key).unwrap_or(&row.standing);
            let found = seen.as_ref().map(|seen| standing.found(seen, &row.desired.roles, now));
            let attempt = attempt(&row, standing, calls, found.as_ref(), now);
            let give = attempt.roles.clone();
            if calls != Calls::Roles || !give.is_empty() || !attempt.removes.is_empty() {
                let start = access::Command::Start { attempt, calls };
                match decision.handle::<Access>(&stream, start).await {
                    Ok(_) => {}
                    Err(HandleError::Refused(access::Refusal::Superseded)) => {
                        return Err(DeskError::Superseded);
                    }
                    Err(HandleError::Store(error)) => return Err(error.into()),
                }
            }
            if decision.commit(&mut attempts).await?.is_some() {
                return Ok(Started {
                    attempted_at: now,
                    compared: self.comparisons.is_compared(row.guild),
                    access_token: token.as_ref().map(|token| token.expose_secret().to_owned()),
                    calls: row.plan.clone().into(),
                    give,
                    known: found.map_or_else(|| Known::of(standing), Known::found),
                });
            }
        }
    }
}

/// The calls of a command that can be made now, as they are announced.
fn attempt(
    row: &CommandRow,
    standing: &Standing,
    calls: Calls,
    found: Option<&Found>,
    at: DateTime<Utc>,
) -> Attempt {
    // A desired role that was neither there nor to be given is withheld for a reason.
    let wanted = row.desired.roles.iter().filter(|role| {
        row.plan.grant.contains(role)
            || standing.given.contains(role)
            || standing.kept.contains(role)
    });
    let roles = match (calls, found) {
        // Whoever is brought in has nothing yet.
        (Calls::Join, _) => wanted.copied().collect(),
        (Calls::Roles, Some(Found { given, kept, .. })) => {
            wanted.filter(|role| !given.contains(role) && !kept.contains(role)).copied().collect()
        }
        // What a member has from elsewhere is not the Hub's to take later, so they are looked at before giving.
        (Calls::Roles, None) | (Calls::Removal, _) => BTreeSet::new(),
    };
    let removes = match found {
        Some(found) => found.given.difference(&row.desired.roles).copied().collect(),
        None => row.plan.remove.clone(),
    };
    let found = found.filter(|_| calls == Calls::Roles).cloned();
    Attempt { holder: row.holder(), command: row.version, at, roles, removes, found }
}
