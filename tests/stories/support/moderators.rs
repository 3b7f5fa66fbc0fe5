//! What moderators do in a club's server, what is waited for, and what Discord was asked.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::StatusCode;
use serde_json::json;

use super::{Club, World};

impl World {
    /// A hub that tries what waits for somebody again after a short while.
    pub(crate) async fn start_retrying(parked: Duration) -> Self {
        let bot = bot::WorkerSettings { parked, ..Self::quick_bot() };
        Self::start_with(Some(bot)).await
    }

    /// A hub whose Discord is somebody else's.
    pub(crate) async fn start_elsewhere(api_url: &str) -> Self {
        let mut world = Self::prepare(discord_sandbox::Config::default()).await;
        (world.api_url, world.bot) = (Some(api_url.to_owned()), Some(Self::quick_bot()));
        world.begin().await;
        world
    }

    /// A hub with another Discord than the usual one.
    pub(crate) async fn start_with_discord(config: discord_sandbox::Config) -> Self {
        let mut world = Self::prepare(config).await;
        world.bot = Some(Self::quick_bot());
        world.begin().await;
        world
    }

    /// The same whose bot work is done by other processes.
    pub(crate) async fn start_without_bot_on(config: discord_sandbox::Config) -> Self {
        let mut world = Self::prepare(config).await;
        world.begin().await;
        world
    }

    /// The hub's own bot works from here on, and listens.
    pub(crate) async fn starts_listening(&mut self) {
        self.listen();
        self.start_again().await;
    }

    /// The bot hears what happens from here on.
    pub(crate) async fn listens(&self) {
        self.until("a gateway session", async |world| world.sandbox.gateway_sessions() > 0).await;
    }

    /// A moderator takes the club's role from somebody.
    pub(crate) fn takes_away(&self, club: &Club, user: u64) {
        self.sandbox.with(|discord| discord.set_role(club.guild, user, club.vip, false));
    }

    /// Somebody leaves, and is back by themselves ten minutes later, which is ten minutes ago.
    pub(crate) fn leaves_and_returns(&self, club: &Club, user: u64) {
        self.sandbox.with(|discord| {
            discord.remove_member(club.guild, user);
            discord.add_member(club.guild, user);
            let guild = discord.guilds.get_mut(&club.guild).unwrap();
            guild.members.get_mut(&user).unwrap().joined_at += TimeDelta::minutes(10);
        });
        self.clock.advance(TimeDelta::minutes(20));
    }

    /// Somebody drags the bot's role to another place, if the bot is there, and the hub is not told.
    pub(crate) fn moves_bot(&self, club: &Club, position: i64) {
        self.sandbox.with(|discord| {
            if let Some(bot) = discord.bot_role(club.guild) {
                discord.edit_role(club.guild, bot, |role| role.position = position);
            }
        });
    }

    /// A fan asks to be let in again.
    pub(crate) async fn restores(&self, club: &Club, fan: &str) {
        let path = format!("/v1/fans/{fan}/integrations/{}/activate", club.integration);
        assert_eq!(self.post(&path, json!({})).await.status, StatusCode::ACCEPTED);
    }

    /// Waits until somebody has the club's role and no other.
    pub(crate) async fn is_given(&self, club: &Club, user: u64) {
        self.until("the role", async |world| world.roles(club, user) == Some(vec![club.vip])).await;
    }

    /// Waits until the club's integration shows one trouble.
    pub(crate) async fn has_trouble(&self, club: &Club, code: &str) {
        self.until(code, async |world| {
            let shown = world.get(&club.path()).await.ok();
            let reasons = shown["reasons"].as_array().unwrap();
            let codes = reasons.iter().filter(|reason| reason["code"] != "fans_blocked");
            codes.map(|reason| reason["code"].as_str().unwrap()).eq([code])
        })
        .await;
    }

    /// Waits for a call to a route by a method, while everything else goes on.
    pub(crate) async fn until_called_with(&self, method: &str, route: &str) {
        let calling = async {
            while !self.sandbox.asked().iter().any(|asked| *asked == format!("{method} {route}")) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let called = tokio::time::timeout(Duration::from_secs(30), calling).await;
        assert!(called.is_ok(), "{method} {route} was not called");
    }

    /// How often a path was called.
    pub(crate) fn calls_to(&self, method: &str, path: &str) -> usize {
        let calls = self.sandbox.calls().into_iter();
        calls.filter(|call| call.method == method && call.path == path).count()
    }
}
