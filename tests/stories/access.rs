//! Who has what, when: overlapping reasons, ends that time brings, people who were there before.

use crate::support::World;

#[tokio::test]
async fn a_change_of_an_attachment_reaches_every_fan() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let (ada, ben) =
        (world.member(&club, "ada", "vip").await, world.member(&club, "ben", "vip").await);
    world.attach(&club, "vip", &[club.gold]).await;
    world.settle().await;
    assert_eq!(
        (world.roles(&club, ada), world.roles(&club, ben)),
        (Some(vec![club.gold]), Some(vec![club.gold]))
    );
    world.delete(&format!("{}/memberships/vip", club.path())).await.is(204);
    world.settle().await;
    assert_eq!((world.roles(&club, ada), world.roles(&club, ben)), (None, None));
    world.prove().await;
}

#[tokio::test]
async fn a_paused_membership_gives_nothing_until_it_is_taken_up_again() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.reports(&club, "ada", "vip", "paused", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    world.reports(&club, "ada", "vip", "active", 3).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    world.prove().await;
}
