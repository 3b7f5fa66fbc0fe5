//! What the pages are told about the platform that they belong to.

use domain::{CreatorId, FanId, MembershipId, TierId};
use eventstore::keys::Role;
use url::Url;

/// Settings for all pages.
#[derive(Debug, Clone)]
pub struct PagesSettings {
    /// Where browsers reach the Hub.
    pub public_url: Url,
    /// The platform's name, for people.
    pub platform_name: Option<String>,
    /// Where people find help.
    pub support_url: Option<Url>,
    pub support_email: Option<String>,
    /// The people whom the start page offers, where the Hub is only tried out.
    pub demo: Option<Demo>,
}

impl PagesSettings {
    /// Whether cookies can be kept to encrypted connections.
    pub(crate) fn secure(&self) -> bool {
        self.public_url.scheme() == "https"
    }

    /// A page's address as browsers have it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.as_str().trim_end_matches('/'))
    }
}

/// A world to try the Hub in.
#[derive(Debug, Clone)]
pub struct Demo {
    pub people: Vec<DemoPerson>,
    /// What can be bought, where the reader plays the platform.
    pub offers: Vec<DemoOffer>,
    /// The Discord that belongs to it.
    pub sandbox: Url,
}

/// Somebody to be.
#[derive(Debug, Clone)]
pub struct DemoPerson {
    pub role: Role,
    pub name: String,
    /// What can be done as them.
    pub about: String,
}

/// A membership that somebody can buy.
#[derive(Debug, Clone)]
pub struct DemoOffer {
    pub membership: MembershipId,
    pub fan: FanId,
    pub creator: CreatorId,
    pub tier: TierId,
    /// The fan's name and the tier's, for people.
    pub names: (String, String),
}
