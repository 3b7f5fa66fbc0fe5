//! What the Hub does by itself: ends what time ends, confirms what is done, lets go what nobody needs.
//!
//! Each policy looks at a view and sends a command, whose rules decide again; so looking twice does no harm.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    FanId, HoldId, IntegrationId,
    account::{self, AccountKey, DiscordAccount},
    fan::{self, Fan},
    guild::{self, Guild},
    hold::{self, Cause, Held, Hold},
    integration::{self, Integration, LeftBehind},
    membership::{self, Membership, Terms},
};
use eventstore::{Actor, AppendKey, Decision, HandleError, Metadata, Position, Store, StoreError};
use projections::{CATCH_UP, Due, IntegrationRow, Losing, Topic, View, ViewError, Views, heard};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The lease of whoever runs the policies.
const LEASE: &str = "timers";

/// How long the lease lasts without being renewed.
const LEASE_TIME: TimeDelta = TimeDelta::seconds(30);

/// How often the policies look without being told of a change.
const LOOK: Duration = Duration::from_secs(1);

/// The streams of changes that may give them something to do.
const LOOKED_AT: [Topic; 3] = [Topic::Integrations, Topic::Fans, Topic::FanAccess];

/// How many fans are looked at with one query.
const PAGE: u32 = 500;

/// The most that is done in one look of each policy.
const AT_ONCE: u32 = 200;

/// Why a policy could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    View(#[from] ViewError),
}

/// The policies of a node.
#[derive(Clone)]
pub struct Policies {
    store: Store,
    views: Views,
    grace: TimeDelta,
    holder: String,
    /// When the lease that was taken last ends.
    held_until: Arc<Mutex<DateTime<Utc>>>,
    /// Which lapses were looked at together already, so that each is weighed with those of its time and once.
    weighed_until: Arc<tokio::sync::Mutex<DateTime<Utc>>>,
}

impl Policies {
    /// `grace`: how long an active membership outlives its paid end.
    pub fn new(store: Store, views: Views, grace: TimeDelta) -> Self {
        Self {
            store,
            views,
            grace,
            holder: Uuid::now_v7().to_string(),
            held_until: Arc::default(),
            weighed_until: Arc::default(),
        }
    }

