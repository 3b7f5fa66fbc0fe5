//! A creator looks after an integration in the pages.

use crate::support::{Browser, Club, World};

const TABLE: &str = "/creator/integrations";

fn path(club: &Club) -> String {
    format!("{TABLE}/{}", club.integration)
}

#[tokio::test]
async fn the_table_changes_while_it_is_looked_at() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let table = kim.get(TABLE).await.is(200).has("No fans yet");
    let mut live = kim.watches(&table).await;

    world.member(&club, "ada", "vip").await;
    live.until_sent("1 connected").await;

    world.delete("/v1/sessions?role=creator&id=kim").await.is(204);
    world.reports(&club, "ben", "vip", "active", 1).await;
    live.until_sent("event: ended").await;
    live.until_over().await;
    kim.get(TABLE).await.is(401);
}

#[tokio::test]
async fn fans_are_listed_with_what_mends_them() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    world.reports(&club, "ben", "vip", "active", 1).await;
    world.sandbox.with(|world| {
        world.edit_role(club.guild, club.vip, |role| role.position = 200);
    });
    world.post(&format!("{}/roles/refresh", club.path()), serde_json::json!({})).await.ok();
    world.member(&club, "cleo", "vip").await;

    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let path = path(&club);
    let all = kim.get(&format!("{path}/fans")).await.is(200).has("ada").has("ben").has("cleo");
    all.has("<bdi>vip</bdi></span></p><p class=\"small quiet why\">The role stands above the bot");
    kim.get(&format!("{path}/fans/cleo")).await.is(200).has("<bdi>vip</bdi></span></p><p>Drag");
    kim.get(&format!("{path}/fans?status=blocked")).await.is(200).has("cleo").lacks(">ben<");
    kim.get(&format!("{path}/fans?status=available")).await.is(200).has("ben").lacks(">cleo<");
    kim.get(&format!("{path}/fans?limit=1")).await.is(200).has("Show the next ones");
    kim.get(&format!("{path}/fans?q=cl")).await.is(200).has("cleo").lacks(">ada<");
    // Whoever is not among them can be given something by hand.
    let guest = kim.get(&format!("{path}/fans?q=guest")).await.is(200).has("Give roles by hand");
    assert_eq!(guest.path, format!("{path}/fans/guest"));

    kim.get(&path).await.is(200).has("Needs attention").has("See the roles").has("See these fans");
    kim.get(&format!("{path}/health")).await.is(200).has("Some roles cannot be given");
    kim.get(&format!("{path}/roles")).await.is(200).has("The bot stands too low");
}

#[tokio::test]
async fn roles_are_given_and_access_is_withheld_by_hand() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let fan = format!("{}/fans/ada", path(&club));

    let page = kim.get(&fan).await.is(200).has("Connected").has("ada is in");
    let gold = club.gold.to_string();
    let grant = format!("{fan}/grant");
    let nothing = kim.submit(&page, &grant, &[("until", "2100-01-01")]).await.is(422);
    nothing
        .has("Tick at least one role")
        .has("autofocus")
        .has("2100-01-01")
        .has("Give these roles");
    assert!(!world.events().await.contains(&"ManualGrantGiven".to_owned()));
    kim.submit(&page, &grant, &[("role", &gold), ("until", "1999-01-01")])
        .await
        .is(422)
        .has("Choose a day in the future")
        .has("1999-01-01");
    let given = kim.submit(&page, &grant, &[("role", &gold)]).await.is(200);
    let given = given.has("The roles are being given").has("You give roles by hand now");
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.gold, club.vip]));
    let bare = kim.submit(&given, &grant, &[("bare", "yes")]).await.is(200);
    let bare =
        bare.has("The access to the server is being given").has("by hand now, without a role");
    let given = kim.submit(&bare, &grant, &[("role", &gold)]).await.is(200);
    world.settle().await;
    kim.post_like(&given, &grant, &format!("{fan}/grant/end")).await.is(200).has("taken back");
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));

    let withhold = format!("{fan}/withhold");
    kim.submit(&page, &withhold, &[("why", " ")]).await.is(422).has("Write why");
    let now = kim.submit(&page, &withhold, &[("why", "spam <b>")]).await.is(200);
    let now = now.has("spam &#60;b&#62;").has("Lift the withholding");
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    kim.submit(&now, &format!("{fan}/lift"), &[]).await.is(200).has("is lifted");
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    world.prove().await;
}

#[tokio::test]
async fn settings_are_saved_once_and_never_over_somebody_else_s() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let settings = format!("{}/settings", path(&club));
    let form = kim.get(&settings).await.is(200);

    let fields = [
        ("name", ""),
        ("on_end", "roles_only"),
        ("drift", "report"),
        ("limit_fans", "9"),
        ("limit_percent", "50"),
    ];
    kim.submit(&form, &settings, &fields).await.is(422).has("Give it a name");
    let fields = [
        ("name", "Den"),
        ("on_end", "roles_only"),
        ("drift", "report"),
        ("limit_fans", "9"),
        ("limit_percent", "50"),
    ];
    kim.submit(&form, &settings, &fields).await.is(200).has("Saved").has("Den");
    // From a tab that was opened before.
    let fields = [
        ("name", "Lair"),
        ("on_end", "remove_from_server"),
        ("drift", "repair"),
        ("limit_fans", "9"),
        ("limit_percent", "50"),
    ];
    kim.submit(&form, &settings, &fields).await.is(409).has("changed meanwhile").has("Lair");
    let known = world.get(&club.path()).await.ok();
    assert_eq!((&known["name"], &known["on_end"]), (&"Den".into(), &"roles_only".into()));
}

