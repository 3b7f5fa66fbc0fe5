//! The log: append, read, subscribe; and beside it the few things that must be shared and yet be erasable.
//!
//! `log` knows events as texts. `store` and `decision` know them as the domain's events: they seal,
//! open, fold and decide. The side tables have a file each.

mod clock;
mod database;
mod decision;
mod error;
mod hex;
pub mod idempotency;
pub mod keys;
pub mod leases;
mod log;
mod metadata;
pub mod oauth;
pub mod sessions;
pub mod shares;
mod store;
mod to_its_end;
pub mod tokens;
mod vault;
pub mod webhooks;

pub use clock::Clock;
pub use database::Mode;
pub use decision::{Attempts, Committed, Decided, Decision, HandleError};
pub use error::{OpenError, StoreError};
pub use log::{
    Append, AppendError, AppendKey, Appended, Log, NewEvent, Recorded, Subscription, Write,
};
pub use metadata::{Actor, InvalidActor, Metadata, Position};
pub use store::{Envelope, Loaded, Store, StoreOptions};
pub use vault::{Secret, Vault};
