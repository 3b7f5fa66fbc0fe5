//! What stands beside the log: keys, states, tokens, leases, and the fans' own keys.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Account, DiscordUserId, FanId, Personal,
    fan::{self, Fan, Link},
};
use eventstore::{
    Actor, Metadata, Position, Store, idempotency::Kept, keys::Role, sessions::Kind,
    tokens::DiscordToken,
};
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::sqlite::{Folder, raw};

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::minutes(minutes)
}

fn ada() -> FanId {
    "ada".parse().unwrap()
}

fn link(store: &Store) -> Link {
    let account = Account { id: DiscordUserId(42), username: "ada#42".into() };
    Link {
        fan: ada(),
        account_key: store.vault().account_key(account.id),
        account: Personal::Known(account),
    }
}

#[tokio::test]
async fn a_key_is_stored_hashed_and_ends_by_time_or_by_hand() {
    let folder = Folder::new();
    let store = folder.open().await;
    let (key, secret) = store.keys().create(&Role::Bot, "eu", Some(at(10)), at(0)).await.unwrap();
    let keys = store.keys();
    let ask = |now| keys.authenticate(secret.expose_secret(), now);
    assert_eq!(ask(at(9)).await.unwrap().unwrap().id, key.id);
    assert_eq!(ask(at(10)).await.unwrap(), None);
    assert!(store.keys().revoke(key.id, at(5)).await.unwrap());
    assert!(!store.keys().revoke(key.id, at(6)).await.unwrap());
    assert_eq!(ask(at(6)).await.unwrap(), None);
    let bytes = std::fs::read(folder.path().join("hub.sqlite-wal")).unwrap();
    let secret = secret.expose_secret().as_bytes();
    assert!(!bytes.windows(secret.len()).any(|window| window == secret));
}

#[tokio::test]
async fn a_state_is_used_once_and_within_ten_minutes() {
    let folder = Folder::new();
    let store = folder.open().await;
    let states = store.oauth_states();
    let (first, late) =
        (states.create(&"a", at(0)).await.unwrap(), states.create(&"b", at(0)).await.unwrap());
    let take = |state: &secrecy::SecretString, now| {
        let state = state.expose_secret().to_owned();
        let store = store.clone();
        async move { store.oauth_states().take::<String>(&state, now).await.unwrap() }
    };
    assert_eq!(take(&first, at(9)).await, Some("a".to_owned()));
    assert_eq!(take(&first, at(9)).await, None);
    assert_eq!(take(&late, at(10)).await, None);
}

#[tokio::test]
async fn a_link_signs_in_once_and_a_session_until_it_ends() {
    let folder = Folder::new();
    let store = folder.open().await;
    let token = store.sessions().create(Kind::Link, &"kim", at(5), at(0)).await.unwrap();
    let token = token.expose_secret();
    assert_eq!(store.sessions().take::<String>(Kind::Session, token, at(1)).await.unwrap(), None);
    assert_eq!(
        store.sessions().take::<String>(Kind::Link, token, at(1)).await.unwrap(),
        Some("kim".into())
    );
    assert_eq!(store.sessions().take::<String>(Kind::Link, token, at(1)).await.unwrap(), None);
    let token = store.sessions().create(Kind::Session, &"kim", at(5), at(0)).await.unwrap();
    let sessions = store.sessions();
    let get = |now| sessions.get::<String>(Kind::Session, token.expose_secret(), now);
    assert_eq!((get(at(4)).await.unwrap(), get(at(5)).await.unwrap()), (Some("kim".into()), None));
}

#[tokio::test]
async fn a_lease_has_one_holder_and_every_holder_another_epoch() {
    let folder = Folder::new();
    let store = folder.open().await;
    let leases = store.leases();
    let minute = TimeDelta::minutes(1);
    let first = leases.acquire("shard:0/1", "a", at(0), minute).await.unwrap().unwrap();
    assert_eq!(leases.acquire("shard:0/1", "b", at(0), minute).await.unwrap(), None);
    let renewed = leases.acquire("shard:0/1", "a", at(0), minute).await.unwrap().unwrap();
    assert_eq!(renewed.epoch, first.epoch);
    let second = leases.acquire("shard:0/1", "b", at(1), minute).await.unwrap().unwrap();
    assert!(second.epoch > first.epoch);
    assert_eq!(leases.renew("shard:0/1", "a", first.epoch, at(1), minute).await.unwrap(), None);
    assert!(!leases.release("shard:0/1", "a", first.epoch).await.unwrap());
    assert!(leases.holds("shard:0/1", "b", second.epoch, at(1)).await.unwrap());
    let other = leases.acquire("timers", "a", at(1), minute).await.unwrap().unwrap();
    assert!(other.epoch > second.epoch);
    assert_eq!(leases.held("shard:", at(1)).await.unwrap().len(), 1);
    // The lock proves the former owner dead.
    let stopped = store.log().stopped();
    drop(store);
    stopped.cancelled().await;
    let store = folder.open().await;
    let next = store.leases().acquire("shard:0/1", "c", at(1), minute).await.unwrap().unwrap();
    assert!(next.epoch > other.epoch);
}

