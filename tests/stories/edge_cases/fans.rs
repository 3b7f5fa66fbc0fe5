//! Fans and their accounts: links that break, accounts that change, members who come and go.

use std::time::Duration;

use discord_sandbox::{Action, Fault};
use serde_json::json;

use crate::support::World;

const MEMBER: &str = "/guilds/*/members/*";

#[tokio::test]
async fn case_10_a_link_that_discord_no_longer_takes_asks_for_a_new_one_and_never_blocks_a_removal()
{
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.deauthorize(ada);
    let second = world.club("eve").await;
    let body =
        json!({ "fan": "ada", "creator": "eve", "tier": "vip", "status": "active", "version": 1 });
    world.put("/v1/memberships/ada-eve", body).await.ok();
    world.settle().await;
    assert_eq!(
        world.status(&second, "ada").await,
        ("action_required".into(), Some("link_broken".into()))
    );
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    world.prove().await;
}

#[tokio::test]
async fn case_10_who_never_linked_is_no_failure_and_costs_no_call() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.sandbox.forget_calls();
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.settle().await;
    assert_eq!(world.status(&club, "ada").await, ("available".into(), Some("not_linked".into())));
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.settle().await;
    // What was never there was not taken: she is not among the club's fans any more.
    let fans = world.get(&format!("{}/fans", club.path())).await.ok();
    assert_eq!(fans["data"], json!([]));
    assert_eq!(world.sandbox.calls().len(), 0);
    world.prove().await;
}

#[tokio::test]
async fn case_10_a_member_whose_link_is_lost_is_given_roles_all_the_same() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.attach(&club, "gold", &[club.gold]).await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.deauthorize(ada);
    world.reports(&club, "ada", "gold", "active", 1).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada).unwrap().len(), 2);
    assert_eq!(world.status(&club, "ada").await, ("connected".into(), None));
    // And somebody who was there before the hub knew of them, and whose token ended since.
    let ben = world.user("ben");
    world.links("ben", ben).await.is(200);
    world.sandbox.with(|discord| discord.add_member(club.guild, ben));
    world.sandbox.deauthorize(ben);
    world.reports(&club, "ben", "vip", "active", 1).await;
    world.settle().await;
    assert_eq!(world.roles(&club, ben), Some(vec![club.vip]));
    world.prove().await;
}

#[tokio::test]
async fn case_10_who_could_not_be_brought_in_and_comes_by_themselves_is_given_roles() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let ada = world.user("ada");
    world.links("ada", ada).await.is(200);
    world.sandbox.deauthorize(ada);
    world.reports(&club, "ada", "vip", "active", 1).await;
    world.comes_to(&club, "ada", "action_required", Some("link_broken")).await;
    world.sandbox.with(|discord| discord.add_member(club.guild, ada));
    world.is_given(&club, ada).await;
    world.prove().await;
}

#[tokio::test]
async fn case_11_who_left_is_not_brought_in_again_but_is_given_roles_when_they_come_by_themselves()
{
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.with(|discord| discord.remove_member(club.guild, ada));
    world.comes_to(&club, "ada", "action_required", Some("left_server")).await;
    assert_eq!(world.roles(&club, ada), None);
    world.sandbox.with(|discord| discord.add_member(club.guild, ada));
    world.is_given(&club, ada).await;
    // They came by themselves, so at the end they stay, without the role.
    world.reports(&club, "ada", "vip", "expired", 2).await;
    world.until("the role is gone", async |world| world.roles(&club, ada) == Some(vec![])).await;
    world.prove().await;
}

#[tokio::test]
async fn case_11_a_member_who_is_told_to_have_come_once_more_changes_nothing() {
    let world = World::start_listening().await;
    world.listens().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let before = world.events().await;
    world.sandbox.with(|discord| discord.tell_of_member_again(club.guild, ada));
    world.sandbox.with(|discord| discord.edit_role(club.guild, club.gold, |role| role.color = 1));
    world.until("the change", async |world| world.events().await.len() > before.len()).await;
    assert_eq!(world.events().await[before.len()..], ["RolesRefreshed"]);
    world.prove().await;
}

#[tokio::test]
async fn case_11_without_the_right_to_hear_of_members_a_comparison_and_a_click_bring_them_back() {
    let world = World::start_listening_without_members().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.with(|discord| discord.remove_member(club.guild, ada));
    world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
    world.comes_to(&club, "ada", "action_required", Some("left_server")).await;
    world.restores(&club, "ada").await;
    world.is_given(&club, ada).await;
    // They go, come again by themselves, and the comparison finds that too.
    world.sandbox.with(|discord| discord.remove_member(club.guild, ada));
    world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
    world.comes_to(&club, "ada", "action_required", Some("left_server")).await;
    world.sandbox.with(|discord| discord.add_member(club.guild, ada));
    world.post(&format!("{}/sync", club.path()), json!({})).await.is(202);
    world.is_given(&club, ada).await;
    world.prove().await;
}

