//! What is remembered of aggregates follows the log.

use std::{
    future::{Future, poll_fn},
    task::Poll,
    time::Duration,
};

use domain::{
    FanId, IntegrationId,
    fan::{self, Fan},
};
use eventstore::{Actor, Clock, Metadata, Store};
use tokio::time::timeout;
use uuid::Uuid;

use crate::sqlite::Folder;

fn ada() -> FanId {
    "ada".parse().unwrap()
}

fn metadata() -> Metadata {
    Metadata { at: Clock::system().now(), actor: Actor::Platform, correlation: Uuid::now_v7() }
}

async fn leaves(store: &Store, integration: u128) -> bool {
    let integration = IntegrationId(Uuid::from_u128(integration));
    let command = fan::Command::Deactivate { fan: ada(), integration };
    let decided = store.handle::<Fan>(&fan::stream(&ada()), command, metadata(), None).await;
    decided.unwrap().appended
}

#[tokio::test]
async fn who_goes_away_while_it_is_appended_leaves_nothing_stale_behind() {
    let folder = Folder::new();
    let store = folder.open().await;
    assert!(leaves(&store, 1).await);
    let mut head = store.log().watch();
    head.borrow_and_update();
    // It is asked for once, which sends it, and then nobody waits for it.
    let mut asked = Box::pin(leaves(&store, 2));
    poll_fn(|context| {
        assert!(asked.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    drop(asked);
    head.changed().await.unwrap();
    let known = async {
        while store.load::<Fan>(&fan::stream(&ada())).await.unwrap().version < 2 {
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(Duration::from_secs(10), known).await.is_ok(), "it is not known");
    assert!(!leaves(&store, 2).await, "it was done already");
}
