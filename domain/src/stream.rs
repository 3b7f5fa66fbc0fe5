//! Streams: one aggregate's history, named by its category and id.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// `category/id`. Categories hold no slash; a name never holds a Discord user's id. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamName(Arc<str>);

impl StreamName {
    pub fn new(category: &'static str, id: impl fmt::Display) -> Self {
        Self(format!("{category}/{id}").into())
    }

    /// A name as the log stored it.
    pub fn stored(name: &str) -> Self {
        Self(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn category(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(category, _)| category)
    }
}

impl From<&StreamName> for Arc<str> {
    fn from(stream: &StreamName) -> Self {
        Self::clone(&stream.0)
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
