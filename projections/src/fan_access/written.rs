//! What a run of events leaves in the tables, written in bulk.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{CreatorId, FanId, IntegrationId, account::AccountKey};
use eventstore::Position;
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::{holds::HeldRow, tables::Work};
use crate::{
    rows,
    view::{Change, Topic, ViewError},
};

/// What a flush writes, table by table.
#[derive(Default)]
pub(super) struct Written {
    fans: Vec<Value>,
    access: Vec<Value>,
    access_gone: Vec<Value>,
    gone: Vec<Value>,
    back: Vec<Value>,
    counts: BTreeMap<(IntegrationId, &'static str), i64>,
    commands: Vec<Value>,
    commands_gone: Vec<Value>,
    releasable: Vec<Value>,
    releasable_gone: Vec<Value>,
    by_hand: Vec<Value>,
    by_hand_gone: Vec<Value>,
    held: Vec<Value>,
    held_gone: Vec<Value>,
}

impl Written {
    pub(super) fn fan(
        &mut self,
        id: &FanId,
        work: &mut Work,
        owners: &HashMap<IntegrationId, CreatorId>,
        changes: &mut Vec<Change>,
    ) -> Result<(), ViewError> {
        self.fans.push(json!([id, serde_json::to_string(&work.fan)?]));
        for (integration, row) in &work.rows {
            let before = work.stored_rows.get(integration);
            if before == Some(row) {
                continue;
            }
            if let Some(before) = before {
                *self.counts.entry((*integration, before.status.as_str())).or_default() -= 1;
            } else {
                self.back.push(json!([integration, id]));
            }
            *self.counts.entry((*integration, row.status.as_str())).or_default() += 1;
            self.access.push(json!([
                integration,
                id,
                row.status,
                row.position,
                serde_json::to_string(row)?
            ]));
            let change = Change::new(Topic::FanAccess, id.to_string(), row.position);
            changes.push(change.within(*integration, owners.get(integration)));
        }
        for (integration, row) in
            work.stored_rows.iter().filter(|(id, _)| !work.rows.contains_key(id))
        {
            *self.counts.entry((*integration, row.status.as_str())).or_default() -= 1;
            self.access_gone.push(json!([integration, id]));
        }
        for (integration, position) in std::mem::take(&mut work.gone) {
            if !work.rows.contains_key(&integration) {
                self.gone.push(json!([integration, id, position]));
                let change = Change::new(Topic::FanAccess, id.to_string(), position);
                changes.push(change.within(integration, owners.get(&integration)));
            }
        }
        work.stored_rows.clone_from(&work.rows);
        self.commands(id, work, changes)?;
        self.releasable(id, work);
        self.by_hand(id, work);
        self.held(id, work);
        Ok(())
    }

    fn held(&mut self, id: &FanId, work: &mut Work) {
        let held = work.fan.held();
        for (hold, row) in &held {
            if work.stored_held.get(hold) != Some(row) {
                let HeldRow { integration, roles, server, waiting } = row;
                let roles = json!(roles).to_string();
                self.held.push(json!([hold, id, integration, waiting, server, roles]));
            }
        }
        let gone = work.stored_held.keys().filter(|hold| !held.contains_key(hold));
        self.held_gone.extend(gone.map(|hold| json!([hold, id])));
        work.stored_held = held;
    }

    fn commands(
        &mut self,
        id: &FanId,
        work: &mut Work,
        changes: &mut Vec<Change>,
    ) -> Result<(), ViewError> {
        let commands = work.fan.commands(id);
        for (key, command) in &commands {
            if work.stored_commands.get(key) == Some(command) {
                continue;
            }
            self.commands.push(json!([
                command.guild,
                command.account_key,
                command.id,
                command.version,
                command.guild.0 >> 22,
                id,
                command.parked.map(|(trouble, _)| trouble),
                serde_json::to_string(command)?
            ]));
            changes.push(Change::new(
                Topic::Commands,
                command.id.clone(),
                Position(command.version),
            ));
        }
        let gone = work.stored_commands.iter().filter(|(key, _)| !commands.contains_key(key));
        for ((guild, account), command) in gone {
            self.commands_gone.push(json!([guild, account]));
            changes.push(Change::new(
                Topic::Commands,
                command.id.clone(),
                Position(command.version),
            ));
        }
        work.stored_commands = commands;
        Ok(())
    }

