//! What the Hub believes of the accounts in a server, and whether what Discord shows differs from it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::{
    DiscordUserId, FanId, GuildId, RoleId,
    access::{Removed, joined_anew},
    discord::RoleList,
    personal::Personal,
};
use projections::{FanRow, IntegrationRow, ViewError, Views};

use super::PAGE;
use crate::{discord::Seen, wire::StillThere};

/// What the Hub believes of an account in a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Believed {
    present: Option<bool>,
    joined_at: Option<DateTime<Utc>>,
    /// The roles that it has, from the Hub or from elsewhere, as far as nothing stands in the way.
    roles: BTreeSet<RoleId>,
    /// The roles that somebody took away, and may have given again.
    awaited: BTreeSet<RoleId>,
    /// What was taken away last.
    pub(super) removed: Option<Removed>,
}

impl Believed {
    /// `list`: the server's roles. What is left of a deleted one is nobody's.
    fn of(row: FanRow, list: Option<&RoleList>) -> Self {
        let (mut roles, awaited, removed) = (row.given, row.taken_away, row.removed);
        if row.trouble.is_none() {
            roles.extend(row.desired.roles.difference(&awaited));
        }
        let removed = removed.map(|removed| removed.of(list));
        Self { present: row.present, joined_at: row.joined_at, roles, awaited, removed }
    }

    /// Of an account that is not the fan's any more, only what was taken from it counts.
    fn let_go(removed: Removed, list: Option<&RoleList>) -> Self {
        let (present, removed) = (Some(!removed.member), Some(removed.of(list)));
        let (roles, awaited) = (BTreeSet::new(), BTreeSet::new());
        Self { present, joined_at: None, roles, awaited, removed }
    }

    /// Whether what Discord shows is something to look at; `None`: it shows no such member.
    pub(super) fn differs(&self, seen: Option<&Seen>, now: DateTime<Utc>) -> bool {
        match seen {
            Some(seen) => {
                self.present != Some(true)
                    || joined_anew(self.joined_at, seen.joined_at)
                    || !self.roles.iter().all(|role| seen.roles.contains(role))
                    || self.awaited.iter().any(|role| seen.roles.contains(role))
                    || still_there(self.removed.as_ref(), seen, now).is_some()
            }
            None => self.present == Some(true),
        }
    }

    /// Whether there is nothing more to find: everything was taken away, and nobody shows them any more.
    pub(super) fn is_over(&self, now: DateTime<Utc>) -> bool {
        let old = self.removed.as_ref().is_some_and(|removed| removed.is_old(now));
        self.present == Some(false) && self.roles.is_empty() && old
    }
}

/// What of a removal a member still has.
pub(super) fn still_there(
    removed: Option<&Removed>,
    seen: &Seen,
    now: DateTime<Utc>,
) -> Option<StillThere> {
    let roles = seen.roles.iter().copied().collect();
    let (roles, member) = removed?.left(seen.joined_at, &roles, now)?;
    Some(StillThere { roles, member })
}

/// Adds what the Hub believes of the accounts that have something in a server, or were seen in it.
pub(super) async fn holders(
    views: &Views,
    integration: &IntegrationRow,
    guild: GuildId,
    believed: &mut BTreeMap<DiscordUserId, Believed>,
) -> Result<(), ViewError> {
    let (mut after, roles) = (None::<FanId>, integration.state.roles.as_ref());
    loop {
        let page = views.fan_access().fans(integration.id, None, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.fan.clone());
        let there = page.into_iter().filter(|row| {
            row.guild == Some(guild)
                && (row.present != Some(false)
                    || !row.given.is_empty()
                    || row.desired.present
                    || row.removed.is_some()
                    || !row.let_go.is_empty())
        });
        for mut row in there {
            for (account, removed) in std::mem::take(&mut row.let_go) {
                if let Some(account) = account.known() {
                    believed.entry(account.id).or_insert_with(|| Believed::let_go(removed, roles));
                }
            }
            let account = row.account.as_ref().and_then(Personal::known).map(|account| account.id);
            if let Some(account) = account {
                believed.insert(account, Believed::of(row, roles));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles<C: FromIterator<RoleId>>(roles: &[u64]) -> C {
        roles.iter().map(|role| RoleId(*role)).collect()
    }

    fn believed(present: Option<bool>, has: &[u64]) -> Believed {
        let (roles, awaited) = (roles(has), BTreeSet::new());
        Believed { present, joined_at: None, roles, awaited, removed: None }
    }

    fn minute(n: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + 60 * n, 0).unwrap()
    }

    fn seen(has: &[u64]) -> Seen {
        Seen { joined_at: Some(minute(0)), roles: roles(has) }
    }

    #[test]
    fn only_what_differs_is_looked_at() {
        let differs =
            |believed: &Believed, shown: &[u64]| believed.differs(Some(&seen(shown)), minute(9));
        let there = believed(Some(true), &[1, 2]);
        assert!(!differs(&there, &[1, 2, 9]));
        assert!(differs(&there, &[1]));
        assert!(there.differs(None, minute(9)));
        let gone = believed(Some(false), &[]);
        assert!(differs(&gone, &[]));
        assert!(!gone.differs(None, minute(9)));
        let unknown = believed(None, &[]);
        assert!(differs(&unknown, &[]) && !unknown.differs(None, minute(9)));
    }

    #[test]
    fn what_a_removal_took_is_looked_for_while_it_can_be_told_whose_doing_it_is() {
        let took = |member: bool| {
            let removed = Removed { at: minute(8), roles: roles(&[3]), member, joined_at: None };
            Believed { removed: Some(removed), ..believed(Some(!member), &[]) }
        };
        let stays = took(false);
        assert!(stays.differs(Some(&seen(&[3, 4])), minute(9)));
        assert!(!stays.differs(Some(&seen(&[4])), minute(9)));
        assert!(!stays.differs(Some(&seen(&[3])), minute(20)));
        let gone = took(true);
        assert!(!gone.is_over(minute(9)) && gone.is_over(minute(20)) && !stays.is_over(minute(20)));
    }
}
