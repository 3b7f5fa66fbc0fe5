//! Why a fan has, or does not have, access through an integration: the chain from the purchase to Discord's answer.
//!
//! What was sent to Discord and what it answered is told from the log as it was recorded. What was decided before
//! anything was sent is told with today's rules.

use std::{collections::HashMap, fmt};

use chrono::{DateTime, SecondsFormat, Utc};
use domain::{
    CreatorId, Event, FanId, GuildId, IntegrationId,
    access::{Desired, Event as AccessEvent},
    fan::Event as FanEvent,
    hold::Event as HoldEvent,
    integration::Event as IntegrationEvent,
    status::Status,
};
use eventstore::{Envelope, Store};
use projections::{Audit, audit::Retelling};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    AuditError,
    access::{self, AccessAt, Asked},
    names::Names,
    of_fan,
    shapes::{self, DesiredShape},
    words::sentence,
};
use crate::reason::Reason;

/// The steps of a chain, at most; the oldest are left out first.
const STEPS: usize = 500;

/// The servers in which a fan can be at a time through one integration, at most.
const PLACES: u32 = 50;

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepKind {
    /// The integration was set up, changed or taken down.
    Integration,
    /// A membership was bought, went on or ended.
    Membership,
    /// A Discord account was connected or let go.
    Link,
    /// The fan or the creator decided something for this fan.
    Choice,
    /// The Hub decided what the fan should have.
    Decision,
    /// The bot set out to do it.
    Command,
    /// Discord answered.
    Answer,
    /// Somebody else did something on Discord.
    Observation,
}

/// One step of the chain.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ExplanationStep)]
pub(crate) struct Step {
    #[schema(inline)]
    pub(crate) kind: StepKind,
    /// The event that it is, or that brought the decision about.
    pub(crate) position: u64,
    /// The event's name; null for a decision, which follows from the event at its position.
    pub(crate) r#type: Option<String>,
    pub(crate) at: DateTime<Utc>,
    pub(crate) actor: String,
    pub(crate) correlation: Uuid,
    pub(crate) sentence: String,
    /// Of a command and of an answer: the position of the decision that they carry out.
    pub(crate) because_of: Option<u64>,
    /// Of a decision and of an answer: what the fan should have.
    pub(crate) desired: Option<DesiredShape>,
    /// Why Discord refused, where it did.
    pub(crate) reason: Option<Reason>,
    /// What Discord answered, where it was not a success.
    pub(crate) http_status: Option<u16>,
    /// Discord's own words, where it was not a success.
    pub(crate) detail: Option<String>,
}

/// Why a fan stands where they stand in an integration at a time.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Explanation {
    pub(crate) fan: FanId,
    pub(crate) integration: IntegrationId,
    pub(crate) creator: CreatorId,
    pub(crate) at: DateTime<Utc>,
    /// How the fan stood; null where the integration had nothing to do with them.
    pub(crate) status: Option<Status>,
    pub(crate) reason: Option<Reason>,
    /// The answer in one sentence.
    pub(crate) sentence: String,
    pub(crate) desired: DesiredShape,
    /// What the fan had then, as far as Discord told.
    pub(crate) access: Vec<AccessAt>,
    /// In the order in which they happened.
    pub(crate) steps: Vec<Step>,
    /// How many steps before the first one are left out.
    pub(crate) left_out: u64,
}

/// Tells why a fan has what they have, or nothing, through an integration at a time.
///
/// # Errors
/// No integration ever had this id, or the log or the view cannot be read.
pub async fn explain(
    store: &Store,
    audit: &Audit,
    fan: &FanId,
    integration: IntegrationId,
    at: DateTime<Utc>,
) -> Result<Explanation, AuditError> {
    let creator = audit.creator(integration).await?.ok_or(AuditError::UnknownIntegration)?;
    let told = of_fan(store, audit, fan, Some(std::slice::from_ref(&creator)), Some(at)).await?;
    let mut names = Names::default();
    names.tiers_of(store, audit, &told).await?;
    for envelope in &told {
        if let Event::Integration(event) = &envelope.event {
            names.hear(event);
        }
    }
    let mut chain = Chain::new(fan.clone(), integration, &creator, &told, &names);
    for envelope in &told {
        chain.hear(envelope);
    }
    let (status, desired) = chain.stands();
    let (reason, sentence) = (chain.reason(), chain.verdict());
    let mut steps = chain.steps;
    let left_out = steps.len().saturating_sub(STEPS);
    steps.drain(..left_out);
    let asked = Asked { at, fan: Some(fan.clone()), integration: Some(integration) };
    let access = access::access(store, audit, &asked, None, PLACES).await?;
    Ok(Explanation {
        fan: fan.clone(),
        integration,
        creator,
        at,
        status,
        reason,
        sentence,
        desired: DesiredShape::of(&desired, &names),
        access,
        steps,
        left_out: u64::try_from(left_out).unwrap_or_default(),
    })
}

