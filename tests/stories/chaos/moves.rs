//! What may happen at any moment.

use std::time::Duration;

use discord_sandbox::{Action, Fault, Scope};
use serde_json::json;

use super::{Chaos, FANS, TIERS};

const ROLE: &str = "/guilds/*/members/*/roles/*";
const MEMBER: &str = "/guilds/*/members/*";

impl Chaos {
    /// One thing happens, and now and then some time passes.
    pub(super) async fn moves(&mut self) {
        let fan = self.dice.pick(&FANS);
        match self.dice.below(100) {
            0..=20 => self.membership(fan).await,
            21..=24 => self.by_hand(fan).await,
            25..=36 => self.link(fan).await,
            37..=54 => self.moderator(fan),
            55..=58 => self.by_themselves(fan),
            59..=63 => self.click(fan).await,
            64..=69 => self.order(),
            70..=84 => self.fault(),
            85..=87 => self.outage(),
            88..=90 => self.bot(),
            91..=94 => {
                let resumable = self.dice.below(2) == 0;
                self.played(format!("the gateway is cut, resumable: {resumable}"));
                self.world.sandbox.cut_gateway(resumable);
            }
            95..=96 => {
                self.played("compare");
                self.world.post(&format!("{}/sync", self.club.path()), json!({})).await;
            }
            _ => {
                self.played("the hub starts anew");
                self.world.start_again().await;
            }
        }
        let pause = self.dice.below(60);
        if pause < 40 {
            // The hub has done some of it by then, or nothing yet.
            let mut log = self.world.node().store().log().watch();
            log.mark_unchanged();
            let _ = tokio::time::timeout(Duration::from_millis(pause), log.changed()).await;
        }
    }

    async fn membership(&mut self, fan: &'static str) {
        let tier = self.dice.pick(&TIERS);
        let live = self.dice.below(5) < 3;
        let status = if live {
            "active"
        } else {
            self.dice.pick(&["expired", "refunded", "paused", "charged_back", "canceled"])
        };
        self.reports(fan, tier, status).await;
    }

    pub(super) async fn reports(&mut self, fan: &'static str, tier: &'static str, status: &str) {
        let known = self.people.get_mut(fan).unwrap().memberships.entry(tier).or_default();
        *known = (known.0 + 1, status == "active");
        let version = known.0;
        self.played(format!("{fan}'s {tier} is {status}"));
        self.world.reports(&self.club, fan, tier, status, version).await;
    }

    /// The creator gives a role, or withholds access, or takes either back.
    async fn by_hand(&mut self, fan: &'static str) {
        let (give, begins) = (self.dice.below(2) == 0, self.dice.below(3) < 2);
        let what = if give { "grants" } else { "revocations" };
        self.played(format!("{what} of {fan}, begins: {begins}"));
        self.decides(fan, give, begins).await;
    }

    pub(super) async fn decides(&mut self, fan: &'static str, give: bool, begins: bool) {
        let what = if give { "grants" } else { "revocations" };
        let path = format!("{}/{what}/{fan}", self.club.path());
        let body = if give {
            json!({ "roles": [self.club.gold.to_string()] })
        } else {
            json!({ "why": "spam" })
        };
        let answer =
            if begins { self.world.put(&path, body).await } else { self.world.delete(&path).await };
        if answer.status.is_success() {
            let person = self.people.get_mut(fan).unwrap();
            *(if give { &mut person.granted } else { &mut person.withheld }) = begins;
        }
    }

    async fn link(&mut self, fan: &'static str) {
        if self.dice.below(4) == 0 {
            self.played(format!("{fan} unlinks"));
            self.people.get_mut(fan).unwrap().linked = None;
            self.world.delete(&format!("/v1/fans/{fan}/link")).await;
        } else {
            let account = self.dice.pick(&self.people[fan].accounts);
            self.links(fan, account).await;
        }
    }

    pub(super) async fn links(&mut self, fan: &'static str, account: u64) {
        self.played(format!("{fan} links {account}"));
        self.world.links(fan, account).await.is(200);
        self.people.get_mut(fan).unwrap().linked = Some(account);
    }

