//! What auditors read. The sentences about events are in `audit/words.rs`, as the API and the command line say them too.

use super::{Count, Phrase, texts};

texts! {
    /// What all of the auditor's pages share.
    Audit {
        log: &'static str = "Log";
        access: &'static str = "Access over time";
        explain: &'static str = "Explain";
        utc: &'static str = "All times are UTC.";
        fan: &'static str = "Fan";
        creator: &'static str = "Creator";
        integration: &'static str = "Integration";
        any: &'static str = "Any";
        time: &'static str = "Time (UTC)";
        fault_fan: &'static str = "A fan's id has 1 to 128 characters of A-Z a-z 0-9 . _ : @ -";
        fault_creator: &'static str = "A creator's id has 1 to 128 characters of A-Z a-z 0-9 . _ : @ -";
        fault_integration: &'static str = "Choose an integration of the list, or give its id.";
        fault_time: &'static str = "Write a time as 2026-01-31T12:00:00.";
        fault_needed: &'static str = "This is needed to find an answer.";
        available: &'static str = "No access yet";
        pending: &'static str = "On its way";
        connected: &'static str = "Has access";
        action_required: &'static str = "Waits for the fan";
        blocked: &'static str = "Blocked";
        revoking: &'static str = "Being removed";
        revoke_blocked: &'static str = "Removal blocked";
        revoked: &'static str = "Ended";
        actor_platform: &'static str = "the platform";
        actor_hub: &'static str = "the Hub";
        actor_auditor: &'static str = "an auditor";
        actor_bot: Phrase = Phrase("the bot {}");
        actor_creator: Phrase = Phrase("the creator {}");
        actor_fan: Phrase = Phrase("the fan {}");
    }
}

texts! {
    /// The log.
    Log {
        title: &'static str = "Log";
        lead: &'static str = "Everything that ever happened, as it was recorded. Nothing in here is changed or taken out.";
        filters: &'static str = "Filters";
        kind: &'static str = "What happened";
        any_kind: &'static str = "Anything";
        from: &'static str = "From (UTC)";
        to: &'static str = "Until (UTC)";
        show: &'static str = "Show";
        clear: &'static str = "Clear filters";
        caption: &'static str = "Events, newest first";
        when: &'static str = "When";
        what: &'static str = "What happened";
        who: &'static str = "By";
        older: &'static str = "Older";
        newer: &'static str = "Newer";
        none: &'static str = "Nothing happened";
        none_lead: &'static str = "No event fits these filters. Leave some out, or look at a longer time.";
        empty: &'static str = "The log is empty";
        empty_lead: &'static str = "What happens from now on is recorded here, step by step.";
    }
}

texts! {
    /// One event.
    OneEvent {
        title: Phrase = Phrase("Event {}");
        position: &'static str = "Position in the log";
        kind: &'static str = "Type";
        at: &'static str = "When";
        by: &'static str = "By";
        stream: &'static str = "Stream";
        version: Phrase = Phrase("event {} of this stream");
        id: &'static str = "Id";
        correlation: &'static str = "Request";
        correlation_hint: &'static str = "Whatever followed from the same request carries the same id.";
        data: &'static str = "As recorded";
        data_lead: &'static str = "Personal data is sealed in the log, and opened here for you.";
        before: &'static str = "Event before";
        after: &'static str = "Event after";
        fan_access: Phrase = Phrase("Access of {} over time");
        integration_access: &'static str = "Access through this integration";
        explain: &'static str = "Explain it";
        fan_events: Phrase = Phrase("All events of {}");
    }
}

