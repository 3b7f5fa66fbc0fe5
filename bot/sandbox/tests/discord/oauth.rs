//! OAuth2: codes that work once, proofs, scopes, tokens that end.

use discord_sandbox::Choice;
use reqwest::{Method, Url};
use serde_json::Value;

use crate::place::{INSTALL, Place, REDIRECT};

const FAN: &str = "&scope=identify%20guilds.join&state=s";

#[tokio::test]
async fn a_code_works_once_and_names_who_consented() {
    let place = Place::new().await;
    let ada = place.user("ada");
    let code = place.code(FAN, &Choice { user: ada, ..Choice::default() });
    let form =
        [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", REDIRECT)];
    let (status, tokens) = place.token(&form).await;
    assert_eq!((status.as_u16(), tokens["scope"].as_str()), (200, Some("identify guilds.join")));
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let me = place.call(Method::GET, "/users/@me", &bearer, Value::Null).await;
    assert_eq!(me.body["id"], ada.to_string());
    let (status, refused) = place.token(&form).await;
    assert_eq!((status.as_u16(), refused["error"].as_str()), (400, Some("invalid_grant")));
}

#[tokio::test]
async fn a_refresh_token_is_exchanged_for_the_next_and_ends_with_the_authorisation() {
    let place = Place::new().await;
    let ada = place.user("ada");
    let code = place.code(FAN, &Choice { user: ada, ..Choice::default() });
    let form =
        [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", REDIRECT)];
    let (_, first) = place.token(&form).await;
    let refresh = |tokens: &Value| tokens["refresh_token"].as_str().unwrap().to_owned();
    let old = refresh(&first);
    let (status, second) =
        place.token(&[("grant_type", "refresh_token"), ("refresh_token", &old)]).await;
    assert_eq!(status, 200);
    let (status, _) =
        place.token(&[("grant_type", "refresh_token"), ("refresh_token", &old)]).await;
    assert_eq!(status, 400, "it was used up");
    place.sandbox.deauthorize(ada);
    let (status, refused) =
        place.token(&[("grant_type", "refresh_token"), ("refresh_token", &refresh(&second))]).await;
    assert_eq!((status.as_u16(), refused["error"].as_str()), (400, Some("invalid_grant")));
}

#[tokio::test]
async fn a_challenge_needs_its_proof() {
    let place = Place::new().await;
    let ada = place.user("ada");
    // The example of RFC 7636, appendix B.
    let challenge =
        "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    for (given, wanted) in [
        (Some(verifier), 200),
        (Some("wrong-wrong-wrong-wrong-wrong-wrong-wrong-wrong"), 400),
        (None, 400),
    ] {
        let code =
            place.code(&format!("{FAN}{challenge}"), &Choice { user: ada, ..Choice::default() });
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", REDIRECT),
        ];
        form.extend(given.map(|verifier| ("code_verifier", verifier)));
        assert_eq!(place.token(&form).await.0, wanted, "{given:?}");
    }
}

#[tokio::test]
async fn adding_the_bot_answers_the_server_and_puts_its_role_at_the_bottom() {
    let place = Place::new().await;
    let guild = place.sandbox.with(|world| {
        let role = |name: &str, position| discord_sandbox::NewRole {
            name: name.into(),
            position,
            ..Default::default()
        };
        let roles = vec![role("a", 1), role("b", 2)];
        world.add_guild(discord_sandbox::NewGuild {
            name: "New".into(),
            owner: place.owner,
            roles,
            ..Default::default()
        })
    });
    let more = format!("&scope=bot&permissions={INSTALL}&state=s");
    let code =
        place.code(&more, &Choice { user: place.owner, guild: Some(guild), ..Choice::default() });
    let form =
        [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", REDIRECT)];
    let (_, tokens) = place.token(&form).await;
    assert_eq!(
        (&tokens["guild"]["id"], &tokens["guild"]["name"]),
        (&guild.to_string().into(), &"New".into())
    );
    let position = place.sandbox.with(|world| {
        let bot = world.bot_role(guild).unwrap();
        world.guild(guild).unwrap().roles[&bot].position
    });
    assert_eq!(position, 1);
}

#[tokio::test]
async fn who_may_not_manage_a_server_cannot_add_a_bot_to_it() {
    let place = Place::new().await;
    let ada = place.user("ada");
    let url = place.authorize_url(&format!("&scope=bot&permissions={INSTALL}&state=s"));
    let refused = place
        .sandbox
        .consent(&url, &Choice { user: ada, guild: Some(place.guild), ..Choice::default() });
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn denying_comes_back_with_an_error_and_the_state() {
    let place = Place::new().await;
    let ada = place.user("ada");
    let back = place
        .sandbox
        .consent(&place.authorize_url(FAN), &Choice { user: ada, deny: true, ..Choice::default() });
    let back = Url::parse(&back.unwrap()).unwrap();
    let pairs: std::collections::HashMap<_, _> = back.query_pairs().into_owned().collect();
    assert_eq!((pairs["error"].as_str(), pairs["state"].as_str()), ("access_denied", "s"));
    // In a browser there is a page with a button for each.
    let page = place.http.get(place.authorize_url(FAN)).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("<form") && page.contains("ada"), "{page}");
}
