//! A creator sets an integration up in the pages, without a script.

use discord_sandbox::{Action, Choice, Fault};
use serde_json::json;

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

#[tokio::test]
async fn a_creator_is_through_set_up_by_forms_and_links_alone() {
    let world = World::start().await;
    world.tier("kim", "gold").await;
    world.tier("kim", "vip").await;
    let owner = world.user("kim");
    let (guild, gold, vip) = world.server(owner);
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let path = named(&mut kim, "Club").await;
    let choice = Choice { user: owner, guild: Some(guild), ..Choice::default() };

    // Each step is reachable from the table, wherever it was left.
    kim.get(TABLE).await.has("Continue set-up").has(&format!("{path}/connect"));
    assert_eq!(kim.get(&format!("{path}/roles")).await.path, format!("{path}/connect"));
    let back = kim.goes_to_discord(&format!("{path}/connect/discord"), &choice).await;
    let roles = kim.get(&back).await.is(200).has("Discord is connected");
    let roles = roles.has("The bot stands too low").has("Above the bot").has("The bot stands here");
    assert_eq!(kim.get(&format!("{path}/connect")).await.path, format!("{path}/roles"));

    let refresh = format!("{path}/roles/refresh");
    let same = kim.submit(&roles, &refresh, &[]).await.is(200).has("Nothing has changed");
    world.sandbox.with(|world| {
        let bot = world.bot_role(guild).unwrap();
        world.edit_role(guild, bot, |role| role.position = 100);
    });
    let raised = kim.submit(&same, &refresh, &[]).await.is(200);
    raised.has("<bdi>gold</bdi> can be given now").has("The bot stands high enough");

    // Roles with the names of tiers are ticked already.
    let form = kim.get(&format!("{path}/memberships")).await.is(200).has("ticked already");
    let review = format!("{path}/memberships/review");
    kim.submit(&form, &review, &[]).await.is(422).has("Choose at least one membership");
    let (gives_gold, gives_vip) = (format!("gold/{gold}"), format!("vip/{vip}"));
    let chosen = [("tier", "gold"), ("tier", "vip"), ("role", &gives_gold), ("role", &gives_vip)];
    let plan = kim.submit(&form, &review, &chosen).await.is(200).has("Nobody is affected now");
    let apply = format!("{path}/memberships");
    let done = kim.submit(&plan, &apply, &[]).await.is(200).has("You are all set").has("Active");
    assert_eq!(done.path, format!("{path}?done=set_up"));
    // Sent once more: it is as it was wanted.
    kim.submit(&plan, &apply, &[]).await.is(200);

    let events = world.events().await;
    assert_eq!(events.iter().filter(|event| *event == "MembershipAttached").count(), 2);
    kim.get(TABLE).await.has("Active").lacks("Continue set-up");
    world.prove().await;
}

