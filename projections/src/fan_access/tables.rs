//! The rows of the view while a run of events is applied: read in bulk, changed in memory, written in bulk.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use domain::{
    CreatorId, Decider, FanId, GuildId, HoldId, IntegrationId, MembershipId, TierId,
    account::AccountKey,
    discord::RoleList,
    hold::Event as HoldEvent,
    integration::{Event as IntegrationEvent, Integration, State},
    kept::Known,
    membership::Terms,
};
use eventstore::{Envelope, Position};
use serde_json::json;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::{
    CommandRow, FanRow,
    fan::Fan,
    holds::{self, HeldRow, Over},
    notices::{Cause, Moment, Notices},
    written::Written,
};
use crate::{
    file::stored,
    rows,
    view::{Change, Topic, ViewError},
};

/// A fan that is being worked on, beside what the tables hold of them.
pub(super) struct Work {
    pub(super) fan: Fan,
    pub(super) rows: BTreeMap<IntegrationId, FanRow>,
    pub(super) stored_rows: BTreeMap<IntegrationId, FanRow>,
    /// The rows that went since, and by which event.
    pub(super) gone: BTreeMap<IntegrationId, Position>,
    pub(super) stored_commands: BTreeMap<(GuildId, AccountKey), CommandRow>,
    pub(super) stored_releasable: BTreeSet<AccountKey>,
    pub(super) stored_by_hand: BTreeSet<IntegrationId>,
    pub(super) stored_held: BTreeMap<HoldId, HeldRow>,
}

pub(super) struct Tables<'db> {
    db: &'db mut SqliteConnection,
    works: HashMap<FanId, Work>,
    /// The fans that changed, and by which event last.
    changed: HashMap<FanId, Position>,
    memberships: HashMap<MembershipId, Terms>,
    /// The integrations of every creator that was loaded.
    creators: HashMap<CreatorId, BTreeMap<IntegrationId, State>>,
    /// Whose each of them is.
    owners: HashMap<IntegrationId, CreatorId>,
    /// The holds that are not approved and that an event of the run may fall under.
    holds: Vec<Over>,
    notices: Notices,
    pub(super) changes: Vec<Change>,
}

impl<'db> Tables<'db> {
    pub(super) async fn new(
        db: &'db mut SqliteConnection,
        run: &[Arc<Envelope>],
    ) -> Result<Self, ViewError> {
        let holds = Over::load(db, run).await?;
        Ok(Self {
            db,
            works: HashMap::new(),
            changed: HashMap::new(),
            memberships: HashMap::new(),
            creators: HashMap::new(),
            owners: HashMap::new(),
            holds,
            notices: Notices::default(),
            changes: vec![],
        })
    }

    /// Whatever changes from here on is the doing of this event.
    pub(super) fn begin(&mut self, envelope: &Envelope) {
        self.notices.begin(Moment::of(envelope));
    }

    /// The holds that an event falls under.
    pub(super) fn over(&self, envelope: &Envelope) -> Vec<Over> {
        self.holds.iter().filter(|over| over.covers(envelope)).cloned().collect()
    }

    /// Takes in what became of a hold.
    pub(super) async fn on_hold(
        &mut self,
        envelope: &Envelope,
        event: &HoldEvent,
    ) -> Result<(), ViewError> {
        let (key, position) = (event.hold().to_string(), envelope.position);
        let change = Change::new(Topic::Holds, key, position);
        self.changes.push(change.within(event.integration(), Some(event.creator())));
        holds::record(self.db, &mut self.holds, envelope, event).await
    }

    pub(super) fn read_notice(&mut self, notice: Uuid) {
        self.notices.read(notice);
    }

    pub(super) fn remember(&mut self, terms: &Terms) {
        self.memberships.insert(terms.membership.clone(), terms.clone());
    }

