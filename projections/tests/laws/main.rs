//! The laws of the views, on random histories: however the log was cut into runs, and however often the process was
//! started anew, a view equals the one that is built from the beginning; executing every command empties the command
//! stream; and the history that auditors are told ends where the view stands.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod game;
mod steps;

use std::{fs::File, os::unix::fs::FileExt};

use domain::membership::Status;
use eventstore::{Clock, Mode, Store, StoreOptions};
use projections::{VIEWS, Views};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::{
    game::{Game, id},
    steps::{Ends, Step, step},
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_view_equals_the_one_that_is_built_from_the_beginning(
        busy in any::<bool>(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut game = Game::start().await;
            if busy {
                game.everybody_is_in().await;
            }
            for step in steps {
                game.play(step).await;
            }
            game.check().await;
            game.finish().await;
            for hold in game.waiting().await {
                game.decide(hold, true).await;
            }
            game.finish().await;
            game.check().await;
            assert_eq!(game.waiting().await, []);
        });
    }
}

#[tokio::test]
async fn a_view_that_is_rebuilt_takes_the_live_one_s_place() {
    let mut game = Game::start().await;
    let steps = [
        Step::Connect { integration: 0 },
        Step::Attach { integration: 0, tier: 0, roles: 1 },
        Step::Link { fan: 0, account: 0 },
        Step::Report { membership: 0, tier: 0, status: Status::Active },
    ];
    for step in steps {
        game.play(step).await;
    }
    game.rest().await;
    for name in VIEWS {
        let folder = game.folder.path().join("views");
        let position = Views::rebuild(&folder, &game.store, name, |_| {}).await.unwrap();
        assert_eq!(position, game.store.log().head(), "{name}");
    }
    // The live node takes the new generations up by itself and goes on.
    game.play(Step::Execute { nth: 0, ends: Ends::Done }).await;
    game.rest().await;
    let counts = game.views.fan_access().counts(id(0)).await.unwrap();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(domain::status::Status::Connected, 1)]);
    game.check().await;
    let status = game.views.status();
    assert!(status.iter().all(|view| view.position == view.head), "{status:?}");
}

/// Nobody has a row in an integration without a server, so they are found by what they were given.
#[tokio::test]
async fn what_was_given_by_hand_counts_once_a_server_is_connected() {
    let mut game = Game::start().await;
    let steps = [
        Step::Grant { fan: 1, integration: 2, on: true },
        Step::Link { fan: 1, account: 0 },
        Step::Choose { fan: 1, integration: 2, on: true },
        Step::Connect { integration: 2 },
    ];
    for step in steps {
        game.play(step).await;
    }
    game.rest().await;
    let counts = game.views.fan_access().counts(id(2)).await.unwrap();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(domain::status::Status::Pending, 1)]);
    game.check().await;
}

/// A process that is killed while it builds the views leaves files that anything may have happened to.
#[tokio::test]
async fn what_was_never_finished_is_built_anew_whatever_its_file_holds() {
    let mut game = Game::start().await;
    game.play(Step::Connect { integration: 0 }).await;
    game.rest().await;
    let (stop, following) = game.following.take().unwrap();
    stop.cancel();
    following.await.unwrap();
    let folder = game.folder.path().join("views");
    std::fs::remove_dir_all(&folder).unwrap();
    // It begins, and dies before it has applied anything.
    drop(Views::open(&folder, &game.store).await.unwrap());
    for name in VIEWS {
        let file = std::fs::read_to_string(folder.join(format!("{name}.current"))).unwrap();
        let torn = File::options().write(true).open(folder.join(file)).unwrap();
        torn.write_all_at(&[7; 4096], 8192).unwrap();
    }
    game.views = Views::open(&folder, &game.store).await.unwrap();
    game.follow();
    game.check().await;
    // Once it has caught up it lasts: nothing is built a second time.
    let built = std::fs::read_to_string(folder.join("audit.current")).unwrap();
    game.start_anew().await;
    assert_eq!(std::fs::read_to_string(folder.join("audit.current")).unwrap(), built);
    game.check().await;
}

/// Whoever restores an older log beside newer views would otherwise skip what is appended to it.
#[tokio::test]
async fn a_view_that_has_seen_what_the_log_does_not_hold_is_built_anew() {
    let game = Game::start().await;
    game.rest().await;
    let (folder, older) = (game.folder.path().join("views"), TempDir::new().unwrap());
    let options =
        StoreOptions { clock: Clock::fixed(game.now), master_key: None, mode: Mode::Serve };
    let store = Store::open(older.path(), options).await.unwrap();
    assert!(game.store.log().head() > store.log().head());
    let (stop, following) = game.following.unwrap();
    stop.cancel();
    following.await.unwrap();
    let views = Views::open(&folder, &store).await.unwrap();
    assert!(views.status().iter().all(|view| view.position == store.log().head()));
}
