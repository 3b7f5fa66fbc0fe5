//! Streams: one aggregate's history, named by its category and id.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `category/id`. Categories hold no slash; a name never holds a Discord user's id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamName(Box<str>);

impl StreamName {
    pub fn new(category: &'static str, id: impl fmt::Display) -> Self {
        Self(format!("{category}/{id}").into())
    }

    /// A name as the log stored it.
    pub fn stored(name: String) -> Self {
        Self(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn category(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(category, _)| category)
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