#[tokio::test]
async fn a_person_s_data_is_sealed_in_the_log_and_in_the_side_tables() {
    let folder = Folder::new();
    let store = folder.open().await;
    let metadata = Metadata { at: at(0), actor: Actor::Platform, correlation: Uuid::from_u128(1) };
    let linked = link(&store);
    let command = fan::Command::Link(linked.clone());
    store.handle::<Fan>(&fan::stream(&ada()), command, metadata, None).await.unwrap();
    let (access, expires_at) = ("access-of-ada".into(), at(9));
    let token = DiscordToken {
        account: Some(linked.account_key.clone()),
        access,
        refresh: None,
        expires_at,
        allowed_at: None,
        sent: false,
    };
    store.tokens().put(&ada(), &token).await.unwrap();

    let raw = store.log().read_after(Position(0), 10).await.unwrap();
    assert!(
        raw[0].data.contains("\"sealed\"") && !raw[0].data.contains("ada#42"),
        "{}",
        raw[0].data
    );
    let opened = store.decode(raw).await.unwrap();
    assert_eq!(opened[0].event, fan::Event::FanLinked(linked).into());
    assert_eq!(
        store.tokens().get(&ada()).await.unwrap().unwrap().access.expose_secret(),
        "access-of-ada"
    );
    for file in ["hub.sqlite", "hub.sqlite-wal"] {
        let bytes = std::fs::read(folder.path().join(file)).unwrap();
        for secret in ["ada#42", "access-of-ada"] {
            assert!(
                !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
                "{secret} in {file}"
            );
        }
    }
}

#[tokio::test]
async fn answers_of_requests_and_reports_are_forgotten_and_the_keys_of_timers_are_not() {
    let folder = Folder::new();
    let store = folder.open().await;
    store.answers().put("http:1", &[1; 32], Position(1), b"x", at(0)).await.unwrap();
    store.answers().put("outcome:5-1-a:2", &[1; 32], Position(1), b"", at(0)).await.unwrap();
    store.answers().put("expire:m:1", &[1; 32], Position(1), b"", at(0)).await.unwrap();
    // More than are looked at together, and a new one among them.
    for n in 1_000..2_100 {
        let at = if n == 1_500 { at(1) } else { at(0) };
        store.answers().put(&format!("http:{n}"), &[1; 32], Position(1), b"x", at).await.unwrap();
    }
    assert_eq!(store.answers().forget_before(at(1)).await.unwrap(), 1_101);
    assert!(store.answers().get("http:1500").await.unwrap().is_some());
    assert!(store.answers().get("http:1").await.unwrap().is_none());
    assert!(store.answers().get("expire:m:1").await.unwrap().is_some());
}

#[tokio::test]
async fn an_endpoint_and_its_secret_are_stored_with_the_answer_that_shows_it_or_not_at_all() {
    let folder = Folder::new();
    let store = folder.open().await;
    let answer = |key: &str| Kept {
        key: key.to_owned(),
        request_hash: [1; 32],
        position: Position(0),
        body: b"sealed".to_vec(),
    };
    let webhooks = store.webhooks();
    let make = async |key: &str| {
        let kept = |_: &_, _: &_| Ok(Some(answer(key)));
        webhooks.create("https://example.com", "", &[], Position(0), at(0), kept).await
    };
    let (endpoint, secret) = make("http:1").await.unwrap();
    assert_eq!(store.answers().get("http:1").await.unwrap().unwrap().body.unwrap(), b"sealed");
    // An answer that cannot be stored takes its effect back.
    make("http:1").await.unwrap_err();
    webhooks.rotate(endpoint.id, at(1), |_| Ok(Some(answer("http:1")))).await.unwrap_err();
    assert_eq!(webhooks.endpoints().await.unwrap(), std::slice::from_ref(&endpoint));
    let signing = webhooks.secrets(endpoint.id, at(2)).await.unwrap();
    assert_eq!(signing.len(), 1);
    assert_eq!(signing[0].as_slice(), secret.as_slice());
    // What is not there has no answer either.
    let nobody = webhooks.rotate(Uuid::nil(), at(1), |_| Ok(Some(answer("http:2")))).await.unwrap();
    assert!(nobody.is_none() && store.answers().get("http:2").await.unwrap().is_none());
}

#[tokio::test]
async fn a_fan_s_key_that_is_missing_is_not_taken_for_one_that_was_destroyed() {
    let folder = Folder::new();
    let sealed = folder.beside().await.vault().seal_for(&ada(), b"secret").await.unwrap();
    let open = async || folder.beside().await.vault().open_for(&ada(), &sealed).await;
    let change = async |sql: &'static str| {
        sqlx::query(sql).execute(&mut raw(&folder).await).await.unwrap();
    };
    assert_eq!(open().await.unwrap().unwrap(), b"secret");
    change("create table lost as select * from subject_keys").await;
    change("delete from subject_keys").await;
    assert!(open().await.unwrap_err().to_string().contains("backup"));
    change("insert into subject_keys select * from lost").await;
    assert_eq!(open().await.unwrap().unwrap(), b"secret");
    change("update subject_keys set wrapped = null, destroyed_at = 1").await;
    assert_eq!(open().await.unwrap(), None, "destroyed, so what it sealed is erased");
    // Who comes back begins anew, and what was erased stays so.
    let store = folder.beside().await;
    let again = store.vault().seal_for(&ada(), b"new").await.unwrap();
    assert_eq!(store.vault().open_for(&ada(), &again).await.unwrap().unwrap(), b"new");
    assert_eq!(open().await.unwrap(), None);
}
