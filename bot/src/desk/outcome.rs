//! What came of a command, as a bot process reports it, and as it is recorded.

use std::collections::BTreeSet;

use domain::{
    GuildId, RoleId, Trouble,
    access::{self, Access, Report, Sighting},
    fan::BrokenBy,
    trouble::{of_code, of_discord_code},
};
use eventstore::{AppendKey, HandleError, Position};
use projections::CommandRow;
use uuid::Uuid;

use super::{Desk, DeskError};
use crate::wire::{Observed, Outcome, OutcomeResult, Recorded};

impl Desk {
    /// Records what came of a command. Saying it twice records it once.
    pub async fn outcome(
        &self,
        bot: &str,
        id: &str,
        outcome: Outcome,
    ) -> Result<Recorded, DeskError> {
        let stands = |again| Recorded { position: self.store.log().head().0, again };
        // A command is done once, and may be refused many times.
        let key = format!("outcome:{id}:{}", outcome.epoch);
        let (row, _) = match self.command(bot, id, outcome.epoch).await {
            Ok(known) => known,
            // A repeated report finds its command closed by the first.
            Err(DeskError::Superseded) => {
                let said = self.store.answers().get(&key).await?;
                // Another report than the first is news of a command that no longer stands.
                let said = said.filter(|said| said.request_hash == mark(&outcome));
                let done = |position: Position| Recorded { position: position.0, again: false };
                return said.map(|said| done(said.position)).ok_or(DeskError::Superseded);
            }
            Err(error) => return Err(error),
        };
        let (mut trouble, role) = match outcome.result {
            OutcomeResult::TryLater => return Ok(stands(true)),
            OutcomeResult::Superseded => return Ok(stands(false)),
            OutcomeResult::Done => (None, None),
            OutcomeResult::Refused => (Some(trouble(outcome.code.as_deref())), outcome.role),
        };
        let broken = match trouble {
            Some(Trouble::LinkBroken) => Some(BrokenBy::InvalidToken),
            Some(Trouble::MissingScope) => Some(BrokenBy::MissingScope),
            _ => None,
        };
        if let Some(reason) = broken {
            // It may have been known before, and better.
            let known = self.break_link(bot, &row, reason).await?;
            trouble = known.map(BrokenBy::trouble).or(trouble);
        }
        if let Some((trouble, role)) = trouble.zip(role)
            && trouble.is_fact_of_server()
            && self.is_mended(row.guild, role).await?
        {
            // It was refused, and what is known of the server shows nothing against it: one of both is out of date.
            self.look_over(row.guild);
            return Ok(stands(true));
        }
        let report = report(&row, &outcome, trouble, role);
        if trouble.is_none() && !all_done(&row, &report) {
            // It is said to be done and is not: it stays open, and is executed again.
            return Ok(stands(true));
        }
        let left = outcome.observed.as_ref().is_some_and(|observed| observed.left);
        let sighting = match trouble {
            Some(Trouble::Banned) => Some(Sighting::Banned),
            _ if left && row.desired.present => Some(Sighting::Left),
            _ => None,
        };
        let key = trouble.is_none().then(|| AppendKey {
            key: key.into(),
            request_hash: mark(&outcome),
            answer: None,
        });
        let position = self.record(bot, &row, report, sighting, key).await?;
        Ok(Recorded { position: position.0, again: false })
    }

    /// Whether the newest roles of a server show nothing against giving or taking one.
    async fn is_mended(&self, guild: GuildId, role: RoleId) -> Result<bool, DeskError> {
        let integrations = self.views.integrations().by_guild(guild).await?;
        let mut lists = integrations.iter().filter_map(|row| row.state.roles.as_ref()).peekable();
        Ok(lists.peek().is_some() && lists.all(|list| list.why_not(guild, role).is_none()))
    }

    async fn record(
        &self,
        bot: &str,
        row: &CommandRow,
        report: Report,
        sighting: Option<Sighting>,
        key: Option<AppendKey>,
    ) -> Result<Position, DeskError> {
        let stream = access::stream(row.guild, &row.fan);
        let mut attempts = self.store.attempts();
        loop {
            let mut decision = self.store.begin(self.metadata(bot), key.clone());
            let mut commands = vec![access::Command::Report(report.clone())];
            commands.extend(
                sighting
                    .clone()
                    .map(|sighting| access::Command::Observe { holder: row.holder(), sighting }),
            );
            for command in commands {
                match decision.handle::<Access>(&stream, command).await {
                    Ok(_) => {}
                    Err(HandleError::Refused(access::Refusal::Superseded)) => {
                        return Err(DeskError::Superseded);
                    }
                    Err(HandleError::Store(error)) => return Err(error.into()),
                }
            }
            if let Some(decided) = decision.commit(&mut attempts).await? {
                return Ok(decided.position);
            }
        }
    }
}

/// Tells one report from another.
fn mark(outcome: &Outcome) -> [u8; 32] {
    let json = serde_json::to_vec(outcome).unwrap_or_default();
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, &json);
    let mut mark = [0; 32];
    mark[..16].copy_from_slice(id.as_bytes());
    mark
}

/// A refusal's code: one of the Hub's, or Discord's own number.
fn trouble(code: Option<&str>) -> Trouble {
    let Some(code) = code else { return Trouble::Refused };
    of_code(code).or_else(|| of_discord_code(code.parse().ok()?)).unwrap_or(Trouble::Refused)
}

/// What the command came to, in the domain's words. Without `observed`, a `done` had all its effects; that
/// the Hub brought somebody in is believed only where it is said.
fn report(
    row: &CommandRow,
    outcome: &Outcome,
    trouble: Option<Trouble>,
    role: Option<RoleId>,
) -> Report {
    let standing = &row.standing;
    let done = outcome.result == OutcomeResult::Done;
    let observed = outcome.observed.clone().unwrap_or_else(|| Observed {
        present: match (done, row.desired.present) {
            (true, true) => Some(true),
            (true, false) if row.plan.kick => Some(false),
            _ => standing.present,
        },
        given: done.then(|| row.desired.roles.difference(&standing.kept).copied().collect()),
        kept: standing.kept.clone(),
        // Of a refusal that says nothing more, nothing is settled.
        unseen: !done,
        ..Observed::default()
    });
    let present = observed.present.or(standing.present);
    let given = observed.given.unwrap_or_else(|| standing.roles());
    let unseen = observed.unseen && trouble.is_some();
    Report {
        holder: row.holder(),
        command: row.version,
        desired: row.desired.clone(),
        given: if present == Some(false) { BTreeSet::new() } else { given },
        kept: observed.kept,
        present,
        joined_at: observed.joined_at.filter(|_| present != Some(false)),
        brought_in: present != Some(false) && observed.brought_in.unwrap_or(standing.brought_in),
        unseen,
        trouble,
        role,
        http_status: outcome.http_status,
        detail: outcome.detail.clone().map(|detail| detail.chars().take(500).collect()),
    }
}

/// Whether nothing would be left to do after this report, beyond what the bot found it must not do.
fn all_done(row: &CommandRow, report: &Report) -> bool {
    let has = |role: &RoleId| report.given.contains(role) || report.kept.contains(role);
    if row.desired.present {
        // Somebody who left meanwhile is reported as having left.
        let there = report.present == Some(true) && row.plan.grant.iter().all(has);
        let gone = report.present == Some(false);
        (there && report.given.iter().all(|role| row.desired.roles.contains(role))) || gone
    } else {
        report.given.is_empty()
    }
}