#[tokio::test]
async fn leaving_says_what_it_takes_away_first() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let path = path(&club);

    let disconnect = format!("{path}/disconnect");
    let ask = kim.get(&disconnect).await.is(200).has("Something changes for 1 fan");
    let ask = ask.has("1 fan is removed from the server").has("nobody stops paying");
    assert!(world.roles(&club, ada).is_some());
    kim.submit(&ask, &disconnect, &[]).await.is(200).has("Access is being taken away");
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    kim.get(TABLE).await.has("Disconnected").has("Connect again");
    kim.get(&path).await.is(200).has("The server is disconnected");

    let delete = format!("{path}/delete");
    let ask = kim.get(&delete).await.is(200).has("It cannot be undone");
    kim.submit(&ask, &delete, &[]).await.is(200).has("is being deleted").has("first integration");
    kim.get(&path).await.is(404);
    world.prove().await;
}

#[tokio::test]
async fn what_happened_is_told_in_plain_words() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let activity = format!("{}/activity", path(&club));
    let told = kim.get(&activity).await.is(200).has("ada is in Club with vip");
    // Whatever a sentence begins with, it reads from left to right.
    let told = told.has("<span class=\"wrap\" dir=\"ltr\">");
    told.has("kim created the integration").lacks("set out to").lacks("reserved");

    let shown = kim.get(&path(&club)).await.is(200);
    let sync = format!("{}/sync", path(&club));
    kim.submit(&shown, &sync, &[]).await.is(200).has("Comparing with Discord");
    let mut live = kim.watches(&shown).await;
    live.until_sent("Compared").await;
}

#[tokio::test]
async fn nothing_of_another_creator_can_be_reached() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.member(&club, "ada", "vip").await;
    let mut lee = Browser::of(&world, "creator", Some("lee")).await;
    let own = lee.get("/creator/integrations/new/discord").await;
    let token = own.hidden("/creator/integrations/new/discord");
    let token: Vec<_> = token.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let before = world.events().await;
    let path = path(&club);
    for page in [
        "",
        "/live",
        "/activity",
        "/activity/live",
        "/health",
        "/settings",
        "/disconnect",
        "/delete",
        "/fans",
        "/fans/live",
        "/fans/ada",
        "/fans/ada/live",
        "/connect",
        "/connect/discord",
        "/roles",
        "/memberships",
        "/memberships/vip/remove",
    ] {
        lee.get(&format!("{path}{page}")).await.is(404).lacks("Club").lacks("ada");
    }
    for action in [
        "/sync",
        "/settings",
        "/disconnect",
        "/delete",
        "/fans/ada/grant",
        "/fans/ada/grant/end",
        "/fans/ada/withhold",
        "/fans/ada/lift",
        "/roles/refresh",
        "/memberships",
        "/memberships/review",
        "/memberships/vip/remove",
    ] {
        let fields = [&token[..], &[("name", "x"), ("why", "x"), ("tier", "vip")]].concat();
        let answer = lee.post(&format!("{path}{action}"), &fields).await;
        answer.is(404).lacks("Club");
    }
    assert_eq!(world.events().await, before);
}

#[tokio::test]
async fn a_removal_over_the_limit_waits_for_the_creator() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let ben = world.member(&club, "ben", "vip").await;
    let mut kim = Browser::of(&world, "creator", Some("kim")).await;
    let path = path(&club);
    kim.get("/creator/approvals").await.is(200).has("Nothing waits for you");

    let settings = format!("{path}/settings");
    let form = kim.get(&settings).await;
    let policies = [("name", "Club"), ("on_end", "remove_from_server"), ("drift", "repair")];
    let limits = [("limit_fans", "many"), ("limit_percent", "100")];
    kim.submit(&form, &settings, &[policies.as_slice(), &limits].concat())
        .await
        .is(422)
        .has("Give a number of fans")
        .has("many");
    let limits = [("limit_fans", "1"), ("limit_percent", "100")];
    kim.submit(&form, &settings, &[policies.as_slice(), &limits].concat()).await.is(200);

    let remove = format!("{path}/memberships/vip/remove");
    let ask = kim.get(&remove).await.is(200).has("This will wait for your approval");
    let list = kim.submit(&ask, &remove, &[]).await.is(200).has("2 fans");
    assert_eq!(list.path, "/creator/approvals");
    world.settle().await;
    assert!(world.roles(&club, ada).is_some() && world.roles(&club, ben).is_some());
    kim.get(TABLE).await.has("Needs attention");
    kim.get(&path).await.has("Review the removal");

    let hold = list.html.split("href=\"/creator/approvals/").nth(1).unwrap();
    let hold = format!("/creator/approvals/{}", &hold[..hold.find('"').unwrap()]);
    let mut lee = Browser::of(&world, "creator", Some("lee")).await;
    lee.get(&hold).await.is(404);
    lee.get("/creator/approvals").await.is(200).lacks("Club");

    let shown = kim.get(&hold).await.is(200).has("What memberships give was changed");
    let shown = shown.has("<bdi>1 fan</bdi>, or <bdi>100</bdi> %");
    let shown = shown.has("<dt>Caused by</dt><dd><bdi>you</bdi>").lacks("creator:kim");
    let shown = shown.has("2 fans are removed from the server").has("ada").has("ben");
    kim.submit(&shown, &format!("{hold}/approve"), &[]).await.is(200).has("is being taken away");
    // In a tab that was opened before.
    kim.submit(&shown, &format!("{hold}/reject"), &[]).await.is(200).has("decided already");
    world.settle().await;
    assert!(world.roles(&club, ada).is_none() && world.roles(&club, ben).is_none());
    world.prove().await;
}
