//! Every event in plain words: one sentence each, in the past, about what happened and not about how it is stored.

use chrono::{DateTime, Utc};
use domain::{
    Account, Event, Personal,
    access::{Event as AccessEvent, Report},
    account::Event as AccountEvent,
    creator::Event as CreatorEvent,
    discord::RoleList,
    fan::{BrokenBy, Event as FanEvent},
    guild::Event as GuildEvent,
    hold::{Cause, Event as HoldEvent},
    integration::{Drift, Event as IntegrationEvent, OnEnd},
    membership::{Event as MembershipEvent, Terms},
    tier::Event as TierEvent,
};

use super::names::Names;

/// What happened.
pub(super) fn sentence(event: &Event, names: &Names) -> String {
    match event {
        Event::Tier(event) => tier(event),
        Event::Membership(event) => membership(event, names),
        Event::Integration(event) => integration(event, names),
        Event::Guild(event) => guild(event, names),
        Event::Fan(event) => fan(event, names),
        Event::DiscordAccount(AccountEvent::AccountReserved { fan, .. }) => {
            format!("A Discord account was reserved for the fan {fan}.")
        }
        Event::DiscordAccount(AccountEvent::AccountReleased { fan, .. }) => {
            format!("A Discord account of the fan {fan} became free for others.")
        }
        Event::Access(event) => access(event, names),
        Event::Hold(event) => hold(event, names),
        Event::Creator(CreatorEvent::NoticeRead { creator, .. }) => {
            format!("{creator} read a notice.")
        }
    }
}

/// A time in a sentence.
pub(super) fn when(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y, %H:%M UTC").to_string()
}

fn account(account: &Personal<Account>) -> String {
    match account {
        Personal::Known(account) => format!("the Discord account {}", account.username),
        Personal::Sealed(_) => "a Discord account whose name is sealed".to_owned(),
        Personal::Erased => "a Discord account whose data is erased".to_owned(),
    }
}

fn tier(event: &TierEvent) -> String {
    match event {
        TierEvent::TierRegistered { creator, tier, name } => {
            format!("{creator} began to sell the tier {name} ({tier}).")
        }
        TierEvent::TierRenamed { creator, tier, name } => {
            format!("{creator}'s tier {tier} was renamed to {name}.")
        }
    }
}

fn membership(event: &MembershipEvent, names: &Names) -> String {
    let Terms { fan, creator, tier, ends_at, .. } = event.terms();
    let tier = names.tier(creator, tier);
    let through = ends_at.map(|at| format!(", paid through {}", when(at))).unwrap_or_default();
    match event {
        MembershipEvent::MembershipPurchased(_) => {
            format!("{fan} bought {tier} from {creator}{through}.")
        }
        MembershipEvent::MembershipRenewed(_) => format!("{fan} renewed {tier}{through}."),
        MembershipEvent::MembershipTierChanged(_) => {
            format!("{fan} changed to {tier} of {creator}{through}.")
        }
        MembershipEvent::MembershipReinstated(_) => {
            format!("{fan} took {tier} of {creator} up again{through}.")
        }
        MembershipEvent::MembershipCanceled(_) => match ends_at {
            Some(at) => format!("{fan} canceled {tier}; it ends on {}.", when(*at)),
            None => format!("{fan} canceled {tier}."),
        },
        MembershipEvent::MembershipPaused(_) => format!("{tier} of {fan} was paused."),
        MembershipEvent::MembershipExpired(_) => format!("{tier} of {fan} ended."),
        MembershipEvent::MembershipRefunded(_) => format!("{tier} of {fan} was refunded."),
        MembershipEvent::MembershipChargedBack(_) => {
            format!("{fan} charged the payment for {tier} back.")
        }
    }
}

