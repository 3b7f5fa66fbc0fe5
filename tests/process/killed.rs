//! SIGKILL at any moment of the main job, then a restart: the same end, no call missed, nobody left with access.

use chrono::TimeDelta;
use discord_sandbox::{Action, Fault};
use projections::VIEWS;

use crate::hub::{Hub, until};

const FANS: usize = 12;

/// After how many calls to Discord the process is killed, each time counted anew.
const MOMENTS: [usize; 6] = [1, 2, 3, 5, 7, 11];

impl Hub {
    /// Kills and restarts the process at several moments while it calls Discord.
    async fn kill_at_moments(&mut self, done: impl Fn(&Hub) -> bool) {
        for moment in MOMENTS {
            self.sandbox.forget_calls();
            // A slow call at that moment, so that some are cut in the middle.
            let slow = Fault {
                after: moment as u64,
                ..Fault::once("*", "/guilds/*/members/*", Action::Delay { ms: 100 })
            };
            self.sandbox.fault(slow);
            until("the moment", async || self.sandbox.calls().len() >= moment || done(self)).await;
            self.kill().await;
            self.serve().await;
        }
        self.sandbox.clear_faults();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_job_ends_the_same_however_often_the_process_is_killed() {
    let mut hub = Hub::start().await;
    let (guild, role) = hub.club().await;
    let fans: Vec<String> = (0..FANS).map(|n| format!("fan{n}")).collect();
    let mut users = vec![];
    for fan in &fans {
        hub.reports(fan, "active", 1).await;
        users.push(hub.links(fan).await);
    }
    let everybody = users.clone();
    let all_in = move |hub: &Hub| {
        hub.sandbox.with(|world| everybody.iter().all(|user| world.has_role(guild, *user, role)))
    };
    hub.kill_at_moments(all_in.clone()).await;
    until("that everybody is in with the role", async || all_in(&hub)).await;
    for fan in &fans {
        until("connected", async || hub.status(fan).await == "connected").await;
    }

    for fan in &fans {
        hub.reports(fan, "expired", 2).await;
    }
    let everybody = users.clone();
    let all_out = move |hub: &Hub| {
        hub.sandbox.with(|world| everybody.iter().all(|user| world.member(guild, *user).is_none()))
    };
    hub.kill_at_moments(all_out.clone()).await;
    until("that everybody is out", async || all_out(&hub)).await;
    for fan in &fans {
        until("revoked", async || hub.status(fan).await == "revoked").await;
    }
    let verified = hub.run(&["views", "verify"]).await;
    assert_eq!(verified.matches("equal at position").count(), VIEWS.len(), "{verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_the_kill_is_there_after_it() {
    let mut hub = Hub::start().await;
    hub.put("/v1/creators/kim/tiers/gold", serde_json::json!({ "name": "Gold" })).await;
    for round in 1..=8 {
        hub.reports("ada", "active", round).await;
        hub.kill().await;
        hub.serve().await;
        let known = hub.get("/v1/memberships/ada-gold").await;
        assert_eq!(known["state"]["version"], round);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_process_that_is_killed_is_followed_by_the_next() {
    let mut hub = Hub::start().await;
    let (guild, role) = hub.club().await;
    let key = hub.run(&["keys", "create", "--role", "bot"]).await;
    let url = hub.url().to_owned();
    let arguments = ["bot", "--hub", &url, "--key", key.trim(), "--name", "one"];
    // The bot inside `serve` holds the only shard until it is gone; a process of its own waits for its turn.
    let mut bot = hub.command(&arguments).spawn().unwrap();
    bot.kill().await.unwrap();
    let bot = hub.command(&arguments).spawn().unwrap();
    hub.reports("ada", "active", 1).await;
    let ada = hub.links("ada").await;
    until("that ada is in", async || hub.sandbox.with(|world| world.has_role(guild, ada, role)))
        .await;
    drop(bot);
    hub.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_fan_had_before_they_bought_outlives_a_kill_between_the_join_and_the_report() {
    let mut hub = Hub::start().await;
    let (guild, role) = hub.club().await;
    for (n, held_up) in ["PUT", "GET"].into_iter().enumerate() {
        let fan = format!("fan{n}");
        let user = hub.sandbox.with(|world| world.add_user(None, &fan));
        hub.sandbox.with(|world| {
            world.add_member(guild, user);
            world.set_role(guild, user, role, true);
            // Nobody joins in the very moment in which they buy.
            let club = world.guilds.get_mut(&guild).unwrap();
            club.members.get_mut(&user).unwrap().joined_at -= TimeDelta::minutes(1);
        });
        let late = Action::Delay { ms: 400 };
        hub.sandbox.fault(Fault::once(held_up, "/guilds/*/members/*", late));
        hub.sandbox.forget_calls();
        hub.reports(&fan, "active", 1).await;
        hub.links_as(&fan, user).await;
        until("the call", async || {
            hub.sandbox
                .asked()
                .iter()
                .any(|asked| asked == &format!("{held_up} /guilds/*/members/*"))
        })
        .await;
        hub.kill().await;
        hub.sandbox.clear_faults();
        hub.serve().await;
        until("connected", async || hub.status(&fan).await == "connected").await;
        hub.reports(&fan, "expired", 2).await;
        until("revoked", async || hub.status(&fan).await == "revoked").await;
        assert!(hub.sandbox.with(|world| world.has_role(guild, user, role)), "{held_up}");
    }
}