texts! {
    /// Access over time.
    Travel {
        title: &'static str = "Access over time";
        lead: &'static str = "Go back to any moment and see who had which roles then, as Discord had accepted it.";
        ask: &'static str = "Whose access?";
        go: &'static str = "Show";
        all: &'static str = "Integrations";
        all_lead: &'static str = "Pick one to see how many had access through it, and who.";
        more: &'static str = "Show the next ones";
        no_integrations: &'static str = "No integration yet";
        no_integrations_lead: &'static str = "As soon as a creator adds one, what it gives to whom can be followed here.";
        of_fan: Phrase = Phrase("Access of {}");
        of_fan_lead: &'static str = "What they paid for, what they should have had, and what they had.";
        of_integration: Phrase = Phrase("Access through {}");
        of_integration_lead: &'static str = "How many had something from the Hub in its server, and who.";
        picture: &'static str = "The picture";
        legend_paid: &'static str = "Paid for";
        legend_wanted: &'static str = "Should have";
        legend_had: &'static str = "Had, as Discord accepted it";
        legend_way: &'static str = "On its way";
        legend_refused: &'static str = "Refused";
        legend_open: &'static str = "On the way, or refused";
        warped: &'static str = "Short moments are drawn longer than they were, so that none is lost.";
        lane_present: &'static str = "In the server";
        lane_people: &'static str = "People with access";
        lane_connected: &'static str = "Connected";
        slider: &'static str = "The moment that is looked at";
        moment: &'static str = "At this moment";
        show: &'static str = "Go there";
        before: &'static str = "Change before";
        after: &'static str = "Change after";
        now: &'static str = "Now";
        nothing_then: &'static str = "Nothing yet";
        nothing_then_lead: &'static str = "Nothing gave access at this moment.";
        nobody_then: &'static str = "Nobody";
        nobody_then_lead: &'static str = "Nobody had anything from the Hub through this integration at this moment.";
        unknown: Phrase = Phrase("The log names no fan {}");
        unknown_lead: &'static str = "Check the id: it is the one that your platform uses.";
        people: Count = Count { one: "1 person", many: "{} people" };
        most: Count = Count { one: "1 at most", many: "{} at most" };
        roles: &'static str = "Roles";
        discord: &'static str = "Discord account";
        state: &'static str = "How it is known";
        since: &'static str = "Since";
        erased: &'static str = "erased";
        sealed: &'static str = "sealed";
        none: &'static str = "none";
        accepted: &'static str = "Accepted by Discord";
        attempted: &'static str = "On its way";
        refused: &'static str = "Refused by Discord";
        observed: &'static str = "Seen on Discord";
        had: &'static str = "Had";
        should: &'static str = "Should have had";
        outside: &'static str = "not in the server";
        inside: &'static str = "in the server";
        inside_brought: &'static str = "in the server, brought in by the Hub";
        inside_unknown: &'static str = "Discord had not told yet";
        why: &'static str = "Why?";
        why_of: Phrase = Phrase("Why {} had this");
        changes: &'static str = "Every change";
        change_when: &'static str = "When";
        change_what: &'static str = "What happened";
        change_status: &'static str = "Since then";
        not_concerned: &'static str = "nothing to do with them";
    }
}

texts! {
    /// Why somebody had what they had.
    Explain {
        title: &'static str = "Explain";
        lead: &'static str = "Why somebody had access at a moment, or had none: from the purchase to Discord's answer.";
        in_integration: Phrase = Phrase("in {}");
        go: &'static str = "Explain";
        fix: &'static str = "What helps:";
        chain: &'static str = "How it came about";
        left_out: Count = Count { one: "One earlier step is not shown; the log has it.", many: "{} earlier steps are not shown; the log has them." };
        no_steps: &'static str = "Nothing had happened by then";
        no_steps_lead: &'static str = "The log tells nothing about this fan and this integration up to this moment.";
        answered: Phrase = Phrase("Discord answered {}");
        event: Phrase = Phrase("Event {}");
        because: Phrase = Phrase("because of event {}");
        over_time: &'static str = "See it over time";
        integration: &'static str = "Integration";
        membership: &'static str = "Membership";
        link: &'static str = "Discord account";
        choice: &'static str = "By hand";
        decision: &'static str = "Decision";
        command: &'static str = "The bot";
        answer: &'static str = "Discord's answer";
        observation: &'static str = "Seen on Discord";
    }
}