fn integration(event: &IntegrationEvent, names: &Names) -> String {
    let of = names.integration_name(event.integration());
    match event {
        IntegrationEvent::IntegrationCreated { creator, name, .. } => {
            format!("{creator} created the integration “{name}”.")
        }
        IntegrationEvent::IntegrationRenamed { name, .. } => {
            format!("The integration was renamed to “{name}”.")
        }
        IntegrationEvent::RemovalPolicyChanged { on_end, .. } => match on_end {
            OnEnd::RemoveFromServer => {
                format!(
                    "{of} removes fans from the server when their membership ends, from now on."
                )
            }
            OnEnd::RolesOnly => {
                format!("{of} takes only roles when a membership ends, from now on.")
            }
        },
        IntegrationEvent::DriftPolicyChanged { drift, .. } => {
            let does = match drift {
                Drift::Repair => "gives roles again that others take away",
                Drift::Report => "reports roles that others take away",
                Drift::Respect => "respects it when others take roles away",
            };
            format!("{of} {does}, from now on.")
        }
        IntegrationEvent::RemovalLimitChanged { limit, .. } => format!(
            "Removals of more than {} fans of {of} at once, or of {} % of them, wait for approval from now on.",
            limit.fans, limit.percent
        ),
        IntegrationEvent::ServerConnected { guild, .. } => {
            format!("{of} was connected to the server {}.", guild.name)
        }
        IntegrationEvent::RolesRefreshed { guild, roles, .. } => refreshed(*guild, roles, names),
        IntegrationEvent::MembershipAttached { tier, roles, .. } => {
            format!(
                "{} was attached to {of}: it gives {}.",
                names.attached(event.integration(), tier),
                names.roles(roles)
            )
        }
        IntegrationEvent::AttachmentRolesChanged { tier, roles, .. } => {
            format!(
                "{} gives {} in {of} from now on.",
                names.attached(event.integration(), tier),
                names.roles(roles)
            )
        }
        IntegrationEvent::MembershipDetached { tier, .. } => {
            format!("{} was detached from {of}.", names.attached(event.integration(), tier))
        }
        IntegrationEvent::BotRemoved { guild, .. } => {
            format!("The bot was thrown out of {}.", names.in_server(*guild))
        }
        IntegrationEvent::BotReturned { guild, .. } => {
            format!("The bot came back to {}.", names.in_server(*guild))
        }
        IntegrationEvent::DisconnectStarted { guild, remove, .. } => {
            let what = if *remove { "deleted" } else { "disconnected" };
            format!(
                "{of} is being {what}: its access to {} is taken away first.",
                names.in_server(*guild)
            )
        }
        IntegrationEvent::ServerDisconnected { guild, left_behind: 0, .. } => {
            format!("{of} was disconnected from {}.", names.in_server(*guild))
        }
        IntegrationEvent::ServerDisconnected { guild, left_behind, .. } => format!(
            "{of} was disconnected from {} at once; {left_behind} fans kept what they had.",
            names.in_server(*guild)
        ),
        IntegrationEvent::IntegrationRemoved { .. } => format!("{of} was removed."),
    }
}

fn hold(event: &HoldEvent, names: &Names) -> String {
    let of = names.integration_name(event.integration());
    match event {
        HoldEvent::RemovalsHeld(held) => {
            let what = match held.cause {
                Cause::Import => "An import",
                Cause::Attachments => "A change of tiers",
                Cause::RemovalPolicy => "A change of what happens when memberships end",
                Cause::Lapses => "The silence about renewals",
            };
            format!(
                "{what} would have taken access from {} of {} fans of {of} at once: that waits for approval.",
                held.losing, held.of
            )
        }
        HoldEvent::RemovalsApproved { .. } => {
            format!("The removals of {of} that waited for approval were approved.")
        }
        HoldEvent::RemovalsRejected { .. } => {
            format!(
                "The removals of {of} that waited for approval were rejected: the access stays."
            )
        }
    }
}

fn refreshed(guild: domain::GuildId, list: &RoleList, names: &Names) -> String {
    let server = names.in_server(guild);
    match list.bot_top() {
        Some(top) => format!(
            "The roles of {server} were read: {} roles, the bot's highest is {}.",
            list.roles().len(),
            top.name
        ),
        None => format!(
            "The roles of {server} were read: {} roles, the bot has none.",
            list.roles().len()
        ),
    }
}

fn guild(event: &GuildEvent, names: &Names) -> String {
    match event {
        GuildEvent::GuildReserved { guild, creator, .. } => {
            format!("{} was reserved for {creator}.", names.in_server(*guild))
        }
        GuildEvent::GuildReleased { guild, creator, .. } => {
            format!("{} is no longer reserved for {creator}.", names.in_server(*guild))
        }
    }
}

fn fan(event: &FanEvent, names: &Names) -> String {
    let fan = event.fan();
    match event {
        FanEvent::FanLinked(link) => format!("{fan} connected {}.", account(&link.account)),
        FanEvent::FanUnlinked(link) => format!("{fan} disconnected {}.", account(&link.account)),
        FanEvent::LinkBroken { reason, .. } => {
            let why = match reason {
                BrokenBy::InvalidGrant | BrokenBy::InvalidToken => "Discord no longer accepts it",
                BrokenBy::RenewalLost => "the answer to its last renewal was lost",
                BrokenBy::MissingScope => "it does not allow joining servers",
                BrokenBy::Deauthorized => "the fan removed the application in Discord",
            };
            format!("The Discord connection of {fan} broke: {why}.")
        }
        FanEvent::IntegrationActivated { integration, .. } => {
            format!("{fan} activated {}.", names.integration_name(*integration))
        }
        FanEvent::IntegrationDeactivated { integration, .. } => {
            format!("{fan} left {}.", names.integration_name(*integration))
        }
        FanEvent::NotificationRead { .. } => format!("{fan} read a notification."),
        FanEvent::ManualGrantGiven(grant) => {
            let until = grant.until.map(|at| format!(" until {}", when(at))).unwrap_or_default();
            let (roles, of) =
                (names.roles(&grant.roles), names.integration_name(grant.integration));
            format!("{} gave {roles} to {fan} by hand in {of}{until}.", grant.creator)
        }
        FanEvent::ManualGrantEnded { integration, .. } => format!(
            "What was given to {fan} by hand in {} ended.",
            names.integration_name(*integration)
        ),
        FanEvent::AccessWithheld { integration, why, .. } => format!(
            "All access of {fan} through {} was withheld: {why}",
            names.integration_name(*integration)
        ),
        FanEvent::WithholdingLifted { integration, .. } => format!(
            "The access of {fan} through {} is no longer withheld.",
            names.integration_name(*integration)
        ),
    }
}

