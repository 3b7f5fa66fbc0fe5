//! The views: what the log says, in the shape in which it is asked for.
//!
//! Every view lives in a local SQLite file of its own, with its checkpoint in the same transaction as
//! its rows. It is disposable: it is rebuilt from the log beside the live one and then takes its place.

pub mod audit;
mod check;
pub mod fan_access;
mod file;
mod follow;
pub mod integrations;
mod losing;
pub mod notifications;
mod rows;
pub mod timers;
mod view;
mod views;

pub use audit::Audit;
pub use check::{Difference, Verdict};
pub use fan_access::{
    CommandCursor, CommandKind, CommandRow, FanAccess, FanChange, FanRow, GoneRow, Leftover,
    Queued,
    holds::{HeldFan, HoldRow, HoldStatus, HoldsWanted},
    notices::{Audience, Notice},
};
pub use integrations::{IntegrationRow, Integrations, TierRow};
pub use losing::Losing;
pub use notifications::{Notification, Notifications};
pub use timers::{Due, Timers};
pub use view::{Change, Topic, ViewError, heard};
pub use views::{Behind, CATCH_UP, Progress, VIEWS, View, ViewStatus, Views};