#[tokio::test]
async fn case_12_switching_accounts_moves_the_access() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let old = world.member(&club, "ada", "vip").await;
    let new = world.user("ada2");
    world.links("ada", new).await.is(200);
    world.settle().await;
    assert_eq!((world.roles(&club, old), world.roles(&club, new)), (None, Some(vec![club.vip])));
    let link = world.get("/v1/fans/ada/link").await.ok();
    assert_eq!(
        (&link["discord"]["id"], &link["discord"]["username"]),
        (&json!(new.to_string()), &json!("ada2"))
    );
    world.prove().await;
}

#[tokio::test]
async fn case_12_what_the_old_account_keeps_is_not_forgotten_and_does_not_block_the_new_one() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let old = world.member(&club, "ada", "vip").await;
    let refuse = Action::Refuse { status: 403, code: 50013, message: "Missing Permissions".into() };
    let of_old = format!("/guilds/{}/members/{old}", club.guild);
    world.sandbox.fault(Fault::always("DELETE", &of_old, refuse.clone()));
    world.sandbox.fault(Fault::always("DELETE", &format!("{of_old}/roles/*"), refuse));
    let new = world.user("ada2");
    world.links("ada", new).await.is(200);
    world.settle().await;
    assert_eq!(world.roles(&club, new), Some(vec![club.vip]));
    assert_eq!(world.roles(&club, old), Some(vec![club.vip]));
    assert_eq!(world.status(&club, "ada").await, ("connected".into(), None));
    // The creator sees what is left over, and why. The old account is still hers: it still holds something.
    let fans = world.get(&format!("{}/fans", club.path())).await.ok();
    let left = &fans["data"][0]["leftovers"];
    assert_eq!(left.as_array().unwrap().len(), 1, "{fans:#}");
    assert_eq!(left[0]["discord"]["id"], old.to_string());
    assert_eq!(left[0]["reason"]["code"], "fan_above_bot");
    let club_now = world.get(&club.path()).await.ok();
    assert_eq!(
        (&club_now["status"], &club_now["reasons"][0]["code"]),
        (&json!("needs_attention"), &json!("fans_blocked"))
    );
    world.links("ben", old).await.problem(409, "account_taken");
    world.sandbox.clear_faults();
    world.sandbox.with(|discord| discord.edit_role(club.guild, club.gold, |role| role.color = 7));
    world.raise_bot(&club).await;
    world.settle().await;
    assert_eq!((world.roles(&club, old), world.roles(&club, new)), (None, Some(vec![club.vip])));
    world.links("ben", old).await.is(200);
    world.prove().await;
}

#[tokio::test]
async fn case_13_an_account_belongs_to_one_fan_until_it_is_let_go() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.reports(&club, "ben", "vip", "active", 1).await;
    world.links("ben", ada).await.problem(409, "account_taken");
    assert_eq!(world.get("/v1/fans/ben/link").await.ok()["discord"], json!(null));

    world.delete("/v1/fans/ada/link").await.is(202);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    assert_eq!(world.status(&club, "ada").await.0, "available");
    world.links("ben", ada).await.is(200);
    world.settle().await;
    assert_eq!(world.roles(&club, ada), Some(vec![club.vip]));
    world.prove().await;
}

#[tokio::test]
async fn case_13_who_uses_an_account_after_another_fan_is_not_removed_for_what_that_one_lost() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.patch(&club.path(), json!({ "on_end": "roles_only" })).await.ok();
    let account = world.member(&club, "ada", "vip").await;
    world.delete("/v1/fans/ada/link").await.is(202);
    world.settle().await;
    world.reports(&club, "ben", "vip", "active", 1).await;
    world.links("ben", account).await.is(200);
    world.settle().await;
    assert_eq!(world.status(&club, "ben").await.0, "connected");
    world.patch(&club.path(), json!({ "on_end": "remove_from_server" })).await.ok();
    world.settle().await;
    assert_eq!(world.roles(&club, account), Some(vec![club.vip]));
    world.prove().await;
}

#[tokio::test]
async fn case_13_who_uses_an_account_after_another_fan_keeps_what_was_left_behind_on_it() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let account = world.member(&club, "ada", "vip").await;
    world.post(&format!("{}/disconnect?force=true", club.path()), json!({})).await.is(200);
    world.delete("/v1/fans/ada/link").await;
    world.settle().await;
    world.reports(&club, "ben", "vip", "active", 1).await;
    world.links("ben", account).await.is(200);
    world.connect(&club.integration, club.owner, club.guild).await.is(200);
    let path = format!("/v1/fans/ben/integrations/{}/activate", club.integration);
    world.post(&path, json!({})).await;
    world.settle().await;
    assert_eq!(world.status(&club, "ben").await, ("connected".into(), None));
    assert_eq!(world.roles(&club, account), Some(vec![club.vip]));
    world.prove().await;
}