/// The chain while its events are heard.
struct Chain<'a> {
    fan: FanId,
    integration: IntegrationId,
    creator: &'a CreatorId,
    names: &'a Names,
    retelling: Retelling,
    /// What was sent to Discord for a command, as its answers recorded it.
    sent: HashMap<(GuildId, u64), &'a Desired>,
    steps: Vec<Step>,
}

impl<'a> Chain<'a> {
    fn new(
        fan: FanId,
        integration: IntegrationId,
        creator: &'a CreatorId,
        told: &'a [Envelope],
        names: &'a Names,
    ) -> Self {
        let sent = told.iter().filter_map(|envelope| {
            let Event::Access(event) = &envelope.event else { return None };
            let report = event.report()?;
            Some(((report.holder.guild, report.command), &report.desired))
        });
        Self {
            retelling: Retelling::of(fan.clone()),
            sent: sent.collect(),
            fan,
            integration,
            creator,
            names,
            steps: vec![],
        }
    }

    fn hear(&mut self, envelope: &Envelope) {
        let before = self.stands();
        self.retelling.hear(envelope);
        let after = self.stands();
        if let Some(kind) = self.kind(&envelope.event, before != after) {
            self.steps.push(self.step(kind, envelope));
        }
        let Some(server) = self.server() else { return };
        let sent = self.sent.get(&(server, envelope.position.0)).copied();
        let (before, after) = (before.1, after.1);
        if sent.is_some() || before != after {
            let decision = self.decision(envelope, server, sent.unwrap_or(&after));
            self.steps.push(decision);
        }
    }

    /// How the fan stands in the integration, and what they should have.
    fn stands(&self) -> (Option<Status>, Desired) {
        let row = self.retelling.row(self.integration);
        (row.map(|row| row.status), row.map(|row| row.desired.clone()).unwrap_or_default())
    }

    fn server(&self) -> Option<GuildId> {
        let server = self.retelling.integration(self.integration)?.server.as_ref()?;
        Some(server.id)
    }

    /// What an event is for the chain; `None` where it has no part in it.
    fn kind(&self, event: &Event, moved: bool) -> Option<StepKind> {
        match event {
            Event::Membership(event) => {
                (event.terms().creator == *self.creator).then_some(StepKind::Membership)
            }
            Event::Fan(
                FanEvent::FanLinked(_) | FanEvent::FanUnlinked(_) | FanEvent::LinkBroken { .. },
            ) => Some(StepKind::Link),
            Event::Fan(event) => {
                (event.integration() == Some(self.integration)).then_some(StepKind::Choice)
            }
            Event::Access(event) => {
                (Some(event.holder().guild) == self.server()).then(|| of_access(event))
            }
            Event::Integration(event) if event.integration() == self.integration => {
                (moved || is_set_up(event)).then_some(StepKind::Integration)
            }
            // Another integration on the same server has its part where it changed something.
            Event::Integration(_) => moved.then_some(StepKind::Integration),
            Event::Hold(event) => match event {
                HoldEvent::RemovalsHeld(held) => {
                    (held.integration == self.integration).then_some(StepKind::Integration)
                }
                HoldEvent::RemovalsApproved { .. } | HoldEvent::RemovalsRejected { .. } => {
                    moved.then_some(StepKind::Choice)
                }
            },
            Event::Tier(_) | Event::Guild(_) | Event::DiscordAccount(_) | Event::Creator(_) => None,
        }
    }

    fn step(&self, kind: StepKind, envelope: &Envelope) -> Step {
        let access = if let Event::Access(event) = &envelope.event { Some(event) } else { None };
        let report = access.and_then(AccessEvent::report);
        let attempt = access.and_then(AccessEvent::attempt);
        Step {
            kind,
            position: envelope.position.0,
            r#type: Some(envelope.kind.to_string()),
            at: envelope.metadata.at,
            actor: envelope.metadata.actor.to_string(),
            correlation: envelope.metadata.correlation,
            sentence: sentence(&envelope.event, self.names),
            because_of: attempt
                .map(|attempt| attempt.command)
                .or(report.map(|report| report.command)),
            desired: report.map(|report| DesiredShape::of(&report.desired, self.names)),
            reason: report.and_then(shapes::refused),
            http_status: report.and_then(|report| report.http_status),
            detail: report.and_then(|report| report.detail.clone()),
        }
    }

    fn decision(&self, envelope: &Envelope, server: GuildId, desired: &Desired) -> Step {
        let sentence = format!("So {}.", self.should(server, desired));
        Step {
            kind: StepKind::Decision,
            position: envelope.position.0,
            r#type: None,
            at: envelope.metadata.at,
            actor: "hub".to_owned(),
            correlation: envelope.metadata.correlation,
            sentence,
            because_of: None,
            desired: Some(DesiredShape::of(desired, self.names)),
            reason: None,
            http_status: None,
            detail: None,
        }
    }
}

