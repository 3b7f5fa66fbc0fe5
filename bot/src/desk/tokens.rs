//! The token that brings a fan in, renewed in time, and what it means where Discord gives none any more.

use chrono::TimeDelta;
use domain::fan::{self, BrokenBy, Fan};
use eventstore::{HandleError, tokens::DiscordToken};
use projections::CommandRow;
use secrecy::SecretString;

use super::{Desk, DeskError};
use crate::oauth::OAuthError;

/// A fan's token is renewed, if it can be, when it has less left than this.
const FRESH: TimeDelta = TimeDelta::minutes(5);

impl Desk {
    /// A token that brings the fan in; `None` where Discord gives none any more, or the fan did not allow it to.
    /// `refused`: what Discord did not take.
    pub(super) async fn token(
        &self,
        bot: &str,
        row: &CommandRow,
        refused: Option<&SecretString>,
    ) -> Result<Option<SecretString>, DeskError> {
        let fan = self.store.load::<Fan>(&fan::stream(&row.fan)).await?.state;
        if fan.broken == Some(BrokenBy::MissingScope) {
            return Ok(None);
        }
        // Discord takes a refresh token once: of a fan's commands, one renews it, and the others find what it got.
        let _turn = self.renewals.turn(&row.fan).await;
        let (now, tokens) = (self.now(), self.store.tokens());
        let works = |token: &DiscordToken| {
            token.is_of(&row.account_key)
                && token.expires_at > now
                && refused.is_none_or(|refused| !token.is(refused))
        };
        let held = tokens.get(&row.fan).await?;
        let Some(held) = held.filter(|token| token.is_of(&row.account_key)) else {
            self.break_link(bot, row, BrokenBy::InvalidGrant).await?;
            return Ok(None);
        };
        if works(&held) && (held.refresh.is_none() || held.expires_at - now > FRESH) {
            return Ok(Some(held.access));
        }
        let Some(refresh) = held.refresh.clone() else {
            self.break_link(bot, row, BrokenBy::InvalidGrant).await?;
            return Ok(None);
        };
        // Before it is sent: should its answer never be stored, that is known.
        let sent = DiscordToken { sent: true, ..held.clone() };
        let renewed = if tokens.replace(&row.fan, &held, &sent).await? {
            self.oauth.refresh(&refresh).await
        } else {
            // The fan has connected anew, or disconnected, meanwhile: that counts.
            return Ok(tokens.get(&row.fan).await?.filter(works).map(|token| token.access));
        };
        match renewed {
            Ok(renewed) => {
                let lifetime =
                    TimeDelta::from_std(renewed.expires_in).unwrap_or(TimeDelta::days(7));
                let fresh = DiscordToken {
                    account: held.account,
                    access: renewed.access,
                    refresh: renewed.refresh.or(Some(refresh)),
                    expires_at: now + lifetime,
                    allowed_at: held.allowed_at,
                    sent: false,
                };
                if tokens.replace(&row.fan, &sent, &fresh).await? {
                    return Ok(Some(fresh.access));
                }
                Ok(tokens.get(&row.fan).await?.filter(works).map(|token| token.access))
            }
            Err(OAuthError::InvalidGrant) => {
                // What another process got, or the fan's new connection.
                let other = tokens.get(&row.fan).await?;
                let other = other.filter(|token| works(token) && !token.is(&held.access));
                if other.is_none() {
                    let reason =
                        if held.sent { BrokenBy::RenewalLost } else { BrokenBy::InvalidGrant };
                    self.break_link(bot, row, reason).await?;
                }
                Ok(other.map(|token| token.access))
            }
            Err(error) => {
                if error.is_answer() {
                    tokens.replace(&row.fan, &sent, &held).await?;
                }
                if works(&held) {
                    return Ok(Some(held.access));
                }
                Err(DeskError::TokenLater(error.to_string()))
            }
        }
    }

    /// Records that the link to a command's account is broken; answers how it is, where it is the fan's link still.
    pub(super) async fn break_link(
        &self,
        bot: &str,
        row: &CommandRow,
        reason: BrokenBy,
    ) -> Result<Option<BrokenBy>, DeskError> {
        let (fan, stream) = (row.fan.clone(), fan::stream(&row.fan));
        let command = fan::Command::BreakLink { fan, account_key: row.account_key.clone(), reason };
        match self.store.handle::<Fan>(&stream, command, self.metadata(bot), None).await {
            Ok(_) | Err(HandleError::Refused(_)) => {}
            Err(HandleError::Store(error)) => return Err(error.into()),
        }
        let state = self.store.load::<Fan>(&stream).await?.state;
        let linked = state.link.is_some_and(|link| link.account_key == row.account_key);
        Ok(state.broken.filter(|_| linked))
    }
}