fn access(event: &AccessEvent, names: &Names) -> String {
    let holder = event.holder();
    let (fan, server) = (&holder.fan, names.in_server(holder.guild));
    match event {
        AccessEvent::JoinAttempted(attempt) => format!(
            "The bot set out to bring {fan} into {server} and to give {}.",
            names.roles(&attempt.roles)
        ),
        AccessEvent::RolesAttempted(attempt) => {
            let gives = (!attempt.roles.is_empty())
                .then(|| format!("give {}", names.roles(&attempt.roles)));
            let takes = (!attempt.removes.is_empty())
                .then(|| format!("take {}", names.roles(&attempt.removes)));
            let all: Vec<_> = gives.into_iter().chain(takes).collect();
            if all.is_empty() {
                format!("The bot set out to look after {fan} in {server}.")
            } else {
                format!("The bot set out to {} in {server} for {fan}.", all.join(" and to "))
            }
        }
        AccessEvent::RemovalAttempted(_) => {
            format!("The bot set out to take away what {fan} has in {server}.")
        }
        AccessEvent::AccessGranted(report) => {
            let how = if report.brought_in {
                ", brought in by the Hub"
            } else {
                ", who was there before"
            };
            format!("Discord accepted: {fan} is in {server} with {}{how}.", had(report, names))
        }
        AccessEvent::AccessChanged(report) => {
            format!("Discord accepted: {fan} has {} in {server} now.", had(report, names))
        }
        AccessEvent::AccessRevoked(report) if report.present == Some(false) => {
            format!("Discord accepted: {fan} is no longer in {server}.")
        }
        AccessEvent::AccessRevoked(_) => {
            format!("Discord accepted: {fan} has nothing from the Hub in {server} any more.")
        }
        AccessEvent::AccessBlocked(report) => match report.role {
            Some(role) if !report.desired.roles.contains(&role) => format!(
                "Discord refused to take {} from {fan} in {server}. {}",
                names.roles(&[role]),
                refusal(report)
            ),
            Some(role) => format!(
                "Discord refused to give {} to {fan} in {server}. {}",
                names.roles(&[role]),
                refusal(report)
            ),
            None => format!("Discord refused to let {fan} into {server}. {}", refusal(report)),
        },
        AccessEvent::RevokeBlocked(report) => match report.role {
            Some(role) => format!(
                "Discord refused to take {} from {fan} in {server}. {}",
                names.roles(&[role]),
                refusal(report)
            ),
            None => format!(
                "Discord refused to take away what {fan} has in {server}. {}",
                refusal(report)
            ),
        },
        AccessEvent::DriftObserved { missing, .. } => {
            format!("Somebody else took {} from {fan} in {server}.", names.roles(missing))
        }
        AccessEvent::DriftMended { roles, kept, .. } => {
            let again = names.roles(roles.union(kept));
            format!("Somebody else gave {again} to {fan} in {server} again.")
        }
        AccessEvent::RemovalFoundUndone { roles, .. } if roles.is_empty() => {
            format!("Discord still shows {fan} in {server}, although it had accepted the removal.")
        }
        AccessEvent::RemovalFoundUndone { roles, .. } => format!(
            "Discord still shows {} with {fan} in {server}, although it had accepted the removal.",
            names.roles(roles)
        ),
        AccessEvent::MemberLeft { .. } => format!("{fan} left {server}, or was removed from it."),
        AccessEvent::MemberReturned { .. } => format!("{fan} came back to {server} by themselves."),
        AccessEvent::MemberBanned { .. } => format!("{fan} was banned from {server}."),
    }
}

fn had(report: &Report, names: &Names) -> String {
    names.roles(report.given.union(&report.kept))
}

fn refusal(report: &Report) -> &'static str {
    report.trouble.map_or("", |trouble| trouble.detail())
}
