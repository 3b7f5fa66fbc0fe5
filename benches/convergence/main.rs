//! How fast and how politely Discord comes to show what the Hub has decided, against the sandbox with Discord's limits on.
//!
//! `cargo bench --bench convergence` measures all of it in half an hour; `-- --quick` a twentieth of it, as a check: it
//! ends with an error where a call was refused or made in vain. `one`, `four`, `idle` and `twilight` measure a part alone,
//! and `many` and `single` those with many servers or a single one. Time is scaled, because under Discord's own windows it
//! would take hours: as many calls in each window, and windows that are so much shorter. The bot's own limiter is
//! measured beside twilight's, which is given the same calls.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "it prints, and ends where it cannot go on"
)]

#[path = "../figures/table.rs"]
#[expect(dead_code, reason = "the other figures need more of it")]
mod table;

mod field;
mod idle;
mod limits;
mod tally;
mod twilight;

use std::time::{Duration, Instant};

use discord_sandbox::Limits;
use field::{Club, Field, Size};
use limits::{CALLS_PER_SECOND, Least, many_servers, one_server, window};
use tally::Tally;

/// How a figure stands to its goal.
fn goal(is: f64, at_most: f64, shown: &str) -> String {
    let verdict = if is <= at_most { "met" } else { "**missed**" };
    format!("goal {shown}: {verdict}")
}

/// Shows what one scenario came to; answers whether Discord was asked politely.
fn show(what: &str, took: Duration, tally: &Tally, least: &Least) -> bool {
    let ratio = took.as_secs_f64() / least.time.as_secs_f64();
    table::line(
        &format!("{what}: refused calls"),
        &tally.refused.to_string(),
        &goal(tally.refused as f64, 0.0, "0"),
    );
    let per_fan = tally.changes as f64 / least.fans as f64;
    let wanted = least.calls as f64 / least.fans as f64;
    table::line(
        &format!("{what}: calls per fan"),
        &format!("{per_fan:.3}"),
        &goal(per_fan, wanted, &format!("{wanted:.0}")),
    );
    table::line(
        &format!("{what}: other calls"),
        &tally.reads.to_string(),
        "reads of members and servers, all together",
    );
    table::line(
        &format!("{what}: time"),
        &format!("{:.1} s", took.as_secs_f64()),
        &format!(
            "{ratio:.3} of the least, {:.1} s; {}",
            least.time.as_secs_f64(),
            goal(ratio, 1.05, "1.05")
        ),
    );
    tally.refused == 0 && tally.changes == least.calls
}

/// The same fans are granted and revoked; answers whether Discord was asked politely.
async fn both_ways(field: &Field, what: &str, clubs: &[Club], limits: &Limits) -> bool {
    field.sandbox.set_limits(limits.clone());
    field.sandbox.forget_calls();
    let began = Instant::now();
    field.buy(clubs).await;
    field.until_all(clubs, true).await;
    let (took, tally) = (began.elapsed(), Tally::of(&field.sandbox));
    let granted = show(&format!("{what}, granted"), took, &tally, &Least::of_grants(clubs, limits));
    field.until_reported(clubs, true).await;

    // Both begin with windows that nobody has called in.
    tokio::time::sleep(window(limits)).await;
    field.sandbox.forget_calls();
    let began = Instant::now();
    let ending = field.end(clubs);
    let all = async {
        tokio::join!(ending, field.until_all(clubs, false));
    };
    all.await;
    let (took, tally) = (began.elapsed(), Tally::of(&field.sandbox));
    let least = Least::of_removals(clubs, limits);
    let revoked = show(&format!("{what}, revoked"), took, &tally, &least);
    field.until_reported(clubs, false).await;
    tokio::time::sleep(window(limits)).await;
    table::line(&format!("{what}: memory at its highest"), &field.memory(), "");
    granted && revoked
}

/// The same grants through twilight's own limiter.
async fn through_twilight(field: &Field, what: &str, clubs: &[Club], limits: &Limits) {
    field.sandbox.set_limits(limits.clone());
    field.sandbox.forget_calls();
    let (took, whole) = twilight::grants(field, clubs).await;
    let what = if whole { format!("{what}, granted") } else { format!("{what}, given up") };
    show(&what, took, &Tally::of(&field.sandbox), &Least::of_grants(clubs, limits));
    field.empty(clubs);
}

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let named: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str, of: &[&str]| {
        let mut named = named.iter().filter(|named| of.contains(&named.as_str())).peekable();
        named.peek().is_none() || named.any(|named| named == part)
    };
    let part = |part: &str| wanted(part, &["one", "four", "idle", "twilight"]);
    let (in_many, in_one) =
        (wanted("many", &["many", "single"]), wanted("single", &["many", "single"]));
    let size =
        if quick { Size { servers: 10, fans: 500 } } else { Size { servers: 200, fans: 10_000 } };
    let (many, one) = (many_servers(), one_server());
    println!(
        "{} fans. Windows are {} times shorter than Discord's where they fall in {} servers, {} times in one.",
        size.fans,
        limits::SCALE,
        size.servers,
        limits::SCALE_OF_ONE
    );
    println!(
        "Documented: 50 calls a second for a token, so {CALLS_PER_SECOND} here. Assumed: 10 role changes and 10 joins or removals of members per 10 s and server."
    );
    println!(
        "The sandbox alone answers {:.0} calls a second.",
        twilight::alone(size.fans.min(4_000)).await
    );

    let mut field = Field::start(size).await;
    println!("{} servers and {} fans are connected.", size.servers + 1, size.fans);
    let (clubs, large) = (field.clubs.clone(), vec![field.large.clone()]);

    let (several, mut polite) = (format!("{} servers", size.servers), true);
    for (name, title, processes) in
        [("one", "One process", 1), ("four", "Four processes on one token", 4)]
    {
        if part(name) {
            field.work(processes).await;
            table::heading(title);
            polite &= !in_many || both_ways(&field, &several, &clubs, &many).await;
            polite &= !in_one || both_ways(&field, "one server", &large, &one).await;
        }
    }
    if part("idle") {
        field.work(1).await;
        table::heading("From a reported membership to the accepted call, on an idle system");
        idle::measure(&field, &many, if quick { 40 } else { 400 }).await;
    }
    field.end_all().await;
    if part("twilight") {
        table::heading("twilight's own limiter alone, the same grants");
        if in_many {
            through_twilight(&field, &several, &clubs, &many).await;
        }
        if in_one {
            through_twilight(&field, "one server", &large, &one).await;
        }
    }
    // Times depend on the machine; these do not.
    assert!(polite, "calls were refused, or made in vain");
}
