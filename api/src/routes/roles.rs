//! The roles of a connected server: which the bot can give, and why not the others.

use std::sync::Arc;

use axum::{Json, extract::State};
use bot::{discord::Answer, patience::patiently};
use domain::{
    GuildId, IntegrationId, RoleId, Trouble,
    discord::RoleList,
    integration::{self, Integration},
};
use eventstore::{Decision, HandleError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    answer::Written,
    app::{App, AppState},
    auth::ByCreator,
    error::{ApiError, Kind},
    extract::{Body, Nothing, Path},
    reason::Reason,
    routes::integrations::{GuildAnswer, command_failed, owned},
};

#[derive(Serialize, ToSchema)]
pub(crate) struct RoleAnswer {
    id: RoleId,
    name: String,
    position: i64,
    /// RGB; 0 for none.
    color: u32,
    /// Whether the bot can give it.
    assignable: bool,
    why_not: Option<Reason>,
    /// What to think of before giving it: power over the server.
    warning: Option<Reason>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct BotAnswer {
    /// The position of the bot's highest role.
    top_role_position: Option<i64>,
    /// Among `MANAGE_ROLES`, `KICK_MEMBERS` and `CREATE_INSTANT_INVITE`.
    missing_permissions: Vec<&'static str>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RolesAnswer {
    guild: GuildAnswer,
    bot: BotAnswer,
    /// In Discord's order, highest first.
    data: Vec<RoleAnswer>,
}

fn permission(trouble: Trouble) -> Option<&'static str> {
    match trouble {
        Trouble::MissingManageRoles => Some("MANAGE_ROLES"),
        Trouble::MissingKickMembers => Some("KICK_MEMBERS"),
        Trouble::MissingCreateInvite => Some("CREATE_INSTANT_INVITE"),
        _ => None,
    }
}

fn not_connected() -> ApiError {
    ApiError::new(Kind::NOT_CONNECTED, integration::Refusal::NotConnected.to_string())
}

fn answer(state: &integration::State) -> Result<RolesAnswer, ApiError> {
    let held = state.held_guild().and(state.server.as_ref());
    let (Some(server), Some(list)) = (held, &state.roles) else { return Err(not_connected()) };
    let data = list.roles().iter().map(|role| {
        let why_not = list.why_not(server.id, role.id);
        RoleAnswer {
            id: role.id,
            name: role.name.clone(),
            position: role.position,
            color: role.color,
            assignable: why_not.is_none(),
            why_not: why_not.map(|trouble| Reason::of((trouble, None))),
            warning: Reason::of_powers(role).filter(|_| why_not.is_none()),
        }
    });
    let missing = list.missing_permissions(server.id);
    Ok(RolesAnswer {
        guild: GuildAnswer::of(server),
        bot: BotAnswer {
            top_role_position: list.bot_top().map(|top| top.position),
            missing_permissions: missing.into_iter().filter_map(permission).collect(),
        },
        data: data.collect(),
    })
}

/// The server's roles as they were last read
#[utoipa::path(get, path = "/v1/integrations/{id}/roles", tag = "Creator", operation_id = "get_roles",
    params(("id" = uuid::Uuid, Path)), responses((status = 200, description = "In Discord's order", body = RolesAnswer)))]
pub(crate) async fn get(
    State(app): AppState,
    caller: ByCreator,
    Path(id): Path<IntegrationId>,
) -> Result<Json<RolesAnswer>, ApiError> {
    let (_, state, _) = owned(&app, &caller, id).await?;
    answer(&state).map(Json)
}

/// Read the server's roles anew
///
/// What was refused in the server, and may be accepted now, is tried again.
#[utoipa::path(post, path = "/v1/integrations/{id}/roles/refresh", tag = "Creator", operation_id = "refresh_roles",
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header)), responses((status = 200, description = "As Discord shows them now", body = RolesAnswer)))]
pub(crate) async fn refresh(
    State(app): AppState,
    caller: ByCreator,
    Path(id): Path<IntegrationId>,
    Body(Nothing): Body<Nothing>,
) -> Result<Written<RolesAnswer>, ApiError> {
    let (_, state, _) = owned(&app, &caller, id).await?;
    let guild = state.held_guild().ok_or_else(not_connected)?;
    let (_, roles) = read(&app, guild).await?;
    app.caught_up().await?;
    let again = app.desk.waits_for_a_try(id).await?;
    let stream = integration::stream(id);
    let mut attempts = app.store.attempts();
    loop {
        let mut decision = app.store.begin(caller.metadata(&app), None);
        let refresh = integration::Command::RefreshRoles { roles: roles.clone(), again };
        decision.handle::<Integration>(&stream, refresh.to(id)).await.map_err(command_failed)?;
        tell(&app, &mut decision, guild, &roles).await?;
        let state = decision.load::<Integration>(&stream).await?;
        let version = decision.version(&stream);
        if let Some(decided) = decision.commit(&mut attempts).await? {
            return Ok(Written::ok(decided.position, answer(&state)?).version(version));
        }
    }
}

/// Tells every integration on a server what Discord shows of it: the server is the same for all of them.
pub(crate) async fn tell(
    app: &App,
    decision: &mut Decision,
    guild: GuildId,
    roles: &RoleList,
) -> Result<(), ApiError> {
    for row in app.views.integrations().by_guild(guild).await? {
        let shown = [
            integration::Command::ObserveBot { present: true },
            integration::Command::RefreshRoles { roles: roles.clone(), again: false },
        ];
        for command in shown {
            let stream = integration::stream(row.id);
            match decision.handle::<Integration>(&stream, command.to(row.id)).await {
                // One that does not hold it any more has nothing to learn.
                Ok(_) | Err(HandleError::Refused(_)) => {}
                Err(HandleError::Store(error)) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// A server and its roles as Discord shows them now.
pub(crate) async fn read(
    app: &Arc<App>,
    guild: GuildId,
) -> Result<(integration::Server, RoleList), ApiError> {
    let ask = || async {
        match app.discord.role_list(guild).await {
            later @ Answer::Later { .. } => Err(later),
            answer => Ok(answer),
        }
    };
    let hiccup = |answer: &Answer<_>| match answer {
        Answer::Later { after, .. } => Some(after.unwrap_or_default()),
        _ => None,
    };
    match patiently(ask, hiccup).await.unwrap_or_else(|later| later) {
        Answer::Done(read) => Ok(read),
        // Discord says the same of a server that it cannot show now.
        Answer::Refused(_) if app.discord.is_out(guild) || app.desk.is_out(guild) => {
            Err(ApiError::new(
                Kind::DISCORD_UNAVAILABLE,
                "Discord says that this server is out of order; nothing is lost, so try again once it is back",
            ))
        }
        Answer::Refused(refusal) => Err(ApiError::new(
            Kind::DISCORD_REFUSED,
            format!("{} {}", refusal.trouble.detail(), refusal.trouble.fix()),
        )),
        Answer::Later { why, after } => {
            let later =
                ApiError::new(Kind::DISCORD_UNAVAILABLE, format!("{why}; try again in a moment"));
            Err(later.retry_after(after.map_or(1, |after| after.as_secs() + 1)))
        }
        Answer::Unwanted => {
            Err(ApiError::new(Kind::DISCORD_UNAVAILABLE, "the call was given up; try again"))
        }
        Answer::TokenDead => Err(ApiError::new(
            Kind::DISCORD_REFUSED,
            format!("{} {}", Trouble::BotTokenDead.detail(), Trouble::BotTokenDead.fix()),
        )),
    }
}
