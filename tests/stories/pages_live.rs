//! Pages that are looked at while things change, and while something is the matter with the hub.

use std::collections::BTreeSet;

use domain::CreatorId;
use projections::Topic;

use crate::support::{Browser, World, failures};

#[tokio::test]
async fn nobody_is_shown_anything_while_their_session_cannot_be_checked() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let table = kim.get("/creator/integrations").await.is(200).has("No fans yet");
    let mut live = kim.watches(&table).await;
    world.member(&club, "ada", "vip").await;
    live.until_sent("1 connected").await;

    let unreadable = "update sessions set content = '{}' where kind = 'session'";
    world.meddle("hub.sqlite", unreadable).await;
    world.member(&club, "ben", "vip").await;
    let sent = live.until_over().await;
    // The stream is broken off and not called ended: the browser comes again.
    assert!(!sent.contains("event:"), "{sent}");
}

#[tokio::test]
async fn a_part_of_a_page_that_failed_is_logged_and_made_again_by_itself() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let table = kim.get("/creator/integrations").await.is(200).has("No fans yet");
    let mut live = kim.watches(&table).await;
    let mut failed = failures();

    world.meddle("views/integrations.1.sqlite", "alter table tiers rename to away").await;
    world.member(&club, "ada", "vip").await;
    let logged = failed.recv().await.unwrap();
    assert!(logged.contains("no such table: tiers"), "{logged}");

    // Nothing changes from here on but that it can be read.
    world.meddle("views/integrations.1.sqlite", "alter table away rename to tiers").await;
    live.until_sent("1 connected").await;
}

#[tokio::test]
async fn changes_say_whose_they_are_so_that_nobody_else_looks() {
    let world = World::start().await;
    let kim = world.club("kim").await;
    let lee = world.club("lee").await;
    world.member(&kim, "ada", "vip").await;
    world.settle().await;
    let mut changes = world.node().views().changes();
    world.member(&lee, "ben", "vip").await;
    world.settle().await;

    let mut topics = BTreeSet::new();
    while let Ok(some) = changes.try_recv() {
        let within =
            some.iter().filter(|change| ![Topic::Fans, Topic::Commands].contains(&change.topic));
        for change in within.filter(|change| change.topic != Topic::Notifications) {
            let integration = change.integration.map(|id| id.to_string());
            assert_eq!(integration.as_deref(), Some(lee.integration.as_str()), "{change:?}");
            assert_eq!(change.creator.as_ref().map(CreatorId::as_str), Some("lee"), "{change:?}");
            topics.insert(change.topic);
        }
    }
    assert_eq!(topics, [Topic::Activity, Topic::FanAccess].into());
}