    fn releasable(&mut self, id: &FanId, work: &mut Work) {
        let releasable: BTreeSet<AccountKey> = work.fan.releasable().into_iter().cloned().collect();
        self.releasable.extend(
            releasable.difference(&work.stored_releasable).map(|account| json!([account, id])),
        );
        self.releasable_gone
            .extend(work.stored_releasable.difference(&releasable).map(|account| json!(account)));
        work.stored_releasable = releasable;
    }

    fn by_hand(&mut self, id: &FanId, work: &mut Work) {
        let grants: BTreeSet<IntegrationId> = work.fan.facts.grants.keys().copied().collect();
        let of = |integration: &IntegrationId| json!([integration, id]);
        self.by_hand.extend(grants.difference(&work.stored_by_hand).map(of));
        self.by_hand_gone.extend(work.stored_by_hand.difference(&grants).map(of));
        work.stored_by_hand = grants;
    }

    pub(super) async fn write(self, db: &mut SqliteConnection) -> Result<(), ViewError> {
        rows::insert(
            db,
            "fans (fan, doc)",
            "on conflict (fan) do update set doc = excluded.doc",
            self.fans,
        )
        .await?;
        rows::write(
            db,
            "delete from access where (integration, fan) in (select value ->> 0, value ->> 1 from json_each(?1))",
            self.access_gone,
        )
        .await?;
        rows::write(
            db,
            "delete from gone where (integration, fan) in (select value ->> 0, value ->> 1 from json_each(?1))",
            self.back,
        )
        .await?;
        rows::insert(
            db,
            "gone (integration, fan, position)",
            "on conflict (integration, fan) do update set position = excluded.position",
            self.gone,
        )
        .await?;
        rows::insert(
            db,
            "access (integration, fan, status, position, doc)",
            "on conflict (integration, fan) do update
             set status = excluded.status, position = excluded.position, doc = excluded.doc",
            self.access,
        )
        .await?;
        write_counts(db, self.counts).await?;
        rows::write(
            db,
            "delete from commands where (guild, account_key) in (select value ->> 0, value ->> 1 from json_each(?1))",
            self.commands_gone,
        )
        .await?;
        rows::insert(
            db,
            "commands (guild, account_key, id, version, shard_base, fan, parked, doc)",
            "on conflict (guild, account_key) do update set id = excluded.id, version = excluded.version,
                 fan = excluded.fan, parked = excluded.parked, doc = excluded.doc",
            self.commands,
        )
        .await?;
        rows::write(
            db,
            "delete from by_hand where (integration, fan) in (select value ->> 0, value ->> 1 from json_each(?1))",
            self.by_hand_gone,
        )
        .await?;
        rows::insert(db, "by_hand (integration, fan)", "on conflict do nothing", self.by_hand)
            .await?;
        rows::write(
            db,
            "delete from releasable where account_key in (select value from json_each(?1))",
            self.releasable_gone,
        )
        .await?;
        rows::write(
            db,
            "insert into releasable (account_key, fan) select value ->> 0, value ->> 1 from json_each(?1) where true
             on conflict (account_key) do update set fan = excluded.fan",
            self.releasable,
        )
        .await?;
        rows::write(
            db,
            "delete from held where (hold, fan) in (select value ->> 0, value ->> 1 from json_each(?1))",
            self.held_gone,
        )
        .await?;
        rows::insert(
            db,
            "held (hold, fan, integration, waiting, server, roles)",
            "on conflict (hold, fan) do update set waiting = excluded.waiting, server = excluded.server,
                 roles = excluded.roles",
            self.held,
        )
        .await
        .map_err(ViewError::from)
    }
}

/// Adds to the counts of fans by status what came and went.
async fn write_counts(
    db: &mut SqliteConnection,
    counts: BTreeMap<(IntegrationId, &'static str), i64>,
) -> Result<(), ViewError> {
    let counts: Vec<Value> = counts
        .into_iter()
        .filter(|(_, fans)| *fans != 0)
        .map(|((integration, status), fans)| json!([integration, status, fans]))
        .collect();
    rows::write(
        db,
        "insert into counts (integration, status, fans)
         select value ->> 0, value ->> 1, value ->> 2 from json_each(?1) where true
         on conflict (integration, status) do update set fans = fans + excluded.fans",
        counts.clone(),
    )
    .await?;
    // Whether a count of nobody is there would tell how the log was cut into runs.
    rows::write(
        db,
        "delete from counts where fans = 0
         and (integration, status) in (select value ->> 0, value ->> 1 from json_each(?1))",
        counts,
    )
    .await?;
    Ok(())
}
