//! Applies a run: notes whom each event names, and what the events about access tell.

use std::sync::Arc;

use domain::Event;
use eventstore::Envelope;
use sqlx::SqliteConnection;

use super::{access::Intervals, blocks::Blocks, mentions::Mentions, servers::Servers};
use crate::view::{Change, Projection, ViewError};

pub(crate) enum Follow {}

impl Projection for Follow {
    const NAME: &'static str = "audit";
    const VERSION: u32 = 2;
    const SCHEMA: &'static str = include_str!("audit.sql");

    async fn apply(
        db: &mut SqliteConnection,
        run: &[Arc<Envelope>],
    ) -> Result<Vec<Change>, ViewError> {
        let (mut servers, creators) = Servers::load(db, run).await?;
        let (mut blocks, mut intervals) =
            (Blocks::load(db).await?, Intervals::load(db, run).await?);
        let mut mentions = Mentions::default();
        for envelope in run {
            blocks.note(envelope.position, envelope.metadata.at);
            match &envelope.event {
                Event::Integration(event) => servers.apply(db, envelope, event).await?,
                Event::Access(event) => intervals.apply(envelope, event),
                Event::Tier(_)
                | Event::Membership(_)
                | Event::Guild(_)
                | Event::Fan(_)
                | Event::DiscordAccount(_)
                | Event::Hold(_)
                | Event::Creator(_) => {}
            }
            mentions.note(envelope.position, &envelope.kind, &envelope.event, &creators, &servers);
        }
        let changes = mentions.changes(&creators);
        mentions.write(db).await?;
        blocks.write(db).await?;
        intervals.write(db).await?;
        Ok(changes)
    }
}
