//! One command, from its attempt to its report.

use std::time::Duration;

use domain::Trouble;
use tokio::time::Instant;

use crate::{
    discord::Discord,
    echoes::{Change, Echoes},
    executor::{self, Announcing, Ended, RolesRead},
    hub::{Hub, HubError},
    queue::Job,
    wire::{Command, Observation, Outcome, Recorded},
};

/// How one command ended, for the queue.
pub(crate) struct Finished {
    pub(crate) command: Command,
    /// When it is to be tried again.
    pub(crate) again: Again,
}

pub(crate) enum Again {
    No,
    /// After the pause that grows with every try.
    Later(Option<Duration>),
    Parked,
    /// At once, with the decision that has come meanwhile.
    Now,
    /// As soon as the shard is known to be this process's again.
    Fenced,
    /// Nothing can be done until the bot has another token.
    TokenDead,
}

/// Records the attempt, calls Discord, reports what came of it.
pub(crate) async fn execute(
    hub: &Hub,
    discord: &Discord,
    echoes: Option<&Echoes>,
    name: &str,
    epoch: u64,
    job: Job,
) -> Finished {
    let Job { command, unwanted } = job;
    let began = Instant::now();
    if unwanted.is_cancelled() {
        return Finished { command, again: Again::Now };
    }
    let announcing = Announcing { hub, bot: name, epoch };
    let ended = match executor::execute(announcing, discord, &command).await {
        Ok(ended) => ended,
        Err(error) => return Finished { again: after(&command, &error), command },
    };
    let again = match ended {
        Ended::Report { result, refused, observed, roles, changed, took, joined } => {
            let parked = refused.as_ref().map(|refused| refused.trouble);
            let server =
                refused.as_ref().and_then(|refused| about_server(&command, refused, roles));
            let (code, role, status, detail) =
                refused.map_or((None, None, None, None), |refused| {
                    let status = Some(refused.http_status).filter(|status| *status > 0);
                    (
                        Some(refused.trouble.code().to_owned()),
                        refused.role,
                        status,
                        Some(refused.detail),
                    )
                });
            let outcome = Outcome {
                epoch,
                result,
                code,
                role,
                http_status: status,
                detail,
                observed: Some(observed.clone()),
            };
            // What is wrong with the server holds for everybody: the next one is not tried in vain.
            if let Some(server) = server
                && let Err(error) = hub.observe(name, server).await
            {
                tracing::warn!(%error, "what was seen of a server was not taken in");
            }
            match report(hub, name, &command.id, outcome).await {
                // A report that came too late for what was decided meanwhile closes nothing.
                Ok(Recorded { again: true, .. }) => Again::Later(None),
                Ok(Recorded { position, again: false }) => {
                    if let Some(echoes) = echoes.filter(|_| changed) {
                        let member = (command.guild, command.user);
                        echoes.expect(Change { member, observed, took, began, joined, position });
                    }
                    if parked.is_some_and(Trouble::is_tried_again) {
                        Again::Parked
                    } else {
                        Again::No
                    }
                }
                Err(error) => after(&command, &error),
            }
        }
        Ended::Later { why, after } => {
            tracing::info!(command = %command.id, %why, "a command is tried again later");
            Again::Later(after)
        }
        Ended::Superseded => Again::Now,
        Ended::TokenDead => Again::TokenDead,
    };
    Finished { command, again }
}

/// What a refusal tells of the server as a whole.
fn about_server(
    command: &Command,
    refused: &executor::Refused,
    roles: Option<RolesRead>,
) -> Option<Observation> {
    let guild = command.guild;
    match (refused.trouble, roles) {
        (Trouble::BotMissing, _) => Some(Observation::BotRemoved { guild }),
        (_, Some(RolesRead { list, since })) => {
            Some(Observation::Server { guild, roles: list, since: Some(since) })
        }
        (_, None) => None,
    }
}

/// What Discord answered is worth some patience: without the report it would have to be asked again.
async fn report(hub: &Hub, name: &str, id: &str, outcome: Outcome) -> Result<Recorded, HubError> {
    let mut pause = Duration::from_millis(100);
    loop {
        match hub.outcome(name, id, outcome.clone()).await {
            Err(HubError::Later(why)) if pause < Duration::from_secs(4) => {
                tracing::info!(command = id, %why, "a report is repeated");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            done => return done,
        }
    }
}

fn after(command: &Command, error: &HubError) -> Again {
    match error {
        HubError::Superseded => Again::No,
        HubError::Fenced => Again::Fenced,
        HubError::Later(why) | HubError::Refused(why) => {
            tracing::warn!(command = %command.id, %why, "the Hub did not take a step of a command; it is tried again");
            Again::Later(None)
        }
    }
}