#[tokio::test]
async fn a_tier_that_is_not_ticked_is_not_attached_whatever_roles_are() {
    let world = World::start().await;
    world.tier("kim", "gold").await;
    world.tier("kim", "vip").await;
    let owner = world.user("kim");
    let (guild, gold, vip) = world.server(owner);
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let path = named(&mut kim, "Club").await;
    let choice = Choice { user: owner, guild: Some(guild), ..Choice::default() };
    let back = kim.goes_to_discord(&format!("{path}/connect/discord"), &choice).await;
    world.sandbox.with(|world| {
        let bot = world.bot_role(guild).unwrap();
        world.edit_role(guild, bot, |role| role.position = 100);
    });
    let roles = kim.get(&back).await;
    kim.submit(&roles, &format!("{path}/roles/refresh"), &[]).await.is(200);

    let form = kim.get(&format!("{path}/memberships")).await.is(200);
    // Each tier's roles are folded away, but for the tiers that are ticked.
    assert_eq!(form.html.matches("<details class=\"tier-roles\" open>").count(), 2);
    let (gives_gold, gives_vip) = (format!("gold/{gold}"), format!("vip/{vip}"));
    let (review, apply) = (format!("{path}/memberships/review"), format!("{path}/memberships"));
    let roles = [("role", gives_gold.as_str()), ("role", gives_vip.as_str())];
    // Whoever holds it already is told, and brought in by nobody but themselves.
    for (fan, status) in [("ada", "active"), ("ben", "active"), ("cleo", "expired")] {
        let held =
            json!({ "fan": fan, "creator": "kim", "tier": "vip", "status": status, "version": 1 });
        world.put(&format!("/v1/memberships/{fan}-vip"), held).await.ok();
    }
    let nothing = kim.submit(&form, &review, &roles).await.is(422);
    let nothing = nothing.has("Choose at least one membership");
    nothing.has("<details class=\"tier-roles\">");
    let plan = kim.submit(&form, &review, &[[("tier", "vip")].as_slice(), &roles].concat()).await;
    let plan = plan.is(200).lacks(&gives_gold).has(&gives_vip);
    let plan = plan.has("2 fans hold these memberships already").lacks("Nobody is affected");
    let done = kim.submit(&plan, &apply, &[]).await.is(200).has("You are all set");
    done.has("get in once they connect Discord or activate it").lacks("is being brought in now");
    let events = world.events().await;
    assert_eq!(events.iter().filter(|event| *event == "MembershipAttached").count(), 1);
}

#[tokio::test]
async fn a_change_shows_who_gains_and_who_loses_before_it_is_made() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let path = format!("{TABLE}/{}", club.integration);

    let form = kim.get(&format!("{path}/memberships")).await.is(200);
    let review = format!("{path}/memberships/review");
    kim.submit(&form, &review, &[("role", &format!("vip/{}", club.vip))])
        .await
        .is(422)
        .has("Nothing is different");
    let other = format!("vip/{}", club.gold);
    let plan = kim.submit(&form, &review, &[("role", &other)]).await.is(200);
    let plan = plan.has("Something changes for 1 fan").has("<h3>Get</h3>").has("<h3>Lose</h3>");
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));

    // Meanwhile somebody changes it in another tab: what was reviewed no longer holds.
    world.attach(&club, "gold", &[club.gold]).await;
    let apply = format!("{path}/memberships");
    let again = kim.submit(&plan, &apply, &[]).await.is(200).has("has changed meanwhile");
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    kim.submit(&again, &apply, &[]).await.is(200).has("The change is applied");
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.gold]));

    let remove = format!("{path}/memberships/vip/remove");
    let ask = kim.get(&remove).await.is(200).has("1 fan is removed from the server");
    kim.submit(&ask, &remove, &[]).await.is(200).has("The membership is removed");
    kim.submit(&ask, &remove, &[]).await.is(200);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    world.prove().await;
}

#[tokio::test]
async fn a_role_that_cannot_be_given_is_not_reviewed() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let path = format!("{TABLE}/{}", club.integration);
    let form = kim.get(&format!("{path}/memberships")).await;
    world.sandbox.with(|world| world.edit_role(club.guild, club.gold, |role| role.position = 200));
    world.post(&format!("{}/roles/refresh", club.path()), json!({})).await.ok();

    let (vip, gold) = (format!("vip/{}", club.vip), format!("vip/{}", club.gold));
    let review = format!("{path}/memberships/review");
    let refused = kim.submit(&form, &review, &[("role", &vip), ("role", &gold)]).await.is(422);
    refused.has("A role that is ticked cannot be given").has("above the bot").has("checked");
}

#[tokio::test]
async fn a_role_that_is_dragged_in_discord_moves_on_the_page() {
    let world = World::start_listening().await;
    world.tier("kim", "vip").await;
    let owner = world.user("kim");
    let (guild, ..) = world.server(owner);
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let path = named(&mut kim, "Club").await;
    let choice = Choice { user: owner, guild: Some(guild), ..Choice::default() };
    let back = kim.goes_to_discord(&format!("{path}/connect/discord"), &choice).await;
    let roles = kim.get(&back).await.is(200).has("The bot stands too low");
    let mut live = kim.watches(&roles).await;

    world.sandbox.with(|world| {
        let bot = world.bot_role(guild).unwrap();
        world.edit_role(guild, bot, |role| role.position = 100);
    });

    live.until_sent("The bot stands high enough").await;
}

