//! Which events name whom: postings in blocks, so that a list is found without looking through the log, and replaying
//! writes few rows.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use domain::{
    CreatorId, Event, FanId, GuildId, IntegrationId, account::Event as AccountEvent,
    guild::Event as GuildEvent, tier::Event as TierEvent,
};
use eventstore::Position;
use serde_json::json;
use sqlx::SqliteConnection;

use super::servers::Servers;
use crate::{
    rows,
    view::{Change, Topic},
};

/// A block has 2^10 positions: two digits of base 32 tell where in it one is.
const BITS: u32 = 10;
const DIGIT: u32 = 5;
const BASE: u32 = 1 << DIGIT;

pub(super) fn block(position: Position) -> i64 {
    (position.0 >> BITS).cast_signed()
}

/// The first position of a block.
pub(super) fn first(block: i64) -> Position {
    Position(block.cast_unsigned() << BITS)
}

/// The positions that a row holds, in order.
pub(super) fn read(block: i64, positions: &str) -> impl Iterator<Item = Position> {
    let digits: Vec<u64> =
        positions.chars().filter_map(|digit| digit.to_digit(BASE)).map(u64::from).collect();
    let within =
        digits.chunks_exact(2).map(|pair| (pair[0] << DIGIT) | pair[1]).collect::<Vec<_>>();
    within.into_iter().map(move |within| Position(first(block).0 | within))
}

/// Whom or what an event names, or its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Subject<'a> {
    Fan(&'a FanId),
    Integration(IntegrationId),
    Creator(&'a CreatorId),
    Type(&'a str),
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fan(id) => write!(f, "fan/{id}"),
            Self::Integration(id) => write!(f, "integration/{id}"),
            Self::Creator(id) => write!(f, "creator/{id}"),
            Self::Type(name) => write!(f, "type/{name}"),
        }
    }
}

/// The mentions of a run of events.
#[derive(Default)]
pub(super) struct Mentions<'run>(HashMap<(Subject<'run>, i64), String>);

impl<'run> Mentions<'run> {
    /// Notes whom the event at `position` names. `creators` tells whose integrations are.
    pub(super) fn note(
        &mut self,
        position: Position,
        kind: &'run str,
        event: &'run Event,
        creators: &'run HashMap<IntegrationId, CreatorId>,
        servers: &Servers,
    ) {
        self.add(position, Subject::Type(kind));
        match event {
            Event::Tier(
                TierEvent::TierRegistered { creator, .. } | TierEvent::TierRenamed { creator, .. },
            ) => self.add(position, Subject::Creator(creator)),
            Event::Membership(event) => {
                let terms = event.terms();
                self.add(position, Subject::Fan(&terms.fan));
                self.add(position, Subject::Creator(&terms.creator));
            }
            Event::Integration(event) => self.integration(position, event.integration(), creators),
            Event::Guild(
                GuildEvent::GuildReserved { creator, integration, .. }
                | GuildEvent::GuildReleased { creator, integration, .. },
            ) => {
                self.add(position, Subject::Creator(creator));
                self.add(position, Subject::Integration(*integration));
            }
            Event::Fan(event) => {
                self.add(position, Subject::Fan(event.fan()));
                if let Some(id) = event.integration() {
                    self.integration(position, id, creators);
                }
            }
            Event::DiscordAccount(
                AccountEvent::AccountReserved { fan, .. }
                | AccountEvent::AccountReleased { fan, .. },
            ) => self.add(position, Subject::Fan(fan)),
            Event::Access(event) => {
                let holder = event.holder();
                self.add(position, Subject::Fan(&holder.fan));
                self.of_server(position, holder.guild, creators, servers);
            }
            Event::Hold(event) => {
                self.add(position, Subject::Creator(event.creator()));
                self.add(position, Subject::Integration(event.integration()));
            }
            Event::Creator(event) => self.add(position, Subject::Creator(event.creator())),
        }
    }

    /// What happens in a server concerns every integration that it is connected to.
    fn of_server(
        &mut self,
        position: Position,
        guild: GuildId,
        creators: &'run HashMap<IntegrationId, CreatorId>,
        servers: &Servers,
    ) {
        let mut owner = None;
        for id in servers.integrations(guild) {
            self.add(position, Subject::Integration(id));
            owner = creators.get(&id).or(owner);
        }
        if let Some(creator) = owner {
            self.add(position, Subject::Creator(creator));
        }
    }

    fn integration(
        &mut self,
        position: Position,
        id: IntegrationId,
        creators: &'run HashMap<IntegrationId, CreatorId>,
    ) {
        self.add(position, Subject::Integration(id));
        if let Some(creator) = creators.get(&id) {
            self.add(position, Subject::Creator(creator));
        }
    }

    fn add(&mut self, position: Position, subject: Subject<'run>) {
        let positions = self.0.entry((subject, block(position))).or_default();
        let within = u32::try_from(position.0 & ((1 << BITS) - 1)).unwrap_or_default();
        for digit in [within >> DIGIT, within % BASE] {
            positions.extend(char::from_digit(digit, BASE));
        }
    }

    /// The integrations in which something happened.
    pub(super) fn changes(&self, creators: &HashMap<IntegrationId, CreatorId>) -> Vec<Change> {
        let mut last: BTreeMap<IntegrationId, Position> = BTreeMap::new();
        for ((subject, block), positions) in &self.0 {
            if let (Subject::Integration(id), Some(at)) = (subject, read(*block, positions).last())
            {
                let known = last.entry(*id).or_insert(at);
                *known = at.max(*known);
            }
        }
        let change = |(id, at): (IntegrationId, _)| {
            Change::new(Topic::Activity, id.to_string(), at).within(id, creators.get(&id))
        };
        last.into_iter().map(change).collect()
    }

    pub(super) async fn write(self, db: &mut SqliteConnection) -> sqlx::Result<()> {
        let mut rows: Vec<_> = self.0.into_iter().collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        let rows = rows
            .into_iter()
            .map(|((subject, block), positions)| json!([subject.to_string(), block, positions]));
        rows::insert(
            db,
            "mentions (subject, block, positions)",
            "on conflict (subject, block) do update set positions = positions || excluded.positions",
            rows.collect(),
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_read_back_from_their_digits() {
        let mut mentions = Mentions::default();
        let positions = [1, 31, 32, 1_023, 1_024, 5_000].map(Position);
        for position in positions {
            mentions.add(position, Subject::Type("FanLinked"));
        }
        let mut rows: Vec<_> = mentions.0.into_iter().collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        let read: Vec<_> =
            rows.iter().flat_map(|((_, block), positions)| read(*block, positions)).collect();
        assert_eq!(read, positions);
    }
}
