//! Who calls, and what they may do.

use std::{ops::Deref, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, header, request::Parts},
};
use chrono::{DateTime, Utc};
use domain::{CreatorId, FanId};
use eventstore::{
    Metadata,
    keys::{ApiKey, Role},
};
use uuid::Uuid;

use crate::{
    app::App,
    error::{ApiError, Kind},
    extract::IfMatch,
};

/// The holder of the key that a request came with.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) key: ApiKey,
    correlation: Uuid,
    /// The version of the integration that the request is meant for.
    if_match: Option<HeaderValue>,
}

fn forbidden(needed: &str) -> ApiError {
    ApiError::new(Kind::FORBIDDEN, format!("this takes a key with the role {needed}"))
}

impl Caller {
    /// Somebody who is signed in to the pages may do what the holder of such a key may.
    pub(crate) fn signed_in(role: Role, now: DateTime<Utc>) -> Self {
        let key = ApiKey {
            id: Uuid::nil(),
            role,
            name: "session".to_owned(),
            created_at: now,
            expires_at: None,
            revoked_at: None,
        };
        Self { key, correlation: Uuid::now_v7(), if_match: None }
    }

    pub(crate) fn metadata(&self, app: &App) -> Metadata {
        Metadata { at: app.now(), actor: self.key.actor(), correlation: self.correlation }
    }

    /// Refuses what was meant for another version of an integration.
    pub(crate) fn meant_for(&self, version: u64) -> Result<(), ApiError> {
        self.if_match.as_ref().map_or(Ok(()), |meant| IfMatch::read(meant)?.check(version))
    }

    fn is_platform(&self) -> bool {
        self.key.role == Role::Platform
    }

    pub(crate) fn platform(&self) -> Result<(), ApiError> {
        if self.is_platform() { Ok(()) } else { Err(forbidden("platform")) }
    }

    pub(crate) fn bot(&self) -> Result<(), ApiError> {
        if self.is_platform() || self.key.role == Role::Bot {
            Ok(())
        } else {
            Err(forbidden("bot"))
        }
    }

    pub(crate) fn auditor(&self) -> Result<(), ApiError> {
        if self.is_platform() || self.key.role == Role::Auditor {
            Ok(())
        } else {
            Err(forbidden("auditor"))
        }
    }

    /// Any creator, or the platform.
    pub(crate) fn any_creator(&self) -> Result<(), ApiError> {
        match self.key.role {
            Role::Platform | Role::Creator(_) => Ok(()),
            Role::Fan(_) | Role::Auditor | Role::Bot => Err(forbidden("creator")),
        }
    }

    /// The creator whose things may be seen; `None` for the platform, which sees everybody's.
    pub(crate) fn own_creator(&self) -> Result<Option<CreatorId>, ApiError> {
        match &self.key.role {
            Role::Platform => Ok(None),
            Role::Creator(creator) => Ok(Some(creator.clone())),
            Role::Fan(_) | Role::Auditor | Role::Bot => Err(forbidden("creator")),
        }
    }

    /// That creator, or the platform. Another creator learns nothing.
    pub(crate) fn creator(&self, creator: &CreatorId) -> Result<(), ApiError> {
        self.any_creator()?;
        if self.is_platform() || self.key.role == Role::Creator(creator.clone()) {
            Ok(())
        } else {
            Err(ApiError::not_found())
        }
    }

    /// Any fan, or the platform.
    pub(crate) fn any_fan(&self) -> Result<(), ApiError> {
        match self.key.role {
            Role::Platform | Role::Fan(_) => Ok(()),
            Role::Creator(_) | Role::Auditor | Role::Bot => Err(forbidden("fan")),
        }
    }

    /// That fan, or the platform. Another fan learns nothing.
    pub(crate) fn fan(&self, fan: &FanId) -> Result<(), ApiError> {
        self.any_fan()?;
        if self.is_platform() || self.key.role == Role::Fan(fan.clone()) {
            Ok(())
        } else {
            Err(ApiError::not_found())
        }
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        // The guard of idempotency keys has asked already.
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        let unauthorized = |detail| ApiError::new(Kind::UNAUTHORIZED, detail);
        let header = parts.headers.get(header::AUTHORIZATION).ok_or_else(|| {
            unauthorized("send `Authorization: Bearer KEY`; make a key with `hub keys create`")
        })?;
        let secret = header.to_str().ok().and_then(|header| {
            let (scheme, secret) = header.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(secret.trim())
        });
        let secret =
            secret.ok_or_else(|| unauthorized("the header must be `Authorization: Bearer KEY`"))?;
        let key = app.store.keys().authenticate(secret, app.now()).await?.ok_or_else(|| {
            unauthorized("this key is unknown, expired or revoked; make one with `hub keys create`")
        })?;
        let if_match = parts.headers.get(header::IF_MATCH).cloned();
        let caller = Self { key, correlation: Uuid::now_v7(), if_match };
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

/// Callers who have a role, or are the platform. A route names whom it is for, so nothing else of anybody's request is
/// looked at before.
macro_rules! callers {
    ($($(#[$doc:meta])* $name:ident: $check:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name(Caller);

        impl $name {
            pub(crate) fn of(caller: Caller) -> Result<Self, ApiError> {
                caller.$check()?;
                Ok(Self(caller))
            }
        }

        impl Deref for $name {
            type Target = Caller;

            fn deref(&self) -> &Caller {
                &self.0
            }
        }

        impl FromRequestParts<Arc<App>> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(
                parts: &mut Parts,
                app: &Arc<App>,
            ) -> Result<Self, ApiError> {
                Self::of(Caller::from_request_parts(parts, app).await?)
            }
        }
    )*};
}

callers! {
    ByPlatform: platform;
    /// Any of them: whose things are asked for is the route's to check.
    ByCreator: any_creator;
    /// Any of them: whose things are asked for is the route's to check.
    ByFan: any_fan;
    ByAuditor: auditor;
    ByBot: bot;
}
