//! What is read because of what was heard. Reading takes its time, and the gateway waits for nobody.

use std::{collections::BTreeSet, time::Duration};

use domain::GuildId;
use futures_util::{StreamExt, stream};
use tokio::{sync::mpsc, time::sleep};

use super::outbox::Outbox;
use crate::{
    discord::Answer,
    echoes::Echoes,
    hub::HubError,
    members::Looks,
    queue::Key,
    wire::{Noted, Observation},
};

/// How often a server is read again because something was recorded of it meanwhile.
const LOOKS: usize = 3;

/// How long what was heard of a member may be followed by more.
const A_MOMENT: Duration = Duration::from_millis(100);

/// How many members are read together.
const TOGETHER: usize = 8;

/// Servers and members that are to be read. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct ToRead {
    servers: mpsc::UnboundedSender<GuildId>,
    members: mpsc::UnboundedSender<Key>,
}

impl ToRead {
    pub(super) fn server(&self, guild: GuildId) {
        // Where nobody reads any more, the process is ending.
        let _ = self.servers.send(guild);
    }

    /// What an observation is about.
    pub(super) fn read(&self, observation: &Observation) {
        match observation {
            Observation::Server { guild, .. } => self.server(*guild),
            Observation::Member { guild, user, .. } => {
                let _ = self.members.send((*guild, *user));
            }
            Observation::BotRemoved { .. }
            | Observation::Outage { .. }
            | Observation::Missed { .. }
            | Observation::Session { .. } => {}
        }
    }
}

/// Reads what is asked for.
pub(super) struct Reader {
    pub(super) looks: Looks,
    pub(super) echoes: Echoes,
    pub(super) outbox: Outbox,
    servers: mpsc::UnboundedReceiver<GuildId>,
    members: mpsc::UnboundedReceiver<Key>,
}

impl Reader {
    pub(super) fn new(looks: Looks, echoes: Echoes, outbox: Outbox) -> (ToRead, Self) {
        let (servers, asked_servers) = mpsc::unbounded_channel();
        let (members, asked_members) = mpsc::unbounded_channel();
        let reader = Self { looks, echoes, outbox, servers: asked_servers, members: asked_members };
        (ToRead { servers, members }, reader)
    }

    pub(super) async fn run(self) {
        let Self { looks, echoes, outbox, servers, members } = self;
        tokio::join!(
            read_servers(&looks, &outbox, servers),
            read_members(&looks, &echoes, &outbox, members)
        );
    }
}

/// Reads servers anew, one after the other, each once for all that was heard of it meanwhile.
async fn read_servers(looks: &Looks, outbox: &Outbox, mut asked: mpsc::UnboundedReceiver<GuildId>) {
    while let Some(guild) = asked.recv().await {
        let mut guilds = BTreeSet::from([guild]);
        while let Ok(guild) = asked.try_recv() {
            guilds.insert(guild);
        }
        for guild in guilds {
            for _ in 0..LOOKS {
                let since = Some(looks.hub.position());
                let Answer::Done((_, roles)) = looks.discord.look_at_roles(guild).await else {
                    // Whether the bot is out, and what the server looks like once it answers, a comparison finds.
                    outbox.put(Observation::Missed { guild, roles: true });
                    break;
                };
                let seen = Observation::Server { guild, roles, since };
                match looks.hub.observe(&looks.name, seen).await {
                    Ok(Noted { confirm: true, .. }) => {}
                    Ok(_) => break,
                    Err(HubError::Later(_)) => {
                        outbox.put(Observation::Missed { guild, roles: true });
                        break;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the Hub does not want to know what was seen of a server");
                        break;
                    }
                }
            }
        }
    }
}

/// Reads those members of whom the Hub wants to be sure.
async fn read_members(
    looks: &Looks,
    echoes: &Echoes,
    outbox: &Outbox,
    asked: mpsc::UnboundedReceiver<Key>,
) {
    let asked = stream::unfold(asked, async |mut asked| Some((asked.recv().await?, asked)));
    asked
        .for_each_concurrent(TOGETHER, async |member| {
            // What was told first is often outdated by what is told next.
            sleep(A_MOMENT).await;
            let (guild, user) = member;
            let heard = Observation::heard(guild, user, echoes.last_heard(member));
            let sure = match looks.hub.observe(&looks.name, heard).await {
                Ok(Noted { confirm: false, .. }) => return,
                Ok(Noted { position, .. }) => looks.look_at(guild, user, position).await,
                Err(error) => Answer::Later { why: error.to_string(), after: None },
            };
            if !matches!(sure, Answer::Done(())) {
                outbox.put(Observation::Missed { guild, roles: true });
            }
        })
        .await;
}
