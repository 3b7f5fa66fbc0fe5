//! The doctor: what stands between an integration and its work, whom it concerns, who can mend it, and how.
//!
//! It looks at the server as Discord shows it now, and at what the fans' commands came to.

use std::collections::BTreeMap;

use domain::{
    GuildId, IntegrationId, RoleId, TierId, Trouble, Who, integration::State, trouble::Matter,
};
use projections::{FanAccess, ViewError};

use crate::discord::{Answer, Discord, Standing};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// `connected`, `discord`, `bot_in_server`, `permissions`, `two_factor`, `roles`, `gateway` or `fans`.
    pub name: &'static str,
    /// Nothing of what was found keeps anybody from their access.
    pub ok: bool,
    pub findings: Vec<Finding>,
}

/// Something that is the matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable, for programs.
    pub code: &'static str,
    pub who: Who,
    pub detail: &'static str,
    pub fix: &'static str,
    /// The role that it is about, and what the server calls it.
    pub role: Option<(RoleId, Option<String>)>,
    /// The tiers whose fans it concerns.
    pub tiers: Vec<TierId>,
    /// How many fans wait because of it.
    pub fans: u64,
}

impl Finding {
    fn of((trouble, role): Matter, state: &State, waiting: &BTreeMap<Matter, u64>) -> Self {
        let name = |role| state.roles.as_ref()?.role(role).map(|role| role.name.clone());
        let concerned = |role: Option<RoleId>| {
            let tiers = state.attachments.iter();
            let of = tiers.filter(move |(_, roles)| role.is_none_or(|role| roles.contains(&role)));
            of.map(|(tier, _)| tier.clone()).collect()
        };
        Self {
            code: trouble.code(),
            who: trouble.who(),
            detail: trouble.detail(),
            fix: trouble.fix(),
            role: role.map(|role| (role, name(role))),
            tiers: concerned(role),
            fans: waiting.get(&(trouble, role)).copied().unwrap_or_default(),
        }
    }

    fn new(code: &'static str, who: Who, detail: &'static str, fix: &'static str) -> Self {
        Self { code, who, detail, fix, role: None, tiers: vec![], fans: 0 }
    }
}

impl Check {
    fn new(name: &'static str, findings: Vec<Finding>) -> Self {
        Self { name, ok: findings.is_empty(), findings }
    }
}

/// Looks at an integration, and at the fans' side of it.
pub async fn examine(
    discord: &Discord,
    fans: &FanAccess,
    id: IntegrationId,
    state: &State,
) -> Result<Vec<Check>, ViewError> {
    let mut waiting = fans.troubles(id).await?;
    let held = fans.waiting_for_approval(id).await?;
    if held > 0 {
        waiting.insert((Trouble::RemovalHeld, None), held);
    }
    let Some(guild) = state.held_guild() else {
        return Ok(vec![not_connected(), of_fans(state, &waiting, &[])]);
    };
    let mut checks = vec![Check::new("connected", vec![])];
    let mut state = state.clone();
    checks.extend(of_server(discord, guild, &mut state, &waiting).await);
    let told: Vec<Matter> = state.troubles();
    checks.push(of_fans(&state, &waiting, &told));
    Ok(checks)
}

fn not_connected() -> Check {
    let (detail, fix) = ("No Discord server is connected.", "Connect Discord.");
    Check::new("connected", vec![Finding::new("not_connected", Who::Creator, detail, fix)])
}

/// What Discord shows of the server now.
async fn of_server(
    discord: &Discord,
    guild: GuildId,
    state: &mut State,
    waiting: &BTreeMap<Matter, u64>,
) -> Vec<Check> {
    let finding = |trouble, state: &State| vec![Finding::of((trouble, None), state, waiting)];
    let standing = match discord.standing(guild).await {
        Answer::Done(standing) => standing,
        Answer::Refused(refusal) => {
            state.bot_missing = refusal.trouble == Trouble::BotMissing;
            let missing = Check::new("bot_in_server", finding(refusal.trouble, state));
            return vec![Check::new("discord", vec![]), missing];
        }
        Answer::TokenDead => {
            return vec![Check::new("discord", finding(Trouble::BotTokenDead, state))];
        }
        Answer::Later { .. } | Answer::Unwanted => {
            let (detail, fix) =
                ("Discord does not answer at the moment.", "Wait; everything is tried again.");
            let waits = Finding::new("discord_unavailable", Who::Operator, detail, fix);
            return vec![Check::new("discord", vec![waits])];
        }
    };
    let Standing { roles, asks_for_two_factor, two_factor, hears_of_members } = standing;
    state.roles = Some(roles);
    state.bot_missing = false;
    let (of_roles, of_permissions): (Vec<_>, Vec<_>) =
        state.troubles().into_iter().partition(|(_, role)| role.is_some());
    let told = |matters: Vec<Matter>| {
        matters.into_iter().map(|matter| Finding::of(matter, state, waiting)).collect()
    };
    let refused = waiting.keys().any(|(trouble, _)| *trouble == Trouble::TwoFactorNeeded);
    let needed = asks_for_two_factor && (refused || two_factor == Some(false));
    let two_factor = if needed { finding(Trouble::TwoFactorNeeded, state) } else { vec![] };
    let gateway = if hears_of_members == Some(false) {
        vec![Finding::new(
            "members_intent_missing",
            Who::Operator,
            "The application may not hear of members, so what others do to them is found by comparing, hours later.",
            "Turn on Server Members Intent for the bot in Discord's developer portal, then start the Hub again.",
        )]
    } else {
        vec![]
    };
    vec![
        Check::new("discord", vec![]),
        Check::new("bot_in_server", vec![]),
        Check::new("permissions", told(of_permissions)),
        Check::new("two_factor", two_factor),
        Check::new("roles", told(of_roles)),
        // It works without, only later.
        Check { ok: true, ..Check::new("gateway", gateway) },
    ]
}

/// What fans wait for, beside what the server itself tells.
fn of_fans(state: &State, waiting: &BTreeMap<Matter, u64>, told: &[Matter]) -> Check {
    let others = || waiting.keys().filter(|matter| !told.contains(matter));
    let mut findings: Vec<_> =
        others().map(|matter| Finding::of(*matter, state, waiting)).collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.fans));
    // What a fan has to do themselves, or somebody decided, is no defect of the integration.
    let ok = others().all(|(trouble, _)| trouble.who() == Who::Fan || trouble.is_decision())
        && !told.iter().any(|matter| waiting.contains_key(matter));
    Check { name: "fans", ok, findings }
}
