//! The form for a fault of one's own.

use serde::Deserialize;

use super::offered::{CALLS, limited, refusal};
use crate::{
    faults::{Action, Fault, Scope},
    pages::{refusals, trouble::Trouble},
};

#[derive(Deserialize)]
pub(super) struct Wanted {
    /// Which of the calls listed, or `other` with a method and a path.
    calls: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    path: String,
    action: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    seconds: String,
    #[serde(default)]
    after: String,
    /// Empty: until it is disarmed.
    #[serde(default)]
    times: String,
}

fn number<T: std::str::FromStr>(typed: &str, default: T, what: &str) -> Result<T, Trouble> {
    match typed.trim() {
        "" => Ok(default),
        typed => typed.parse().map_err(|_| {
            Trouble::invalid(format!("{what} is not a number that fits here.")).back("/faults")
        }),
    }
}

impl Wanted {
    pub(super) fn fault(&self) -> Result<Fault, Trouble> {
        let (method, path) = if self.calls == "other" {
            let (method, path) = (self.method.trim(), self.path.trim());
            if path.is_empty() {
                let missing = Trouble::invalid("A path is needed, such as /guilds/*/roles.");
                return Err(missing.back("/faults"));
            }
            (if method.is_empty() { "*" } else { method }, path)
        } else {
            let chosen = self.calls.parse().ok().and_then(|at: usize| CALLS.get(at));
            let chosen = chosen.ok_or_else(|| Trouble::missing("kind of call").back("/faults"))?;
            (chosen.method, chosen.path)
        };
        Ok(Fault {
            method: method.to_owned(),
            path: path.to_owned(),
            after: number(&self.after, 0, "The calls that go by")?,
            times: number(&self.times, u64::MAX, "How often it happens")?.max(1),
            action: self.action()?,
        })
    }

    fn action(&self) -> Result<Action, Trouble> {
        let status = |default| {
            let status = number(&self.status, default, "The status")?;
            if (400..600).contains(&status) {
                return Ok(status);
            }
            let odd = Trouble::invalid("An error has a status from 400 to 599.");
            Err(odd.back("/faults"))
        };
        let seconds = || {
            let seconds: f64 = number(&self.seconds, 5.0, "The seconds")?;
            if (0.0..=3_600.0).contains(&seconds) {
                return Ok(seconds);
            }
            Err(Trouble::invalid("Seconds go from 0 to 3600.").back("/faults"))
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to an hour"
        )]
        let whole = |seconds: f64| seconds.round() as u64;
        Ok(match self.action.as_str() {
            "refuse" => {
                let code = number(&self.code, 50_013, "The code")?;
                match refusals::by_code(code) {
                    Some(known) => refusal(known),
                    None => Action::Refuse {
                        status: status(400)?,
                        code,
                        message: "Refused by a fault of the sandbox".to_owned(),
                    },
                }
            }
            "error" => Action::Error { status: status(503)? },
            "error_after_effect" => Action::ErrorAfterEffect { status: status(502)? },
            "delay" => Action::Delay { ms: whole(seconds()? * 1_000.0) },
            "delay_after" => Action::DelayAfter { ms: whole(seconds()? * 1_000.0) },
            "drop_before" => Action::DropBefore,
            "drop_after" => Action::DropAfter,
            "lost_update" => Action::LostUpdate,
            "limit_user" => limited(Scope::User, seconds()?),
            "limit_shared" => limited(Scope::Shared, seconds()?),
            "limit_global" => limited(Scope::Global, seconds()?),
            "cloudflare" => Action::Cloudflare { retry_after: whole(seconds()?) },
            _ => return Err(Trouble::missing("kind of fault").back("/faults")),
        })
    }
}
