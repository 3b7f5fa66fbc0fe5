//! What must hold once nothing happens any more.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Chaos, FANS, TIERS};

/// How long nothing may happen before it is rest: longer than what is not heard is waited for.
const QUIET: Duration = Duration::from_millis(600);

impl Chaos {
    /// Whatever disturbs is taken away, and everything that was missed is found.
    pub(super) async fn comes_to_rest(&mut self) {
        let (guild, bot) = (self.club.guild, self.world.sandbox.application().bot_user);
        self.world.sandbox.clear_faults();
        self.world.sandbox.with(|discord| {
            if discord.guild(guild).unwrap().unavailable {
                discord.set_unavailable(guild, false);
            }
            if discord.member(guild, bot).is_none() {
                discord.add_bot(guild, 268_435_459);
            }
        });
        self.is_quiet().await;
        self.world.post(&format!("{}/sync", self.club.path()), json!({})).await.is(202);
        self.is_quiet().await;
    }

    /// Waits until nothing more is recorded.
    async fn is_quiet(&self) {
        let quiet = async {
            loop {
                self.world.settle().await;
                let mut log = self.world.node().store().log().watch();
                log.mark_unchanged();
                if tokio::time::timeout(QUIET, log.changed()).await.is_err() {
                    return;
                }
            }
        };
        let came = tokio::time::timeout(Duration::from_mins(1), quiet).await;
        let open = self
            .world
            .node()
            .views()
            .fan_access()
            .commands(&[0], 1, &projections::CommandCursor::after(eventstore::Position(0)), 100)
            .await
            .unwrap();
        assert!(came.is_ok(), "no rest, open: {open:#?}\n{}", self.told().await);
    }

    /// Everything that can be mended is, and everybody asks to be let in again.
    pub(super) async fn is_mended(&mut self) {
        self.world.raise_bot(&self.club).await;
        // What another bot fights for is looked into.
        self.world.sandbox.with(|discord| {
            discord.edit_role(self.club.guild, self.club.gold, |role| role.color += 1);
        });
        self.world.raise_bot(&self.club).await;
        for fan in FANS {
            for user in self.people[fan].accounts {
                self.world.sandbox.with(|discord| discord.unban(self.club.guild, user));
            }
            let path = format!("/v1/fans/{fan}/integrations/{}/activate", self.club.integration);
            let asked = self.world.post(&path, json!({})).await;
            if asked.status.is_success() {
                self.people.get_mut(fan).unwrap().chosen = Some(true);
            }
        }
        self.comes_to_rest().await;
    }

    pub(super) async fn everything_ends(&mut self) {
        for fan in FANS {
            for tier in TIERS {
                self.reports(fan, tier, "expired").await;
            }
            for give in [true, false] {
                self.decides(fan, give, false).await;
            }
        }
        self.comes_to_rest().await;
    }

    /// The laws: nobody has access without a reason, whoever has a reason has access, and every exception is shown
    /// with a cause that is true.
    pub(super) async fn holds(&self, when: &str) {
        let fans = self.world.get(&format!("{}/fans?limit=200", self.club.path())).await.ok();
        let rows = fans["data"].as_array().unwrap();
        let mut faults = vec![];
        for fan in FANS {
            let row = rows.iter().find(|row| row["fan"] == fan).unwrap_or(&Value::Null);
            faults.extend(self.fan(fan, row).into_iter().map(|fault| format!("{fan}: {fault}")));
        }
        for ((user, role), joined) in &self.foreign.extra {
            if self.joined_at(*user) == Some(*joined)
                && !self
                    .world
                    .sandbox
                    .with(|discord| discord.has_role(self.club.guild, *user, *role))
            {
                faults.push(format!("{user} lost a role that the hub did not give"));
            }
        }
        let invalid = self.world.sandbox.invalid_calls();
        if invalid > 150 {
            faults.push(format!("{invalid} invalid calls"));
        }
        assert!(faults.is_empty(), "{when}: {faults:#?}\n{}", self.told().await);
    }

