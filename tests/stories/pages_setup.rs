//! A creator sets an integration up in the pages, without a script.

use discord_sandbox::Choice;

use crate::support::{Browser, World};

const TABLE: &str = "/creator/integrations";
const NAME: &str = "/creator/integrations/new/discord";

/// Names an integration; answers its path.
async fn named(browser: &mut Browser<'_>, name: &str) -> String {
    let form = browser.get(NAME).await.is(200);
    let connect = browser.submit(&form, NAME, &[("name", name)]).await.is(200);
    connect.path.strip_suffix("/connect").unwrap().to_owned()
}

#[tokio::test]
async fn an_integration_is_in_the_table_once_it_has_a_name() {
    let world = World::start().await;
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    kim.get(TABLE).await.has("Add your first integration");

    let form = kim.get(NAME).await.is(200);
    kim.submit(&form, NAME, &[("name", "  ")]).await.is(422).has("Give it a name");
    kim.submit(&form, NAME, &[("name", "My club")]).await.is(200).has("Connect your Discord");
    // Pressed twice, or gone back and sent again.
    kim.submit(&form, NAME, &[("name", "My club")]).await.is(200).has("Connect your Discord");

    assert_eq!(world.events().await, ["IntegrationCreated"]);
    kim.get(TABLE).await.has("My club").has("Not Connected").has("Continue set-up");
}

#[tokio::test]
async fn a_name_is_shown_and_nothing_else() {
    let world = World::start().await;
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let hostile = "<script>alert(1)</script>\u{202e}\" onload='x' 🦀";
    let path = named(&mut kim, hostile).await;
    for page in [TABLE.to_owned(), format!("{path}/connect")] {
        let shown = kim.get(&page).await.is(200).lacks("<script>alert").lacks("onload='");
        assert!(shown.html.contains("<bdi>&#60;script&#62;alert(1)&#60;/script&#62;\u{202e}&#34;"));
    }
}

#[tokio::test]
async fn another_creator_s_integration_is_not_there() {
    let world = World::start().await;
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let path = named(&mut kim, "Kim's secret club").await;
    let mut lee = Browser::of(&world, "creator", Some("lee")).await;
    lee.get(TABLE).await.is(200).lacks("secret");
    for page in ["/connect", "/connect/discord"] {
        lee.get(&format!("{path}{page}")).await.is(404).lacks("secret");
    }
}

#[tokio::test]
async fn the_way_back_from_discord_is_for_the_browser_that_went() {
    let world = World::start().await;
    let owner = world.user("kim");
    let (guild, ..) = world.server(owner);
    let choice = Choice { user: owner, guild: Some(guild), ..Choice::default() };
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let path = named(&mut kim, "Club").await;

    let mut other = Browser::of(&world, "creator", Some("kim")).await;
    let back = kim.goes_to_discord(&format!("{path}/connect/discord"), &choice).await;
    other.get(&back).await.is(400).has("way back from Discord");
    assert_eq!(world.events().await, ["IntegrationCreated"]);

    let denied = Choice { deny: true, ..choice.clone() };
    let back = kim.goes_to_discord(&format!("{path}/connect/discord"), &denied).await;
    kim.get(&back).await.is(200).has("You did not allow the bot");

    let back = kim.goes_to_discord(&format!("{path}/connect/discord"), &choice).await;
    let roles = kim.get(&back).await;
    assert_eq!(roles.path, format!("{path}/roles?done=connected"));
    kim.get(&back).await.is(400);
    kim.get(TABLE).await.has("Connected").has("Add memberships");
}
