//! Why somebody had what they had at a moment: the chain of steps, as a page.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, Utc};

use super::{
    Choice, Faults, actor, address,
    ask::{Asked, exact, read, shown, time},
    frame, integrations, name_of, standing,
};
use crate::{
    app::AppState,
    audit::{self, Explanation, Step, StepKind},
    error::ApiError,
    extract::Query,
    pages::{
        components::{Chip, Exact},
        frame::{Frame, page, page_with},
        session::{Auditor, Signed},
        texts::{self, Html, auditor::Explain},
    },
};

/// How many integrations are offered to choose from.
const OFFERED: u32 = 200;

#[derive(Template)]
#[template(path = "auditor/explain.html")]
struct ExplainPage {
    frame: Frame,
    asked: Asked,
    faults: Faults,
    integrations: Vec<Choice>,
    answer: Option<Answer>,
}

struct Answer {
    told: Explanation,
    /// What the integration is called.
    name: String,
    chip: Option<Chip>,
    over_time: String,
}

impl ExplainPage {
    fn fault(&self, field: &str) -> &'static str {
        self.faults.get(field).copied().unwrap_or_default()
    }

    fn named(&self) -> bool {
        !self.asked.integration.is_empty()
            && !self
                .integrations
                .iter()
                .any(|choice| choice.id.to_string() == self.asked.integration)
    }

    fn by(step: &Step) -> Html {
        actor(&step.actor)
    }

    fn label(t: &Explain, step: &Step) -> &'static str {
        match step.kind {
            StepKind::Integration => t.integration,
            StepKind::Membership => t.membership,
            StepKind::Link => t.link,
            StepKind::Choice => t.choice,
            StepKind::Decision => t.decision,
            StepKind::Command => t.command,
            StepKind::Answer => t.answer,
            StepKind::Observation => t.observation,
        }
    }

    /// The class of a step's dot: what it is, and whether it went well.
    fn tone(step: &Step) -> &'static str {
        match step.kind {
            StepKind::Decision => "decision",
            StepKind::Command => "work",
            StepKind::Answer if step.reason.is_some() => "bad",
            StepKind::Answer => "good",
            StepKind::Observation => "warn",
            StepKind::Integration | StepKind::Membership | StepKind::Link | StepKind::Choice => "",
        }
    }
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<Auditor>,
    Query(mut asked): Query<Asked>,
) -> Result<Response, ApiError> {
    signed.caller.auditor()?;
    let (t, mut faults) = (&texts::EN, Faults::new());
    let fan = read(&mut faults, "fan", &asked.fan, t.audit.fault_fan);
    let integration =
        read(&mut faults, "integration", &asked.integration, t.audit.fault_integration);
    let at: Option<DateTime<Utc>> = time(&mut faults, "at", &asked.at, t.audit.fault_time);
    if fan.is_some() != integration.is_some() && faults.is_empty() {
        faults.insert(if fan.is_none() { "fan" } else { "integration" }, t.audit.fault_needed);
    }
    if let Some(at) = at {
        asked.at = shown(at);
    }
    let at = at.unwrap_or_else(|| app.now());
    let mut answer = None;
    if let (Some(fan), Some(integration), true) = (fan, integration, faults.is_empty()) {
        let told = audit::explain(&app.store, app.audit().await?, &fan, integration, at).await?;
        let over_time = address(
            "/audit/access",
            &[("fan", &asked.fan), ("integration", &asked.integration), ("at", &exact(at))],
        );
        let chip = told.status.map(standing);
        answer = Some(Answer { name: name_of(&app, integration).await?, told, chip, over_time });
    }
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let title = match &answer {
        Some(answer) => format!("{} · {}", answer.told.fan, answer.name),
        None => t.explain.title.to_owned(),
    };
    let frame = frame(&app, &signed, title, "explain");
    let shown = ExplainPage {
        frame,
        asked,
        faults,
        integrations: integrations(&app, None, OFFERED).await?,
        answer,
    };
    if status == StatusCode::OK { page(&shown) } else { page_with(status, &shown) }
}
