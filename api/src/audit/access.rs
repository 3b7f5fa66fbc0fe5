//! Who had which roles at a time.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    fmt,
};

use chrono::{DateTime, SecondsFormat, Utc};
use domain::{Event, FanId, GuildId, IntegrationId};
use eventstore::{Envelope, Position, Store};
use projections::{Audit, audit::Interval};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AuditError,
    names::Names,
    shapes::{self, HadShape, PersonalData},
};
use crate::{reason::Reason, routes::integration_fans::AccountAnswer};

/// What somebody had in an integration's server at a time.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AccessAt {
    /// Null where the server was no integration's any more.
    pub(crate) integration: Option<IntegrationId>,
    pub(crate) fan: FanId,
    pub(crate) guild: GuildId,
    /// The server's name, where the log told it.
    pub(crate) server: Option<String>,
    pub(crate) discord: Option<AccountAnswer>,
    #[schema(inline)]
    pub(crate) personal_data: PersonalData,
    #[serde(flatten)]
    pub(crate) had: HadShape,
    /// Why Discord refused, where it did.
    pub(crate) reason: Option<Reason>,
    pub(crate) since: DateTime<Utc>,
    /// Null while it lasts.
    pub(crate) until: Option<DateTime<Utc>>,
    /// The event that it began with.
    pub(crate) position: u64,
}

/// A place in a list of access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    guild: GuildId,
    fan: FanId,
    position: Position,
    integration: Option<IntegrationId>,
}

impl AccessAt {
    pub fn row(&self) -> Row {
        Row {
            guild: self.guild,
            fan: self.fan.clone(),
            position: Position(self.position),
            integration: self.integration,
        }
    }

    /// What stands above the lines of a table.
    pub fn heading() -> String {
        format!(
            "{:<20}  {:<20}  {:<10}  {:<24}  {:<10}  SINCE",
            "SERVER", "FAN", "STATE", "ROLES", "INSIDE"
        )
    }
}

impl fmt::Display for AccessAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = self.server.clone().unwrap_or_else(|| self.guild.to_string());
        let roles = self.had.roles.iter().chain(&self.had.kept);
        let roles: Vec<_> =
            roles.map(|role| role.name.clone().unwrap_or_else(|| role.id.to_string())).collect();
        let roles = if roles.is_empty() { "-".to_owned() } else { roles.join(", ") };
        let inside = match (self.had.present, self.had.brought_in) {
            (Some(true), true) => "brought in",
            (Some(true), false) => "before",
            (Some(false), _) => "no",
            (None, _) => "unknown",
        };
        let since = self.since.to_rfc3339_opts(SecondsFormat::Secs, true);
        write!(
            f,
            "{server:<20}  {:<20}  {:<10}  {roles:<24}  {inside:<10}  {since}",
            self.fan.as_str(),
            self.had.state.to_string()
        )
    }
}

/// Which access is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    pub at: DateTime<Utc>,
    pub fan: Option<FanId>,
    pub integration: Option<IntegrationId>,
}

/// Who had what at a time, by server and fan: at most `limit` rows after one.
///
/// # Errors
/// The log or the view cannot be read.
pub async fn access(
    store: &Store,
    audit: &Audit,
    asked: &Asked,
    after: Option<&Row>,
    limit: u32,
) -> Result<Vec<AccessAt>, AuditError> {
    // The row before may have been the last of its interval, or not.
    let intervals = intervals(audit, asked, after, limit.saturating_add(1)).await?;
    let mut owners: BTreeMap<GuildId, Vec<IntegrationId>> = BTreeMap::new();
    for interval in &intervals {
        if let Entry::Vacant(unknown) = owners.entry(interval.guild) {
            unknown.insert(audit.integrations_at(interval.guild, asked.at).await?);
        }
    }
    let mut rows = vec![];
    for interval in intervals {
        let of = owners.get(&interval.guild).map_or(&[][..], Vec::as_slice);
        let mut of: Vec<_> = of.iter().copied().map(Some).collect();
        if of.is_empty() {
            of.push(None);
        }
        of.retain(|id| asked.integration.is_none() || *id == asked.integration);
        rows.extend(of.into_iter().map(|id| (id, interval.clone())));
    }
    if let Some(after) = after {
        let place = |(id, row): &(Option<IntegrationId>, Interval)| {
            (row.guild.0.cast_signed(), row.fan.clone(), row.position, *id)
        };
        let last =
            (after.guild.0.cast_signed(), after.fan.clone(), after.position, after.integration);
        rows.retain(|row| place(row) > last);
    }
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    shown(store, rows).await
}

async fn intervals(
    audit: &Audit,
    Asked { at, fan, integration }: &Asked,
    after: Option<&Row>,
    limit: u32,
) -> Result<Vec<Interval>, AuditError> {
    let own = match integration {
        Some(id) => match audit.server_at(*id, *at).await? {
            Some(server) => Some(server),
            None => return Ok(vec![]),
        },
        None => None,
    };
    if let Some(fan) = fan {
        let mut all = audit.of_fan_at(fan, *at).await?;
        all.retain(|interval| own.is_none_or(|own| interval.guild == own));
        return Ok(all);
    }
    // The last interval of the page before may have rows left.
    let within = |server: GuildId| {
        let after = after.filter(|after| after.guild == server)?;
        Some((&after.fan, Position(after.position.0.saturating_sub(1))))
    };
    if let Some(server) = own {
        return Ok(audit.in_server(server, *at, within(server), limit).await?);
    }
    let mut all = vec![];
    let mut server = after.map(|after| after.guild);
    loop {
        if let Some(server) = server {
            let left = limit.saturating_sub(u32::try_from(all.len()).unwrap_or(limit));
            if left == 0 {
                return Ok(all);
            }
            all.extend(audit.in_server(server, *at, within(server), left).await?);
        }
        server = audit.servers(server, 1).await?.pop();
        if server.is_none() {
            return Ok(all);
        }
    }
}

async fn shown(
    store: &Store,
    rows: Vec<(Option<IntegrationId>, Interval)>,
) -> Result<Vec<AccessAt>, AuditError> {
    let positions: BTreeSet<_> = rows.iter().map(|(_, interval)| interval.position).collect();
    let positions: Vec<_> = positions.into_iter().collect();
    let events = store.decode(store.log().read_at(&positions).await?).await?;
    let events: BTreeMap<_, Envelope> =
        events.into_iter().map(|envelope| (envelope.position, envelope)).collect();
    let mut names = Names::default();
    for id in rows.iter().filter_map(|(id, _)| *id).collect::<BTreeSet<_>>() {
        names.integration(store, id).await?;
    }
    let shown = rows.into_iter().filter_map(|(integration, interval)| {
        let Event::Access(event) = &events.get(&interval.position)?.event else { return None };
        let (discord, personal_data) = shapes::account(&event.holder().account);
        Some(AccessAt {
            integration,
            server: names.server_name(interval.guild).map(str::to_owned),
            discord,
            personal_data,
            had: HadShape::of(&interval.had, &names),
            reason: event.report().and_then(shapes::refused),
            since: interval.began(),
            until: interval.ended(),
            position: interval.position.0,
            fan: interval.fan,
            guild: interval.guild,
        })
    });
    Ok(shown.collect())
}