    fn fan(&self, fan: &str, row: &Value) -> Vec<String> {
        let status = row["status"].as_str().unwrap_or("none");
        let code = row["reason"]["code"].as_str().unwrap_or("none");
        let (person, desired) = (&self.people[fan], self.desired(fan));
        let mut faults = vec![];
        let shown = format!("{status} {code}");
        for user in person.accounts {
            let has = self.world.roles(&self.club, user);
            let current = person.linked == Some(user);
            let wanted = desired.clone().filter(|_| current);
            let wants_role =
                |role: &u64| wanted.as_ref().is_some_and(|wanted| wanted.contains(role));
            let held = has.iter().flatten().filter(|role| **role != self.extra);
            let foreign = |role: &u64| self.foreign.given.contains(&(user, *role));
            let without: Vec<_> = held.filter(|role| !wants_role(role) && !foreign(role)).collect();
            // A removal that is refused is shown: of the account that was used last, or among what is left over.
            let leftovers = row["leftovers"].as_array().into_iter().flatten();
            let mut shown_of = leftovers
                .filter(|left| left["discord"]["id"].as_str() == Some(&user.to_string()))
                .map(|left| left["reason"]["code"].as_str().unwrap_or("none"))
                .chain((status == "revoke_blocked").then_some(code));
            let blocked = shown_of.any(|code| self.is_true(user, code));
            if !blocked && !without.is_empty() {
                faults.push(format!("{user} has {without:?} without a reason, and is {shown}"));
            }
            let came = self.foreign.joined.get(&user);
            let brought_in = has.is_some() && self.joined_at(user).as_ref() != came;
            if !blocked && brought_in && wanted.is_none() {
                faults.push(format!("{user} is in the server without a reason, and is {shown}"));
            }
            let Some(wanted) = wanted else { continue };
            let all = has.as_ref().is_some_and(|has| wanted.iter().all(|role| has.contains(role)));
            match status {
                "connected" if all => {}
                "blocked" | "action_required" if self.is_true(user, code) => {}
                _ => faults
                    .push(format!("{user} should have {wanted:?}, has {has:?} and is {shown}")),
            }
        }
        match status {
            "pending" | "revoking" => faults.push(format!("is {shown} at rest")),
            _ => {}
        }
        faults
    }

    fn above_bot(&self, roles: &[&u64]) -> bool {
        self.world.sandbox.with(|discord| {
            let guild = discord.guild(self.club.guild).unwrap();
            let bot = &guild.roles[&discord.bot_role(self.club.guild).unwrap()];
            roles.iter().any(|role| guild.roles[*role].position >= bot.position)
        })
    }

    /// Whether what is shown as the cause is so.
    fn is_true(&self, user: u64, code: &str) -> bool {
        let present = self.world.roles(&self.club, user).is_some();
        match code {
            "left_server" | "banned" => !present,
            "fan_above_bot" => {
                let has = self.world.roles(&self.club, user).unwrap_or_default();
                // Everybody has the lowest role of all, which a bot at the very bottom is not above.
                let all: Vec<_> = has.iter().chain([&self.club.guild]).collect();
                self.above_bot(&all)
            }
            "role_above_bot" | "role_tied_with_bot" => {
                self.above_bot(&[&self.club.vip, &self.club.gold])
            }
            "role_contested" => self.foreign.taken.get(&user).is_some_and(|taken| *taken >= 3),
            _ => false,
        }
    }

    /// After everything is mended, nobody is an exception.
    pub(super) fn everybody_has_what_they_should(&self, when: &str) {
        for fan in FANS {
            let Some(wanted) = self.desired(fan) else { continue };
            let user = self.people[fan].linked.unwrap();
            let has = self.world.roles(&self.club, user).unwrap_or_default();
            let all = wanted.iter().all(|role| has.contains(role));
            assert!(
                all,
                "{when}: {fan} should have {wanted:?} and has {has:?}\n{:#?}",
                self.played
            );
        }
    }

    async fn told(&self) -> String {
        let events = self.world.get("/v1/audit/events?limit=200").await.json;
        let fans = self.world.get(&format!("{}/fans?limit=200", self.club.path())).await.json;
        let calls = self.world.sandbox.calls();
        let calls: Vec<_> = calls
            .iter()
            .map(|call| {
                format!("{} {} {} {} {:?}", call.at, call.method, call.path, call.status, call.code)
            })
            .collect();
        let people = format!("{:#?}", self.people);
        format!(
            "played: {:#?}\npeople: {people}\nfans: {fans:#}\nevents: {events:#}\ncalls: {calls:#?}",
            self.played
        )
    }
}