#[tokio::test]
async fn case_13_who_claims_another_fan_s_account_is_told_so_and_not_whose_it_is() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada-lovelace", "vip").await;
    let refused = world.links("ben", ada).await;
    let refused = refused.problem(409, "account_taken");
    let detail = refused["detail"].as_str().unwrap();
    assert!(!detail.contains("ada-lovelace") && !detail.contains("try again"), "{detail}");
    world.prove().await;
}

#[tokio::test]
async fn case_14_an_account_that_still_holds_something_is_not_let_go() {
    let world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    let refuse = Action::Refuse { status: 403, code: 50013, message: "Missing Permissions".into() };
    world.sandbox.fault(Fault::always("DELETE", "/guilds/*/members/*", refuse.clone()));
    world.sandbox.fault(Fault::always("DELETE", "/guilds/*/members/*/roles/*", refuse));
    world.delete("/v1/fans/ada/link").await.is(202);
    world.settle().await;
    assert_eq!(world.status(&club, "ada").await.0, "revoke_blocked");
    world.links("ben", ada).await.problem(409, "account_taken");
    world.sandbox.clear_faults();
    world.raise_bot(&club).await;
    world.sandbox.with(|discord| discord.edit_role(club.guild, club.gold, |role| role.color = 7));
    world.raise_bot(&club).await;
    world.settle().await;
    world.links("ben", ada).await.is(200);
    world.prove().await;
}

#[tokio::test]
async fn case_14_unlinking_takes_the_access_away_before_the_account_is_let_go() {
    let mut world = World::start().await;
    let club = world.club("kim").await;
    let ada = world.member(&club, "ada", "vip").await;
    world.sandbox.fault(Fault::always("DELETE", MEMBER, Action::Error { status: 503 }));
    world.delete("/v1/fans/ada/link").await.is(202);
    world.until_called_with("DELETE", MEMBER).await;
    assert!(!world.events().await.contains(&"AccountReleased".to_owned()));
    assert_eq!(world.status(&club, "ada").await.0, "revoking");
    // What is owed survives a restart: whom to remove from where is still known.
    world.stop().await;
    world.sandbox.clear_faults();
    world.start_again().await;
    world.settle().await;
    assert_eq!(world.roles(&club, ada), None);
    let events = world.events().await;
    let at = |kind: &str| events.iter().position(|event| event == kind).unwrap();
    assert!(at("FanUnlinked") < at("AccessRevoked") && at("AccessRevoked") < at("AccountReleased"));
    world.prove().await;
}

#[tokio::test]
async fn case_23_whom_discord_lets_in_no_more_acts_and_is_not_tried_again_by_itself() {
    for (code, trouble) in [
        (30001, "server_limit_reached"),
        (340_015, "joining_limited"),
        (50178, "account_unverified"),
    ] {
        let world = World::start_retrying(Duration::from_millis(50)).await;
        let club = world.club("kim").await;
        let no = |code| Action::Refuse { status: 400, code, message: "no".into() };
        world.sandbox.fault(Fault::always("PUT", MEMBER, no(code)));
        let ada = world.member(&club, "ada", "vip").await;
        let told = ("action_required".to_owned(), Some(trouble.to_owned()));
        assert_eq!(world.status(&club, "ada").await, told);
        // Others are tried again from time to time meanwhile.
        let ben = world.user("ben");
        world.sandbox.clear_faults();
        let role = "/guilds/*/members/*/roles/*";
        world.sandbox.fault(Fault { times: 3, ..Fault::once("PUT", role, no(59_999)) });
        world.reports(&club, "ben", "vip", "active", 1).await;
        world.links("ben", ben).await.is(200);
        world.is_given(&club, ben).await;
        let of_ada = format!("/guilds/{}/members/{ada}", club.guild);
        assert_eq!(world.calls_to("PUT", &of_ada), 1, "{trouble}");
        world.restores(&club, "ada").await;
        world.is_given(&club, ada).await;
        world.prove().await;
    }
}

#[tokio::test]
async fn case_23_a_server_that_is_full_is_tried_again_without_anybody_telling() {
    let world = World::start_retrying(Duration::from_millis(50)).await;
    let club = world.club("kim").await;
    let full = |limit| {
        world.sandbox.with(|discord| {
            discord.guilds.get_mut(&club.guild).unwrap().member_limit = limit;
        });
    };
    full(Some(2));
    let ada = world.member(&club, "ada", "vip").await;
    assert_eq!(world.status(&club, "ada").await, ("blocked".into(), Some("server_full".into())));
    full(None);
    world.is_given(&club, ada).await;
    world.prove().await;
}

#[tokio::test]
async fn case_24_who_must_accept_the_rules_first_is_connected_all_the_same() {
    let world = World::start().await;
    let club = world.club("kim").await;
    world.sandbox.with(|discord| discord.guilds.get_mut(&club.guild).unwrap().screening = true);
    world.member(&club, "ada", "vip").await;
    assert_eq!(world.status(&club, "ada").await, ("connected".into(), None));
    world.prove().await;
}
