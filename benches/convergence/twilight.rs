//! The same calls through twilight's client and nothing but its own limiter; and the sandbox without any limits.

use std::time::{Duration, Instant};

use discord_sandbox::{Config, Limits, NewGuild, NewRole, Sandbox};
use futures_util::{StreamExt, stream};
use twilight_http::Client;
use twilight_http_ratelimiting::RateLimiter;
use twilight_model::id::Id;

use crate::{
    field::{Club, Field},
    limits::CALLS_PER_SECOND,
};

/// How many fans are worked on together.
const TOGETHER: usize = 256;

/// After so many times the fans' least time, it is given up.
const PATIENCE: Duration = Duration::from_mins(6);

fn client(sandbox: &Sandbox, limiter: Option<RateLimiter>) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .token(sandbox.application().bot_token.clone())
        .proxy(sandbox.addr().to_string(), true)
        .timeout(Duration::from_mins(10))
        .ratelimiter(limiter)
        .build()
}

/// Brings every fan in and gives the role; answers the time, and whether it came to an end.
pub(crate) async fn grants(field: &Field, clubs: &[Club]) -> (Duration, bool) {
    let limiter = RateLimiter::new(u16::try_from(CALLS_PER_SECOND).unwrap());
    let client = client(&field.sandbox, Some(limiter));
    // Servers in turns, as the Hub does it.
    let longest = clubs.iter().map(|club| club.fans.len()).max().unwrap_or_default();
    let fans: Vec<_> = (0..longest)
        .flat_map(|n| clubs.iter().filter_map(move |club| Some((club, *club.fans.get(n)?))))
        .map(|(club, fan)| {
            let user = field.users[fan];
            (club, user, field.sandbox.token_of(user, &["identify", "guilds.join"]))
        })
        .collect();
    let began = Instant::now();
    let work = stream::iter(fans).for_each_concurrent(TOGETHER, async |(club, user, token)| {
        let (guild, user) = (Id::new(club.guild), Id::new(user));
        client.add_guild_member(guild, user, &token).await.unwrap();
        client.add_guild_member_role(guild, user, Id::new(club.role)).await.unwrap();
    });
    let whole = tokio::time::timeout(PATIENCE, work).await.is_ok();
    (began.elapsed(), whole)
}

/// How many calls a second the sandbox answers where nothing limits them.
pub(crate) async fn alone(calls: usize) -> f64 {
    let sandbox =
        Sandbox::start(Config { limits: Limits::off(), ..Config::default() }).await.unwrap();
    let (guild, users) = sandbox.with(|world| {
        let owner = world.add_user(None, "kim");
        let role = NewRole { name: "gold".into(), position: 1, ..NewRole::default() };
        let guild = world.add_guild(NewGuild {
            name: "Club".into(),
            owner,
            roles: vec![role],
            ..NewGuild::default()
        });
        world.add_bot(guild, 268_435_459);
        let bot = world.bot_role(guild).unwrap();
        world.edit_role(guild, bot, |role| role.position = 9);
        let users: Vec<u64> = (0..calls)
            .map(|n| {
                let user = world.add_user(None, &format!("fan{n}"));
                world.add_member(guild, user);
                user
            })
            .collect();
        (guild, users)
    });
    let role = sandbox.with(|world| {
        world.guild(guild).unwrap().roles.values().find(|role| role.name == "gold").unwrap().id
    });
    let client = client(&sandbox, None);
    let began = Instant::now();
    stream::iter(users)
        .for_each_concurrent(64, async |user| {
            client
                .add_guild_member_role(Id::new(guild), Id::new(user), Id::new(role))
                .await
                .unwrap();
        })
        .await;
    calls as f64 / began.elapsed().as_secs_f64()
}
