//! What stands around every page: the servers at the left, and how things are.

use super::look::{self, Avatar};
use crate::{
    server::{State, lock},
    world::World,
};

/// Which page is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Here {
    People,
    Server(u64),
    Calls,
    Faults,
}

pub(super) struct Blob {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) avatar: Avatar,
    pub(super) here: bool,
    pub(super) outage: bool,
}

pub(super) struct Shell {
    pub(super) servers: Vec<Blob>,
    pub(super) here: Here,
    /// How many faults wait for calls.
    pub(super) armed: usize,
    /// Whether a bot listens to the gateway.
    pub(super) heard: bool,
    pub(super) token_alive: bool,
    pub(super) tints: String,
}

impl Shell {
    pub(super) fn new(state: &State, world: &World, here: Here) -> Self {
        let servers = world.guilds.values().map(|guild| Blob {
            id: guild.id,
            name: guild.name.clone(),
            avatar: Avatar::new(guild.id, &guild.name),
            here: here == Here::Server(guild.id),
            outage: guild.unavailable,
        });
        Self {
            servers: servers.collect(),
            here,
            armed: lock(&state.faults).armed().len(),
            heard: state.gateway.is_heard(),
            token_alive: *lock(&state.token_alive),
            tints: look::tints(world),
        }
    }
}
