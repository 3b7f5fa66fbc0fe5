//! The sandbox behaves as Discord does: held against Discord's documentation, and its answers against Discord's own
//! description of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod limits;
mod oauth;
mod pages;
mod place;
mod rest;
mod schemas;
mod webhook;