    fn moderator(&mut self, fan: &'static str) {
        let user = self.dice.pick(&self.people[fan].accounts);
        let role = self.dice.pick(&[self.club.vip, self.club.gold]);
        let (guild, extra) = (self.club.guild, self.extra);
        let sandbox = self.world.sandbox.clone();
        match self.dice.below(9) {
            0..=2 => {
                self.played(format!("{role} is taken from {user}"));
                sandbox.with(|discord| discord.set_role(guild, user, role, false));
                *self.foreign.taken.entry(user).or_default() += 1;
            }
            3 => {
                self.played(format!("{role} is given to {user}"));
                if sandbox.with(|discord| discord.set_role(guild, user, role, true)) {
                    self.foreign.given.insert((user, role));
                }
            }
            4..=5 => {
                self.played(format!("the extra role is given to {user}"));
                if sandbox.with(|discord| discord.set_role(guild, user, extra, true)) {
                    let joined = self.joined_at(user).unwrap();
                    self.foreign.extra.insert((user, extra), joined);
                }
            }
            6 => {
                self.played(format!("{user} is kicked"));
                sandbox.with(|discord| discord.remove_member(guild, user));
            }
            7 => {
                self.played(format!("{user} is banned"));
                sandbox.with(|discord| discord.ban(guild, user));
            }
            _ => {
                self.played(format!("{user} is unbanned"));
                sandbox.with(|discord| discord.unban(guild, user));
            }
        }
    }

    fn by_themselves(&mut self, fan: &'static str) {
        let user = self.dice.pick(&self.people[fan].accounts);
        self.played(format!("{user} joins by themselves"));
        let guild = self.club.guild;
        let joined = self.world.sandbox.with(|discord| {
            let banned = discord.guild(guild).unwrap().bans.contains(&user);
            !banned && discord.add_member(guild, user)
        });
        if joined {
            self.foreign.joined.insert(user, self.joined_at(user).unwrap());
        }
    }

    async fn click(&mut self, fan: &'static str) {
        let leave = self.dice.below(3) == 0;
        let path = format!("/v1/fans/{fan}/integrations/{}/activate", self.club.integration);
        let answer = if leave {
            self.world.delete(&path).await
        } else {
            self.world.post(&path, json!({})).await
        };
        self.played(format!("{fan} asks, leave: {leave}: {}", answer.status));
        if answer.status.is_success() {
            self.people.get_mut(fan).unwrap().chosen = Some(!leave);
        }
    }

    fn order(&mut self) {
        let position = self.dice.pick(&[0, 2, 100]);
        self.played(format!("the bot's role goes to {position}"));
        self.world.moves_bot(&self.club, position);
    }

    fn fault(&mut self) {
        let action = match self.dice.below(12) {
            0 => Action::RateLimit { scope: Scope::User, retry_after: 0.05 },
            1 => Action::RateLimit { scope: Scope::Shared, retry_after: 0.05 },
            2 => Action::RateLimit { scope: Scope::Global, retry_after: 0.05 },
            3 => Action::Error { status: 503 },
            4..=5 => Action::ErrorAfterEffect { status: 502 },
            6 => Action::DropBefore,
            7..=8 => Action::DropAfter,
            9 => Action::LostUpdate,
            10 => Action::Delay { ms: 40 },
            _ => {
                let message = "Unknown Guild".to_owned();
                Action::Refuse { status: 404, code: 10004, message }
            }
        };
        // What only reads cannot be lost.
        let methods: &[&str] = if action == Action::LostUpdate {
            &["PUT", "DELETE"]
        } else {
            &["PUT", "DELETE", "GET"]
        };
        let method = self.dice.pick(methods);
        // The effect of a join is its answer: one that has none is no answer of Discord's.
        let path =
            if action == Action::LostUpdate { ROLE } else { self.dice.pick(&[ROLE, MEMBER]) };
        let times = 1 + self.dice.below(3);
        self.played(format!("{method} {path} meets {action:?}, {times} times"));
        self.world.sandbox.fault(Fault { times, ..Fault::once(method, path, action) });
    }

    fn outage(&mut self) {
        let guild = self.club.guild;
        let out = self.dice.below(2) == 0;
        self.played(format!("outage: {out}"));
        self.world.sandbox.with(|discord| {
            if discord.guild(guild).unwrap().unavailable != out {
                discord.set_unavailable(guild, out);
            }
        });
    }

    fn bot(&mut self) {
        let (guild, bot) = (self.club.guild, self.world.sandbox.application().bot_user);
        let out = self.dice.below(2) == 0;
        self.played(format!("the bot is out: {out}"));
        self.world.sandbox.with(|discord| {
            let there = discord.member(guild, bot).is_some();
            if out && there {
                discord.remove_member(guild, bot);
            } else if !out && !there {
                discord.add_bot(guild, 268_435_459);
            }
        });
    }
}
