//! Turns at renewing a fan's token: one at a time for each fan.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use domain::FanId;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// How many fans' tokens can be renewed together; fans who fall on the same one wait for each other.
const TOGETHER: usize = 256;

/// The turns of one process. Cloning is cheap.
#[derive(Clone)]
pub(super) struct Renewals {
    turns: Arc<[Arc<Mutex<()>>]>,
    hasher: RandomState,
}

impl Default for Renewals {
    fn default() -> Self {
        let turns = std::iter::repeat_with(Arc::default).take(TOGETHER).collect();
        Self { turns, hasher: RandomState::new() }
    }
}

impl Renewals {
    /// Waits for a fan's turn, which lasts until it is dropped.
    pub(super) async fn turn(&self, fan: &FanId) -> OwnedMutexGuard<()> {
        let hash = usize::try_from(self.hasher.hash_one(fan) % TOGETHER as u64).unwrap_or_default();
        Arc::clone(&self.turns[hash]).lock_owned().await
    }
}
