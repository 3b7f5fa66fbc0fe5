//! What operators read.

use super::{Count, Phrase, texts};

texts! {
    /// The status page.
    Operator {
        title: &'static str = "Status";
        lead: &'static str = "How this Hub is doing right now. The page looks again every few seconds.";
        health: &'static str = "Health";
        ready: &'static str = "Ready";
        not_ready: &'static str = "Not ready";
        log_fine: &'static str = "The log takes events";
        log_last: &'static str = "Last event";
        log_none: &'static str = "No event yet";
        views_fine: &'static str = "The views have seen everything";
        views_behind: Count = Count { one: "A view is 1 event behind the log", many: "A view is {} events behind the log" };
        bot_fine: Count = Count { one: "The bot holds 1 shard", many: "The bot holds {} shards" };
        bot_part: Phrase = Phrase("Nobody holds {} of the shards");
        events: &'static str = "events in the log";
        open: &'static str = "commands in work";
        waiting: &'static str = "commands waiting for somebody";
        lag: &'static str = "events behind, at most";
        views: &'static str = "Views";
        views_lead: &'static str = "Every view is built from the log and can be built anew with hub views rebuild.";
        view: &'static str = "View";
        version: &'static str = "Version";
        position: &'static str = "Position";
        behind: &'static str = "Behind";
        bots: &'static str = "Shards and leases";
        bots_lead: &'static str = "A shard's commands are executed by the one who holds its lease. A report under an older epoch is refused.";
        shard: &'static str = "Shard";
        holder: &'static str = "Holder";
        epoch: &'static str = "Epoch";
        until: &'static str = "Until";
        of: Phrase = Phrase("of {}");
        no_bots: &'static str = "Nobody holds a shard";
        no_bots_lead: &'static str = "Nothing is done on Discord until a bot runs. Start the Hub with its bot, or a process of its own with hub bot.";
        queue: &'static str = "Commands";
        queue_lead: &'static str = "What is left to do on Discord. What waits for somebody is tried again by itself when its cause is mended, and once an hour.";
        none_open: &'static str = "Nothing is left to do";
        none_open_lead: &'static str = "Everybody has what they should have, as far as Discord lets them.";
        cause: &'static str = "Why";
        who: &'static str = "Who can mend it";
        count: &'static str = "Commands";
        oldest: &'static str = "Oldest";
        in_work: &'static str = "In work";
        nobody: &'static str = "nobody needs to";
        by_fan: &'static str = "the fan";
        by_creator: &'static str = "the creator";
        by_operator: &'static str = "you";
        calls: &'static str = "Calls to Discord";
        calls_lead: &'static str = "What Discord allows to the bot's token is divided among its processes, and follows the work.";
        process: &'static str = "Process";
        share: &'static str = "May call, a second";
        wants: &'static str = "Could use now";
        of_all: Phrase = Phrase("of {} for all together");
        no_shares: &'static str = "No process has asked for calls";
        refused: Count = Count { one: "1 call refused in ten minutes", many: "{} calls refused in ten minutes" };
        refused_most: Phrase = Phrase("At {} the Hub stops calling by itself, well before Discord blocks its address.");
        more: &'static str = "For machines";
        metrics: &'static str = "Metrics for Prometheus";
        readyz: &'static str = "Readiness";
        api: &'static str = "The API";
        version_of: Phrase = Phrase("Version {}");
    }
}
