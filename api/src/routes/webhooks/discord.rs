//! What Discord tells of authorisations: its webhook events.
//!
//! A fan who removes the application in Discord takes the Hub's tokens away. Told of it, the Hub says so at once, and not
//! only when the next join is refused.

use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use domain::{
    DiscordUserId,
    account::{self, DiscordAccount},
    fan::{self, BrokenBy, Fan},
};
use eventstore::{Actor, HandleError, Metadata, Position};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Signed, read, unauthorized};
use crate::{
    answer::Written,
    app::{App, AppState},
    error::{ApiError, Kind},
    webhook_key::unhex,
};

/// How far Discord's clock and ours may differ.
const SKEW: TimeDelta = TimeDelta::seconds(2);

impl Signed {
    /// As Discord signs: the timestamp and the body. Discord says itself when what it tells of happened, so that an old
    /// event may come late.
    fn discord(&self, app: &App) -> Result<(), ApiError> {
        let key = app.webhooks.discord.as_ref().ok_or_else(|| {
            unauthorized("set HUB_DISCORD_PUBLIC_KEY to take Discord's webhook events")
        })?;
        let signature = unhex(self.header("x-signature-ed25519")).unwrap_or_default();
        let signed = [self.header("x-signature-timestamp").as_bytes(), &self.body].concat();
        if key.signed(&signed, &signature) {
            Ok(())
        } else {
            Err(unauthorized(
                "the signature does not fit; HUB_DISCORD_PUBLIC_KEY must be the public key of this application",
            ))
        }
    }
}

/// What Discord tells.
#[derive(Deserialize)]
struct Told {
    /// 0: Discord asks whether this is the right place. 1: an event.
    r#type: u8,
    #[serde(default)]
    event: Option<Happened>,
}

#[derive(Deserialize)]
struct Happened {
    /// `APPLICATION_DEAUTHORIZED` is understood.
    r#type: String,
    /// When, as Discord writes it: in UTC, whether it says so or not.
    timestamp: String,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct Deauthorized {
    user: User,
}

#[derive(Deserialize)]
struct User {
    id: DiscordUserId,
}

fn time(text: &str) -> Result<DateTime<Utc>, ApiError> {
    let time = text.parse().or_else(|_| text.parse().map(|time: NaiveDateTime| time.and_utc()));
    time.map_err(|_| ApiError::field("event.timestamp", "must be a time as Discord writes it"))
}

/// Take an event of Discord
///
/// Discord's webhook events, signed for the public key in `HUB_DISCORD_PUBLIC_KEY`. A fan who removed the application in
/// Discord (`APPLICATION_DEAUTHORIZED`) is asked to connect again. Everything else is ignored.
#[utoipa::path(post, path = "/v1/webhooks/discord", tag = "Platform", operation_id = "discord_webhook", security(()),
    params(("X-Signature-Ed25519" = String, Header), ("X-Signature-Timestamp" = String, Header)),
    request_body(content = Object), responses((status = 204, description = "Taken in")))]
pub(crate) async fn discord(State(app): AppState, signed: Signed) -> Result<Written<()>, ApiError> {
    signed.discord(&app)?;
    let told: Told = signed.read()?;
    let position = match told.event {
        Some(event) if told.r#type == 1 && event.r#type == "APPLICATION_DEAUTHORIZED" => {
            let Deauthorized { user } = read(&event.data, "event.data")?;
            deauthorized(&app, user.id, time(&event.timestamp)?).await?
        }
        Some(_) | None => app.store.log().head(),
    };
    Ok(Written::ok(position, ()).status(StatusCode::NO_CONTENT))
}

/// Records that an account's authorisation ended, unless the fan has given a new one since: events come in any order.
async fn deauthorized(
    app: &App,
    account: DiscordUserId,
    at: DateTime<Utc>,
) -> Result<Position, ApiError> {
    let account_key = app.store.vault().account_key(account);
    let reserved = account::stream(&account_key);
    let holder = app.store.load::<DiscordAccount>(&reserved).await?.state.holder;
    let Some(fan) = holder else { return Ok(app.store.log().head()) };
    let metadata =
        Metadata { at: app.now(), actor: Actor::Fan(fan.clone()), correlation: Uuid::now_v7() };
    let stream = fan::stream(&fan);
    let mut attempts = app.store.attempts();
    loop {
        let mut decision = app.store.begin(metadata.clone(), None);
        let linked = decision.load::<Fan>(&stream).await?.link;
        let held = app.store.tokens().get(&fan).await?;
        let held = held.filter(|token| token.is_of(&account_key));
        let allowed_at = held.as_ref().and_then(|token| token.allowed_at);
        if linked.is_none_or(|link| link.account_key != account_key)
            || allowed_at.is_some_and(|allowed| allowed > at + SKEW)
        {
            return Ok(app.store.log().head());
        }
        // It brings nobody in any more. Where another has taken its place, the fan is connecting anew.
        if let Some(held) = held
            && !app.store.tokens().delete(&fan, &held).await?
        {
            continue;
        }
        let command = fan::Command::BreakLink {
            fan: fan.clone(),
            account_key: account_key.clone(),
            reason: BrokenBy::Deauthorized,
        };
        match decision.handle::<Fan>(&stream, command).await {
            Ok(_) => {}
            Err(HandleError::Refused(refusal)) => {
                return Err(ApiError::new(Kind::CONFLICT, refusal.to_string()));
            }
            Err(HandleError::Store(error)) => return Err(error.into()),
        }
        if let Some(decided) = decision.commit(&mut attempts).await? {
            return Ok(decided.position);
        }
    }
}
