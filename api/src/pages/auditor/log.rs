//! The log, newest first, with filters that stand in the address.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use eventstore::Position;
use projections::audit::{Direction, Wanted};

use super::{
    Choice, Faults, actor, address,
    ask::{Asked, read, time},
    frame, integrations,
};
use crate::{
    app::{App, AppState},
    audit::{self, Told},
    error::ApiError,
    extract::Query,
    pages::{
        components::Exact,
        frame::{Frame, page, page_with},
        session::{Auditor, Signed},
        texts::{self, Html},
    },
};

/// How many events a page shows.
const SHOWN: usize = 50;

/// How many integrations are offered to choose from; beyond them, one is named by its id.
const OFFERED: u32 = 200;

#[derive(Template)]
#[template(path = "auditor/log.html")]
struct LogPage {
    frame: Frame,
    asked: Asked,
    faults: Faults,
    types: Vec<String>,
    integrations: Vec<Choice>,
    rows: Vec<Told>,
    /// Whether anything is left out.
    filtered: bool,
    older: Option<String>,
    newer: Option<String>,
}

impl LogPage {
    fn fault(&self, field: &str) -> &'static str {
        self.faults.get(field).copied().unwrap_or_default()
    }

    fn words(kind: &str) -> String {
        words(kind)
    }

    fn by(told: &Told) -> Html {
        actor(&told.actor)
    }

    /// Whether an integration is named that is not among those to choose from.
    fn named(&self) -> bool {
        !self.asked.integration.is_empty()
            && !self
                .integrations
                .iter()
                .any(|choice| choice.id.to_string() == self.asked.integration)
    }
}

/// An event's name in words: `FanLinked` is “Fan linked”.
pub(super) fn words(kind: &str) -> String {
    let mut words = String::new();
    for (n, letter) in kind.char_indices() {
        if n > 0 && letter.is_ascii_uppercase() {
            words.push(' ');
            words.push(letter.to_ascii_lowercase());
        } else {
            words.push(letter);
        }
    }
    words
}

fn wanted(asked: &Asked, faults: &mut Faults) -> Wanted {
    let t = &texts::EN.audit;
    Wanted {
        fan: read(faults, "fan", &asked.fan, t.fault_fan),
        creator: read(faults, "creator", &asked.creator, t.fault_creator),
        integration: read(faults, "integration", &asked.integration, t.fault_integration),
        kind: Some(asked.kind.clone()).filter(|kind| !kind.is_empty()),
        from: time(faults, "from", &asked.from, t.fault_time),
        to: time(faults, "to", &asked.to, t.fault_time),
    }
}

/// What is found, newest first, and the places where older and newer ones go on.
struct Found {
    rows: Vec<Told>,
    older: Option<u64>,
    newer: Option<u64>,
}

async fn find(app: &App, asked: &Asked, wanted: &Wanted) -> Result<Found, ApiError> {
    let after: Option<u64> = asked.after.parse().ok();
    let before: Option<u64> = asked.before.parse().ok();
    let direction = match (after, before) {
        (Some(after), _) => Direction::After(Position(after)),
        (None, before) => Direction::Before(Position(before.unwrap_or(u64::MAX))),
    };
    let mut rows =
        audit::events(&app.store, app.audit().await?, wanted, direction, SHOWN + 1).await?;
    let more = rows.len() > SHOWN;
    rows.truncate(SHOWN);
    if after.is_some() {
        rows.reverse();
    }
    let (first, last) =
        (rows.first().map(|told| told.position), rows.last().map(|told| told.position));
    let (older, newer) = match (after, before) {
        (Some(_), _) => (last, first.filter(|_| more)),
        (None, Some(_)) => (last.filter(|_| more), first),
        (None, None) => (last.filter(|_| more), None),
    };
    Ok(Found { rows, older, newer })
}

pub(crate) async fn show(
    State(app): AppState,
    signed: Signed<Auditor>,
    Query(asked): Query<Asked>,
) -> Result<Response, ApiError> {
    signed.caller.auditor()?;
    let mut faults = Faults::new();
    let wanted = wanted(&asked, &mut faults);
    let found = if faults.is_empty() {
        find(&app, &asked, &wanted).await?
    } else {
        Found { rows: vec![], older: None, newer: None }
    };
    let to = |place: &str, position: Option<u64>| {
        let position = position?.to_string();
        let Asked { fan, creator, integration, kind, from, to, .. } = &asked;
        let filters = [
            ("fan", fan),
            ("creator", creator),
            ("integration", integration),
            ("type", kind),
            ("from", from),
            ("to", to),
        ];
        let mut all: Vec<_> = filters.map(|(name, value)| (name, value.as_str())).into();
        all.push((place, &position));
        Some(address("/audit", &all))
    };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let shown = LogPage {
        frame: frame(&app, &signed, texts::EN.log.title, "log"),
        types: app.audit().await?.types().await?,
        integrations: integrations(&app, None, OFFERED).await?,
        rows: found.rows,
        filtered: wanted != Wanted::default() || !faults.is_empty(),
        older: to("before", found.older),
        newer: to("after", found.newer),
        faults,
        asked,
    };
    if status == StatusCode::OK { page(&shown) } else { page_with(status, &shown) }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn names_of_events_read_as_words() {
        assert_eq!(words("FanLinked"), "Fan linked");
        assert_eq!(words("AttachmentRolesChanged"), "Attachment roles changed");
    }
}
