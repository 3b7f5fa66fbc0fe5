//! What stands above every page of one integration: its name, how it stands, its pages.

use std::{collections::BTreeMap, sync::Arc};

use askama::{Template, filters::HtmlSafe};
use domain::{CreatorId, IntegrationId, RoleId, TierId, integration::Phase};
use projections::IntegrationRow;

use crate::{
    app::App,
    error::ApiError,
    pages::{
        components::{Chip, RolePill, Tile},
        creator::{
            approvals,
            table::{there, tier_names},
        },
        frame::Frame,
        session::{Area, Signed},
        texts::{self, Texts},
    },
    routes::integrations::{self, IntegrationAnswer},
};

/// The pages of an integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Fans,
    Memberships,
    Roles,
    Activity,
    Settings,
}

impl Tab {
    const ALL: [Self; 6] = [
        Self::Overview,
        Self::Fans,
        Self::Memberships,
        Self::Roles,
        Self::Activity,
        Self::Settings,
    ];

    fn path(self) -> &'static str {
        match self {
            Self::Overview => "",
            Self::Fans => "/fans",
            Self::Memberships => "/memberships",
            Self::Roles => "/roles",
            Self::Activity => "/activity",
            Self::Settings => "/settings",
        }
    }

    fn text(self, t: &Texts) -> &'static str {
        let t = &t.integration;
        match self {
            Self::Overview => t.overview,
            Self::Fans => t.fans,
            Self::Memberships => t.memberships,
            Self::Roles => t.roles,
            Self::Activity => t.activity,
            Self::Settings => t.settings,
        }
    }
}

/// An integration with everything that its pages show of it.
pub(super) struct Integration {
    pub(super) row: IntegrationRow,
    pub(super) answer: IntegrationAnswer,
    /// What the creator's tiers are called.
    pub(super) tiers: BTreeMap<TierId, String>,
    /// How many removals of the creator wait for approval.
    pub(super) waiting: usize,
    /// Where the ones of this integration are approved.
    pub(super) held_at: String,
}

impl Integration {
    pub(super) async fn load(
        app: &Arc<App>,
        signed: &Signed<CreatorId>,
        id: IntegrationId,
    ) -> Result<Self, ApiError> {
        // A form is decided on what its sender may have just done in another tab.
        app.caught_up().await?;
        let row = integrations::row(app, &signed.caller, id).await?;
        let answer = integrations::shown(app, &row).await?;
        let tiers = tier_names(app, &row.creator).await?;
        let waiting = approvals::waiting(app, &row.creator).await?;
        let mut own = waiting.iter().filter(|hold| hold.integration == id).map(|hold| hold.id);
        let held_at = approvals::path(own.next().filter(|_| own.next().is_none()));
        Ok(Self { tiers, answer, row, waiting: waiting.len(), held_at })
    }

    pub(super) fn id(&self) -> IntegrationId {
        self.row.id
    }

    /// The path of one of its pages.
    pub(super) fn place(&self, page: &str) -> String {
        super::place(self.row.id, page)
    }

    pub(super) fn connected(&self) -> bool {
        self.row.state.phase == Phase::Connected
    }

    /// No membership was ever added, or nobody has anything from one any more.
    pub(super) fn setting_up(&self) -> bool {
        self.connected() && self.row.state.attachments.is_empty() && there(&self.answer.fans) == 0
    }

    pub(super) fn tier<'a>(&'a self, tier: &'a TierId) -> &'a str {
        self.tiers.get(tier).map_or(tier.as_str(), String::as_str)
    }

    /// A role as it is in the server now.
    pub(super) fn role(&self, id: RoleId) -> RolePill {
        let list = self.row.state.roles.as_ref();
        match list.and_then(|list| list.role(id)) {
            Some(role) => RolePill::new(&role.name, role.color),
            None => RolePill::gone(texts::EN.integration.deleted_role),
        }
    }

    pub(super) fn pills<'a>(&self, roles: impl IntoIterator<Item = &'a RoleId>) -> Vec<RolePill> {
        roles.into_iter().map(|role| self.role(*role)).collect()
    }

    /// The frame of one of its pages.
    pub(super) fn frame(&self, app: &App, signed: &Signed<CreatorId>, title: &str) -> Frame {
        Frame::of(app, signed, format!("{title} · {}", self.row.name))
            .at("integrations")
            .counting("approvals", self.waiting)
            .under(texts::EN.frame.integrations, Area::Creator.home())
    }

    /// The frame of a page below them.
    pub(super) fn frame_below(&self, app: &App, signed: &Signed<CreatorId>, title: &str) -> Frame {
        let frame = self.frame(app, signed, title);
        Frame { title: title.to_owned(), ..frame }.under(self.row.name.to_string(), self.place(""))
    }

    pub(super) fn head(&self, at: Tab) -> Head {
        let t = &texts::EN;
        let server = self.answer.guild.as_ref().map(|guild| guild.name.clone());
        let set_up = self.row.state.server.is_some();
        let tabs = Tab::ALL.into_iter().filter(|tab| match tab {
            Tab::Memberships => self.connected(),
            Tab::Roles => self.row.state.held_guild().is_some(),
            Tab::Fans => set_up,
            Tab::Overview | Tab::Activity | Tab::Settings => true,
        });
        Head {
            t,
            name: self.row.name.to_string(),
            server,
            chip: Chip::of_integration(&t.status, self.answer.status),
            tabs: tabs.map(|tab| (tab.text(t), self.place(tab.path()), tab == at)).collect(),
        }
    }
}

/// The upper part of a page of an integration.
#[derive(Template)]
#[template(path = "creator/head.html")]
pub(super) struct Head {
    t: &'static Texts,
    name: String,
    server: Option<String>,
    chip: Chip,
    /// Text, path, and whether it is the page that is shown.
    tabs: Vec<(&'static str, String, bool)>,
}

impl HtmlSafe for Head {}