impl Chain<'_> {
    fn reason(&self) -> Option<Reason> {
        let row = self.retelling.row(self.integration)?;
        Reason::of_fan(row.status, row.trouble, self.retelling.is_linked())
    }

    fn should(&self, server: GuildId, desired: &Desired) -> String {
        let (fan, server) = (&self.fan, self.names.in_server(server));
        if desired.present {
            format!("{fan} should be in {server} with {}", self.names.roles(&desired.roles))
        } else {
            format!("{fan} should have nothing in {server}")
        }
    }

    /// The answer in one sentence.
    fn verdict(&self) -> String {
        let fan = &self.fan;
        let of = self.names.integration_name(self.integration);
        let Some(row) = self.retelling.row(self.integration) else {
            return format!("{of} had nothing to do with {fan} by then.");
        };
        let Some(server) = row.guild else {
            return format!("{of} was connected to no server by then.");
        };
        let why = self.reason().map(|reason| reason.detail).unwrap_or_default();
        let named = self.names.in_server(server);
        match row.status {
            Status::Available => format!("{fan} could have access to {named}. {why}"),
            Status::Pending => {
                format!(
                    "{}; Discord had not accepted all of it yet.",
                    self.should(server, &row.desired)
                )
            }
            Status::Connected => {
                let had = self.retelling.had(server);
                let roles = had.map(|had| self.names.roles(had.roles.union(&had.kept)));
                format!("{fan} was in {named} with {}.", roles.unwrap_or_default())
            }
            Status::ActionRequired | Status::Blocked if row.desired.present => {
                format!("{}, and that did not work. {why}", self.should(server, &row.desired))
            }
            Status::ActionRequired | Status::Blocked => {
                format!("{fan} had no access to {named}. {why}")
            }
            Status::Revoking if !why.is_empty() => {
                format!("What {fan} had in {named} was to be taken away. {why}")
            }
            Status::Revoking => format!("What {fan} had in {named} was being taken away."),
            Status::RevokeBlocked => {
                format!("What {fan} had in {named} could not be taken away. {why}")
            }
            Status::Revoked => format!("{fan} had nothing from the Hub in {named}."),
        }
    }
}

fn of_access(event: &AccessEvent) -> StepKind {
    match event {
        AccessEvent::JoinAttempted(_)
        | AccessEvent::RolesAttempted(_)
        | AccessEvent::RemovalAttempted(_) => StepKind::Command,
        AccessEvent::AccessGranted(_)
        | AccessEvent::AccessChanged(_)
        | AccessEvent::AccessRevoked(_)
        | AccessEvent::AccessBlocked(_)
        | AccessEvent::RevokeBlocked(_) => StepKind::Answer,
        AccessEvent::DriftObserved { .. }
        | AccessEvent::DriftMended { .. }
        | AccessEvent::RemovalFoundUndone { .. }
        | AccessEvent::MemberLeft { .. }
        | AccessEvent::MemberReturned { .. }
        | AccessEvent::MemberBanned { .. } => StepKind::Observation,
    }
}

/// Whether an event is told even where it changed nothing for the fan.
fn is_set_up(event: &IntegrationEvent) -> bool {
    match event {
        IntegrationEvent::ServerConnected { .. }
        | IntegrationEvent::MembershipAttached { .. }
        | IntegrationEvent::AttachmentRolesChanged { .. }
        | IntegrationEvent::MembershipDetached { .. }
        | IntegrationEvent::BotRemoved { .. }
        | IntegrationEvent::BotReturned { .. }
        | IntegrationEvent::DisconnectStarted { .. }
        | IntegrationEvent::ServerDisconnected { .. }
        | IntegrationEvent::IntegrationRemoved { .. } => true,
        IntegrationEvent::IntegrationCreated { .. }
        | IntegrationEvent::IntegrationRenamed { .. }
        | IntegrationEvent::RemovalPolicyChanged { .. }
        | IntegrationEvent::DriftPolicyChanged { .. }
        | IntegrationEvent::RemovalLimitChanged { .. }
        | IntegrationEvent::RolesRefreshed { .. } => false,
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |at: &DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        writeln!(f, "{}: {}", time(&self.at), self.sentence)?;
        if let Some(reason) = &self.reason {
            writeln!(f, "What to do: {}", reason.fix)?;
        }
        writeln!(f)?;
        for step in &self.steps {
            let Step { position, sentence, .. } = step;
            let kind = serde_json::to_value(step.kind).unwrap_or_default();
            let kind = kind.as_str().unwrap_or_default().to_owned();
            write!(f, "{position:>8}  {}  {kind:<11}  {sentence}", time(&step.at))?;
            if let (Some(status), Some(words)) = (step.http_status, &step.detail) {
                write!(f, " (Discord answered {status}: {words})")?;
            }
            writeln!(f, "  [{}]", step.actor)?;
        }
        Ok(())
    }
}
