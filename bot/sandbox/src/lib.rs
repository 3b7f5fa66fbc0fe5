//! A small Discord over real HTTP and WebSocket: REST v10, OAuth2 with a consent page, a gateway, rate
//! limits and fault scripts, driven by a control API under `/sandbox`.
//!
//! What it answers follows Discord's documentation and OpenAPI description, so that the code that speaks to
//! Discord runs against it unchanged.

#![recursion_limit = "256"]

mod calls;
mod consent;
mod control;
mod faults;
mod gateway;
mod ids;
mod limits;
mod oauth;
mod pages;
mod permissions;
mod rest;
mod server;
mod webhook;
mod world;

pub use calls::{By, Call};
pub use consent::Choice;
pub use faults::{Action, Fault, Scope};
pub use limits::{Limit, Limits};
pub use server::{Application, Config, Sandbox};
pub use world::{AuditEntry, Guild, Member, NewGuild, NewRole, Role, User, World};