    /// Changes a fan that is loaded, and decides them anew.
    pub(super) fn change(
        &mut self,
        id: &FanId,
        position: Position,
        bought_of: Option<&CreatorId>,
        change: impl FnOnce(&mut Fan, &Known<'_>),
    ) {
        let Some(work) = self.works.get_mut(id) else { return };
        // The creators of the memberships held so far; one that is just being added may bring one more.
        let creators = work.fan.creators().into_iter().chain(bought_of);
        let known: Known<'_> = creators
            .filter_map(|creator| self.creators.get(creator))
            .flatten()
            .map(|(id, state)| (*id, state))
            .collect();
        change(&mut work.fan, &known);
        work.fan.decide(position, &known);
        let mut rows = work.fan.rows(id, position, &known);
        for (integration, row) in &mut rows {
            if let Some(before) = work.rows.get(integration) {
                row.position = before.position;
                if row != before {
                    row.position = position;
                }
            }
        }
        let causes = |rows: &BTreeMap<IntegrationId, FanRow>| -> Vec<Cause> {
            let troubled = rows.values().filter(|row| row.trouble.is_some());
            troubled
                .filter_map(|row| {
                    // Whoever gave something by hand may not be among those whose tiers the fan holds.
                    Cause::of_fan(row, self.owners.get(&row.integration)?)
                })
                .collect()
        };
        let (was, is) = (causes(&work.rows), causes(&rows));
        if was != is {
            for (causes, by) in [(was, -1), (is, 1)] {
                for cause in causes {
                    self.notices.count(cause, by);
                }
            }
        }
        for integration in work.rows.keys().filter(|id| !rows.contains_key(id)) {
            work.gone.insert(*integration, position);
        }
        work.rows = rows;
        self.changed.insert(id.clone(), position);
    }

    /// Loads fans, and the integrations that matter to them; answers those who were not loaded before.
    /// Fans who are not known yet are new ones.
    pub(super) async fn load_fans(
        &mut self,
        fans: BTreeSet<FanId>,
    ) -> Result<Vec<FanId>, ViewError> {
        let missing: Vec<FanId> =
            fans.into_iter().filter(|fan| !self.works.contains_key(fan)).collect();
        if missing.is_empty() {
            return Ok(missing);
        }
        let ids = json!(missing).to_string();
        let mut found: HashMap<FanId, Fan> = HashMap::new();
        for row in
            sqlx::query("select fan, doc from fans where fan in (select value from json_each(?1))")
                .bind(&ids)
                .fetch_all(&mut *self.db)
                .await?
        {
            found.insert(stored(row.get("fan"))?, serde_json::from_str(row.get("doc"))?);
        }
        let mut rows: HashMap<FanId, BTreeMap<IntegrationId, FanRow>> = HashMap::new();
        for row in
            sqlx::query("select doc from access where fan in (select value from json_each(?1))")
                .bind(&ids)
                .fetch_all(&mut *self.db)
                .await?
        {
            let row: FanRow = serde_json::from_str(row.get("doc"))?;
            rows.entry(row.fan.clone()).or_default().insert(row.integration, row);
        }
        let mut creators = BTreeSet::new();
        for id in &missing {
            let fan = found.remove(id).unwrap_or_default();
            creators.extend(fan.creators().into_iter().cloned());
            let rows = rows.remove(id).unwrap_or_default();
            let work = Work {
                stored_commands: fan.commands(id),
                stored_releasable: fan.releasable().into_iter().cloned().collect(),
                stored_by_hand: fan.facts.grants.keys().copied().collect(),
                stored_held: fan.held(),
                stored_rows: rows.clone(),
                gone: BTreeMap::new(),
                rows,
                fan,
            };
            self.works.insert(id.clone(), work);
        }
        self.load_creators(creators).await?;
        Ok(missing)
    }

    /// Lets go of fans that no later event of the run needs.
    pub(super) fn forget(&mut self, fans: &[FanId]) {
        for fan in fans {
            self.works.remove(fan);
        }
    }

    pub(super) async fn load_creators(
        &mut self,
        creators: BTreeSet<CreatorId>,
    ) -> Result<(), ViewError> {
        let missing: Vec<_> =
            creators.into_iter().filter(|creator| !self.creators.contains_key(creator)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let found = sqlx::query(
            "select id, creator, doc from integrations where creator in (select value from json_each(?1))",
        )
        .bind(json!(missing).to_string())
        .fetch_all(&mut *self.db)
        .await?;
        for creator in missing {
            self.creators.insert(creator, BTreeMap::new());
        }
        for row in found {
            let creator: CreatorId = stored(row.get("creator"))?;
            let state = serde_json::from_str(row.get("doc"))?;
            let id = stored(row.get("id"))?;
            self.owners.insert(id, creator.clone());
            self.creators.entry(creator).or_default().insert(id, state);
        }
        Ok(())
    }

    /// Folds an event into its integration, and answers its creator and its state before and after.
    pub(super) async fn evolve_integration(
        &mut self,
        id: IntegrationId,
        event: &IntegrationEvent,
    ) -> Result<Option<(CreatorId, State, State)>, ViewError> {
        let creator: Option<CreatorId> =
            if let IntegrationEvent::IntegrationCreated { creator, .. } = event {
                Some(creator.clone())
            } else {
                let found: Option<String> =
                    sqlx::query_scalar("select creator from integrations where id = ?1")
                        .bind(id.to_string())
                        .fetch_optional(&mut *self.db)
                        .await?;
                found.map(|creator| stored(&creator)).transpose()?
            };
        let Some(creator) = creator else { return Ok(None) };
        self.load_creators([creator.clone()].into()).await?;
        self.owners.entry(id).or_insert_with(|| creator.clone());
        let state = self.creators.entry(creator.clone()).or_default().entry(id).or_default();
        let before = state.clone();
        Integration::evolve(state, event);
        // Of long role lists, what tells which roles can be given is enough.
        state.roles = state.roles.take().map(RoleList::without_names);
        let after = state.clone();
        let (was, is) =
            (Cause::of_server(id, &creator, &before), Cause::of_server(id, &creator, &after));
        was.difference(&is).for_each(|cause| self.notices.count(cause.clone(), -1));
        is.difference(&was).for_each(|cause| self.notices.count(cause.clone(), 1));
        sqlx::query(
            "insert into integrations (id, creator, guild, doc) values (?1, ?2, ?3, ?4)
             on conflict (id) do update set guild = excluded.guild, doc = excluded.doc",
        )
        .bind(id.to_string())
        .bind(creator.as_str())
        .bind(after.server.as_ref().map(|server| server.id.to_string()))
        .bind(serde_json::to_string(&after)?)
        .execute(&mut *self.db)
        .await?;
        Ok(Some((creator, before, after)))
    }

    /// The fans who hold, or held, one of some tiers, and those who have a row in an integration, or something from it by
    /// hand; by id.
    pub(super) async fn holders(
        &mut self,
        creator: &CreatorId,
        tiers: &BTreeSet<TierId>,
        of: Option<IntegrationId>,
        after: Option<&FanId>,
        limit: u32,
    ) -> Result<Vec<FanId>, ViewError> {
        let fans: Vec<String> = sqlx::query_scalar(
            "select fan from memberships
             where creator = ?1 and tier in (select value from json_each(?2)) and fan > ?4
             union select fan from access where integration = ?3 and fan > ?4
             union select fan from by_hand where integration = ?3 and fan > ?4
             order by fan limit ?5",
        )
        .bind(creator.as_str())
        .bind(json!(tiers).to_string())
        .bind(of.map(|id| id.to_string()))
        .bind(after.map_or("", FanId::as_str))
        .bind(limit)
        .fetch_all(&mut *self.db)
        .await?;
        fans.iter().map(|fan| stored(fan)).collect()
    }

    /// The fans who wait for somebody in a server, by id: with a command, or with nothing to do until then.
    pub(super) async fn waiting(
        &mut self,
        guild: GuildId,
        integration: IntegrationId,
        after: Option<&FanId>,
        limit: u32,
    ) -> Result<Vec<FanId>, ViewError> {
        let fans: Vec<String> = sqlx::query_scalar(
            "select fan from commands where guild = ?1 and fan > ?3
             union select fan from access where integration = ?2 and status = 'blocked' and fan > ?3
             order by fan limit ?4",
        )
        .bind(guild.to_string())
        .bind(integration.to_string())
        .bind(after.map_or("", FanId::as_str))
        .bind(limit)
        .fetch_all(&mut *self.db)
        .await?;
        fans.iter().map(|fan| stored(fan)).collect()
    }

    /// The fans who keep something through a hold, by id.
    pub(super) async fn held(
        &mut self,
        hold: HoldId,
        after: Option<&FanId>,
        limit: u32,
    ) -> Result<Vec<FanId>, ViewError> {
        let fans: Vec<String> = sqlx::query_scalar(
            "select fan from held where hold = ?1 and fan > ?2 order by fan limit ?3",
        )
        .bind(hold.to_string())
        .bind(after.map_or("", FanId::as_str))
        .bind(limit)
        .fetch_all(&mut *self.db)
        .await?;
        fans.iter().map(|fan| stored(fan)).collect()
    }

    /// Writes what changed since the last flush.
    pub(super) async fn flush(&mut self) -> Result<(), ViewError> {
        let mut out = Written::default();
        let mut changed: Vec<_> = self.changed.drain().collect();
        changed.sort();
        for (id, position) in changed {
            let Some(work) = self.works.get_mut(&id) else { continue };
            self.changes.push(Change::new(Topic::Fans, id.to_string(), position));
            out.fan(&id, work, &self.owners, &mut self.changes)?;
        }
        let memberships = self
            .memberships
            .drain()
            .map(|(_, terms)| json!([terms.membership, terms.fan, terms.creator, terms.tier]));
        rows::insert(
            self.db,
            "memberships (membership, fan, creator, tier)",
            "on conflict (membership) do update set tier = excluded.tier",
            memberships.collect(),
        )
        .await?;
        out.write(self.db).await?;
        self.notices.flush(self.db, &mut self.changes).await
    }
}
