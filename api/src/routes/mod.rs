//! The routes, a file for each resource.

pub(crate) mod attachments;
pub(crate) mod audit;
pub(crate) mod bot;
pub(crate) mod connect;
pub(crate) mod fans;
pub(crate) mod health;
pub(crate) mod holds;
pub(crate) mod import;
pub(crate) mod integration_fans;
pub(crate) mod integrations;
pub(crate) mod keys;
pub(crate) mod left_behind;
pub(crate) mod links;
pub(crate) mod manual;
pub(crate) mod memberships;
pub(crate) mod notifications;
pub(crate) mod oauth;
pub(crate) mod ops;
pub(crate) mod providers;
pub(crate) mod roles;
pub(crate) mod sessions;
pub(crate) mod streams;
pub(crate) mod tiers;
pub(crate) mod webhook_deliveries;
pub(crate) mod webhook_endpoints;
pub(crate) mod webhooks;
