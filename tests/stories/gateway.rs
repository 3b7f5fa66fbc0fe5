//! Sessions on Discord's gateway: begun in turns, resumed, and nothing that they told is lost on its way to the Hub.

use std::time::Duration;

use discord_sandbox::{Config, Limits};
use tokio::time::Instant;

use crate::{
    bot_process::Process,
    support::{Road, World},
};

#[tokio::test]
async fn what_the_hub_could_not_take_is_told_until_it_does() {
    let world = World::start_without_bot().await;
    let road = Road::to(&world.node().url(), "/v1/bot/observations").await;
    let process = Process::start_listening_over(&world, &road).await;
    world.listens().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    road.block(true);
    world.takes_away(&club, ada);
    world.until("a try", async |_| road.turned_back() > 1).await;
    assert_eq!(world.roles(&club, ada), Some(vec![]));
    road.block(false);
    world.is_given(&club, ada).await;
    process.stop().await;
    world.prove().await;
}

#[tokio::test]
async fn a_session_that_is_cut_is_resumed_and_misses_nothing() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.cut_gateway(true);
    world.takes_away(&club, ada);
    world.is_given(&club, ada).await;
    let (begun, _, resumed) = world.sandbox.gateway_starts();
    assert_eq!((begun, resumed), (1, 1));
    world.prove().await;
}

#[tokio::test]
async fn while_a_session_is_cut_a_member_is_looked_at_before_a_removal() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.set_gateway_closing(true);
    let tries = world.sandbox.gateway_connections();
    world.sandbox.cut_gateway(true);
    world.until("a try", async |world| world.sandbox.gateway_connections() > tries).await;
    world.leaves_and_returns(&club, ada);
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![]), "she came by herself");
    world.prove().await;
}

#[tokio::test]
async fn processes_of_one_token_begin_their_sessions_in_turns() {
    let limits = Limits::default();
    let world = World::start_without_bot_on(Config { limits, ..Config::default() }).await;
    let first = Process::start_listening_on(&world, "first", 2).await;
    let second = Process::start_listening_on(&world, "second", 2).await;
    world.until("two sessions", async |world| world.sandbox.gateway_sessions() == 2).await;
    let (begun, too_soon, _) = world.sandbox.gateway_starts();
    assert_eq!((begun, too_soon), (2, 0));
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn no_session_is_begun_that_would_cost_the_token() {
    let limits = Limits::default();
    let world = World::start_without_bot_on(Config { limits, ..Config::default() }).await;
    world.sandbox.leave_gateway_sessions(0);
    let process = Process::start_listening_on(&world, "first", 1).await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    assert!(world.sandbox.gateway_connections() > 0);
    assert_eq!(world.sandbox.gateway_sessions(), 0);
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]), "the token is alive");
    process.stop().await;
    world.prove().await;
}

#[tokio::test]
async fn a_gateway_that_closes_at_once_is_asked_ever_more_seldom() {
    let mut world = World::start_without_bot().await;
    world.sandbox.set_gateway_closing(true);
    world.starts_listening().await;
    let began = Instant::now();
    world.until("a few tries", async |world| world.sandbox.gateway_connections() > 3).await;
    // The second try comes at once; half a second and a second pass before the two after it.
    assert!(began.elapsed() > Duration::from_millis(1_400), "{:?}", began.elapsed());
    world.sandbox.set_gateway_closing(false);
    world.listens().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.takes_away(&club, ada);
    world.is_given(&club, ada).await;
    world.prove().await;
}
