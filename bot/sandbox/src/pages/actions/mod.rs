//! What can be done in a server by hand: each a form, answered by a redirect to where it shows.

mod members;
mod roles;
mod servers;

use std::sync::Arc;

use axum::{Router, response::Redirect};

use super::trouble::Trouble;
use crate::server::State;

pub(super) use servers::INSTALL;

/// Back to the page where the effect is seen.
type Done = Result<Redirect, Trouble>;

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new().merge(servers::routes()).merge(roles::routes()).merge(members::routes())
}

/// The most letters of any name.
const LONGEST_NAME: usize = 100;

/// A name as it was typed, without spaces around it.
pub(super) fn name(typed: &str, back: &str) -> Result<String, Trouble> {
    let name = typed.trim();
    if name.is_empty() {
        return Err(Trouble::invalid("A name is needed.").back(back));
    }
    if name.chars().count() > LONGEST_NAME {
        let what = format!("A name has at most {LONGEST_NAME} letters.");
        return Err(Trouble::invalid(what).fix("Shorten it and try again.").back(back));
    }
    Ok(name.to_owned())
}

fn server(guild: u64) -> String {
    format!("/servers/{guild}")
}

/// To the server's page, or to the trouble that what was meant is not there.
fn shown(found: bool, what: &str, guild: u64, looked: &str) -> Done {
    if found {
        Ok(Redirect::to(&format!("{}{looked}", server(guild))))
    } else {
        Err(Trouble::missing(what).back(server(guild)))
    }
}