#[tokio::test]
async fn a_bot_that_was_thrown_out_is_brought_back_from_the_roles_too() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let path = format!("{TABLE}/{}/roles", club.integration);
    kim.get(&path).await.is(200).has("The bot stands here").has("high enough");
    let bot = world.sandbox.application().bot_user;
    world.sandbox.with(|discord| discord.remove_member(club.guild, bot));
    world.has_trouble(&club, "bot_missing").await;

    let shown = kim.get(&path).await.is(200).has("The bot is not in the server");
    let shown = shown.has("Connect Discord again").lacks("The bot stands here");
    let shown = shown.lacks("high enough").lacks("class=\"can\"").lacks("class=\"drag\"");
    let refused = kim.submit(&shown, &format!("{path}/refresh"), &[]).await.is(200);
    refused.has("The bot is not in the server").has("data-told").has("Connect Discord again");
}

#[tokio::test]
async fn roles_that_cannot_be_read_are_told_where_they_were_asked_for() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let path = format!("{TABLE}/{}/roles", club.integration);
    let shown = kim.get(&path).await.is(200);
    let refresh = format!("{path}/refresh");

    world.sandbox.fault(Fault::always("GET", "/guilds/**", Action::Error { status: 503 }));
    let later = kim.submit(&shown, &refresh, &[]).await.is(200).has("Discord does not answer");
    let later = later.has("refresh again in a moment").has("data-told").has("Roles of your server");
    world.sandbox.clear_faults();

    // The bot was thrown out, and nobody told the Hub.
    let bot = world.sandbox.application().bot_user;
    world.sandbox.with(|discord| discord.remove_member(club.guild, bot));
    let gone = kim.submit(&later, &refresh, &[]).await.is(200).has("The bot is not in the server");
    gone.has("Connect Discord again").lacks("high enough");
    world.has_trouble(&club, "bot_missing").await;
}

#[tokio::test]
async fn what_came_of_a_refresh_is_told_as_it_stands() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let at = format!("{TABLE}/{}", club.integration);
    let path = format!("{at}/roles");
    let read_anew = format!("{}/roles/refresh", club.path());
    world.sandbox.with(|world| {
        let bot = world.bot_role(club.guild).unwrap();
        world.edit_role(club.guild, bot, |role| (role.position, role.name) = (0, "Door <3".into()));
    });
    world.post(&read_anew, json!({})).await.ok();

    // The picture and the words call the bot's role by its name.
    let shown = kim.get(&path).await.is(200).has("The bot stands too low");
    let shown = shown.has("<bdi>Door &#60;3</bdi>, above").has(">Door &#60;3</text>");
    let blocked = kim.get(&at).await.is(200).has("stands above the bot");
    blocked.has("<bdi>vip</bdi></span></p>");
    let same = kim.submit(&shown, &format!("{path}/refresh"), &[]).await.is(200);
    let same = same.has("Nothing has changed").has("data-told");

    let mut live = kim.watches(&same).await;
    world.moves_bot(&club, 100);
    world.post(&read_anew, json!({})).await.ok();
    live.until_sent("<bdi>vip</bdi> can be given now").await;

    // What stands in the way is not where the bot stands.
    world.sandbox.with(|world| {
        let bot = world.bot_role(club.guild).unwrap();
        world.edit_role(club.guild, bot, |role| role.permissions = 0);
        world.edit_role(club.guild, club.guild, |role| role.permissions = 0);
    });
    world.post(&read_anew, json!({})).await.ok();
    kim.get(&path).await.is(200).has("The bot lacks Manage Roles").lacks("class=\"drag\"");
}
