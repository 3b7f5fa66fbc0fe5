//! Roles by hand: made, changed, moved, deleted.

use std::sync::Arc;

use axum::{
    Form, Router,
    extract::{Path, State as Extract},
    routing::post,
};
use serde::Deserialize;

use super::{Done, name, server, shown};
use crate::{
    pages::{Sandbox, trouble::Trouble},
    permissions,
    server::State,
    world::{NewRole, World},
};

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/servers/{guild}/roles", post(make))
        .route("/servers/{guild}/roles/{role}/edit", post(edit))
        .route("/servers/{guild}/roles/{role}/move", post(move_role))
        .route("/servers/{guild}/roles/{role}/delete", post(delete))
}

#[derive(Deserialize)]
struct Make {
    name: String,
    #[serde(default)]
    colour: String,
}

/// A colour as browsers send it: `#d4a017`.
fn colour(text: &str) -> u32 {
    u32::from_str_radix(text.trim_start_matches('#'), 16).unwrap_or_default() & 0x00ff_ffff
}

async fn make(Extract(state): Sandbox, Path(guild): Path<u64>, Form(new): Form<Make>) -> Done {
    let name = name(&new.name, &server(guild))?;
    let made = state.with(|world| {
        let role = NewRole { name, color: colour(&new.colour), ..NewRole::default() };
        // A new role comes in at the bottom, as in Discord.
        let role = world.add_role(guild, role)?;
        world.place_role(guild, role, guild).then_some(())
    });
    shown(made.is_some(), "server", guild, "")
}

#[derive(Deserialize)]
struct Edit {
    name: String,
    #[serde(default)]
    colour: String,
    /// The permissions that are ticked, each by its bit.
    #[serde(flatten)]
    ticked: std::collections::HashMap<String, String>,
}

async fn edit(
    Extract(state): Sandbox,
    Path((guild, role)): Path<(u64, u64)>,
    Form(edit): Form<Edit>,
) -> Done {
    let looked = format!("?role={role}");
    let named = name(&edit.name, &format!("{}{looked}", server(guild)))?;
    let shown_bits = permissions::NAMED.iter().fold(0, |all, (bit, _)| all | bit);
    let ticked = |bit: u64| edit.ticked.contains_key(&format!("permission-{bit}"));
    let wanted = permissions::NAMED.iter().map(|(bit, _)| *bit).filter(|bit| ticked(*bit));
    let wanted = wanted.fold(0, |all, bit| all | bit);
    let done = state.with(|world| {
        world.edit_role(guild, role, |role| {
            // Those that the page does not show stay as they are.
            role.permissions = role.permissions & !shown_bits | wanted;
            if role.id != guild {
                role.name = named;
                role.color = colour(&edit.colour);
            }
        })
    });
    shown(done, "role", guild, &looked)
}

/// By one step, or right above another role.
#[derive(Deserialize)]
struct Move {
    direction: Option<Direction>,
    above: Option<u64>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Direction {
    Up,
    Down,
}

async fn move_role(
    Extract(state): Sandbox,
    Path((guild, role)): Path<(u64, u64)>,
    Form(wanted): Form<Move>,
) -> Done {
    let known = state.with(|world| {
        let known = world.guild(guild)?.roles.contains_key(&role);
        let above = wanted.above.or_else(|| step(world, guild, role, wanted.direction?));
        if let Some(above) = above {
            world.place_role(guild, role, above);
        }
        known.then_some(())
    });
    shown(known.is_some(), "role", guild, "")
}

/// The role that a role stands right above after one step; none at the end of the list.
fn step(world: &World, guild: u64, role: u64, direction: Direction) -> Option<u64> {
    let order = world.guild(guild)?.lowest_first();
    let at = order.iter().position(|known| known.id == role)?;
    let below = match direction {
        Direction::Up => order.get(at + 1)?,
        Direction::Down => order.get(at.checked_sub(2)?)?,
    };
    Some(below.id)
}

async fn delete(Extract(state): Sandbox, Path((guild, role)): Path<(u64, u64)>) -> Done {
    let kept = state.with(|world| {
        let known = world.guild(guild).and_then(|guild| guild.roles.get(&role));
        known.is_some_and(|role| role.managed || role.id == guild)
    });
    if kept {
        let refused = Trouble::invalid("This role belongs to an app or to everyone.");
        return Err(refused.fix("It goes when the app goes.").back(server(guild)));
    }
    shown(state.with(|world| world.delete_role(guild, role)), "role", guild, "")
}