    /// Applies the policies until `shutdown`, on the node that holds their lease.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut changes = self.views.changes();
        loop {
            match self.once().await {
                Ok(done) if done > 0 => continue,
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "a policy failed; it is tried again"),
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = timeout(LOOK, heard(&mut changes, |change| LOOKED_AT.contains(&change.topic))) => {}
            }
        }
    }

    /// Looks once; answers how many things were done.
    pub async fn once(&self) -> Result<usize, PolicyError> {
        let now = self.store.clock().now();
        if !self.holds_lease(now).await? {
            return Ok(0);
        }
        let mut done = 0;
        let mut due = self.views.timers().due(now, self.grace, AT_ONCE).await?;
        if !self.weigh_lapses(now, &due).await? {
            due.retain(|due| !due.lapse);
        }
        for due in due {
            done += usize::from(self.expire(due).await?);
        }
        for (fan, integration) in self.views.timers().ended_grants(now, AT_ONCE).await? {
            done += usize::from(self.end_grant(fan, integration).await?);
        }
        for row in self.views.integrations().removing().await? {
            // Each view follows by itself: who holds what counts once it has seen that all of it is to go.
            if self.have_seen(&[View::FanAccess], row.position).await
                && self.views.fan_access().still_holding(row.id).await? == 0
            {
                done += usize::from(self.confirm_disconnected(&row).await?);
            }
        }
        // A view that is behind would let go of what has been given anew since.
        let accounts = if self.have_seen(&[View::FanAccess], self.store.log().head()).await {
            self.views.fan_access().releasable_accounts(AT_ONCE).await?
        } else {
            vec![]
        };
        for (account, fan) in accounts {
            done += usize::from(self.release(&account, &fan).await?);
        }
        Ok(done)
    }

    /// Whether this node may act. The lease is renewed when half of it has passed, not at every look.
    async fn holds_lease(&self, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let known = *self.held_until.lock().unwrap_or_else(PoisonError::into_inner);
        if known - now > LEASE_TIME / 2 {
            return Ok(true);
        }
        let lease = self.store.leases().acquire(LEASE, &self.holder, now, LEASE_TIME).await?;
        if let Some(lease) = &lease {
            *self.held_until.lock().unwrap_or_else(PoisonError::into_inner) = lease.until;
        }
        Ok(lease.is_some())
    }

    fn metadata(&self) -> Metadata {
        Metadata { at: self.store.clock().now(), actor: Actor::Hub, correlation: Uuid::now_v7() }
    }

    async fn have_seen(&self, views: &[View], position: Position) -> bool {
        self.views.seen_by(views, position, CATCH_UP).await.is_ok()
    }

    /// Opens a hold where too many paid periods have run out together: renewals that were not reported look the same.
    /// Answers whether lapses may be recorded now.
    async fn weigh_lapses(&self, now: DateTime<Utc>, due: &[Due]) -> Result<bool, PolicyError> {
        let mut weighed = self.weighed_until.lock().await;
        if !due.iter().any(|due| due.lapse && due.at > *weighed) {
            return Ok(true);
        }
        // Who has what, and what has lapsed, counts once the views have seen everything.
        if !self.have_seen(&[View::FanAccess, View::Timers], self.store.log().head()).await {
            return Ok(false);
        }
        let (until, access) = (now - self.grace, self.views.fan_access());
        let mut losing = Losing::of_lapses(access).await?;
        let mut after = None;
        loop {
            let page = self.views.timers().lapses(until, after.as_ref(), PAGE).await?;
            let fans: Vec<FanId> = page.keys().cloned().collect();
            let Some(last) = fans.last() else { break };
            after = Some(last.clone());
            for (fan, facts) in access.facts_of(&fans).await? {
                let lapsed = page.get(&fan).into_iter().flatten();
                let events: Vec<_> = lapsed
                    .filter_map(|membership| {
                        let held = facts.memberships.get(membership).filter(|held| held.live)?;
                        Some(membership::Event::MembershipExpired(Terms {
                            membership: membership.clone(),
                            fan: fan.clone(),
                            creator: held.creator.clone(),
                            tier: held.tier.clone(),
                            status: held.status,
                            ends_at: held.ends_at,
                            version: 0,
                        }))
                    })
                    .collect();
                losing.count(facts, &events).await?;
            }
        }
        for held in losing.holds(Cause::Lapses, Some(until)).await? {
            self.open_hold(held).await?;
        }
        *weighed = now;
        Ok(true)
    }

    async fn open_hold(&self, held: Held) -> Result<(), PolicyError> {
        let HoldId(correlation) = held.hold;
        let (stream, open) = (hold::stream(held.hold), hold::Command::Open(held));
        let metadata = Metadata { correlation, ..self.metadata() };
        match self.store.handle::<Hold>(&stream, open, metadata, None).await {
            Ok(_) | Err(HandleError::Refused(_)) => Ok(()),
            Err(HandleError::Store(error)) => Err(error.into()),
        }
    }

    /// Ends a membership whose time has come.
    async fn expire(&self, Due { membership, version, .. }: Due) -> Result<bool, PolicyError> {
        let key = AppendKey {
            key: format!("expire:{membership}:{version}").into(),
            request_hash: [0; 32],
            answer: None,
        };
        let command = membership::Command::Expire {
            version,
            now: self.store.clock().now(),
            grace: self.grace,
        };
        let stream = membership::stream(&membership);
        let mut attempts = self.store.attempts();
        loop {
            let mut decision = self.store.begin(self.metadata(), Some(key.clone()));
            match decision.handle::<Membership>(&stream, command.clone()).await {
                // The view is behind: the membership has changed or ended since. Its key must not be used up.
                Ok(events) if events.is_empty() => return Ok(false),
                Ok(_) | Err(HandleError::Refused(_)) => {}
                Err(HandleError::Store(error)) => return Err(error.into()),
            }
            if let Some(decided) = decision.commit(&mut attempts).await? {
                return Ok(decided.appended);
            }
        }
    }

    /// Ends what was given by hand until a time that has passed.
    async fn end_grant(&self, fan: FanId, integration: IntegrationId) -> Result<bool, PolicyError> {
        let stream = fan::stream(&fan);
        let command = fan::Command::ExpireGrant { fan, integration, now: self.store.clock().now() };
        match self.store.handle::<Fan>(&stream, command, self.metadata(), None).await {
            Ok(decided) => Ok(decided.appended),
            Err(HandleError::Refused(_)) => Ok(false),
            Err(HandleError::Store(error)) => Err(error.into()),
        }
    }

    /// Releases a server once nothing that was given there is left.
    async fn confirm_disconnected(&self, row: &IntegrationRow) -> Result<bool, PolicyError> {
        let mut attempts = self.store.attempts();
        loop {
            let mut decision = self.store.begin(self.metadata(), None);
            match let_go(&mut decision, row.id, LeftBehind::default()).await {
                Ok(()) => {}
                Err(HandleError::Refused(_)) => return Ok(false),
                Err(HandleError::Store(error)) => return Err(error.into()),
            }
            if let Some(decided) = decision.commit(&mut attempts).await? {
                return Ok(decided.appended);
            }
        }
    }

    /// Lets go of an account that its fan no longer uses and that holds nothing any more.
    async fn release(&self, account: &AccountKey, fan: &FanId) -> Result<bool, PolicyError> {
        let mut attempts = self.store.attempts();
        loop {
            let mut decision = self.store.begin(self.metadata(), None);
            // Read for the commit too: linking the account again meanwhile keeps it reserved.
            let state = decision.load::<Fan>(&fan::stream(fan)).await?;
            if state.link.is_some_and(|link| link.account_key == *account) {
                return Ok(false);
            }
            let release =
                account::Command::Release { account_key: account.clone(), fan: fan.clone() };
            match decision.handle::<DiscordAccount>(&account::stream(account), release).await {
                Ok(_) | Err(HandleError::Refused(_)) => {}
                Err(HandleError::Store(error)) => return Err(error.into()),
            }
            if let Some(decided) = decision.commit(&mut attempts).await? {
                return Ok(decided.appended);
            }
        }
    }
}

/// Releases an integration's server, and with it its reservation: whoever has access there still is left behind.
pub async fn let_go(
    decision: &mut Decision,
    id: IntegrationId,
    left_behind: LeftBehind,
) -> Result<(), HandleError<integration::Refusal>> {
    let confirm = integration::Command::ConfirmDisconnected(left_behind);
    for event in decision.handle::<Integration>(&integration::stream(id), confirm.to(id)).await? {
        if let integration::Event::ServerDisconnected { guild, .. } = event {
            let release = guild::Command::Release { guild, integration: id };
            match decision.handle::<Guild>(&guild::stream(guild), release).await {
                // Releasing is never refused.
                Ok(_) | Err(HandleError::Refused(_)) => {}
                Err(HandleError::Store(error)) => return Err(error.into()),
            }
        }
    }
    Ok(())
}
