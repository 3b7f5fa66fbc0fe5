//! What creators read where an integration is looked after.

use super::super::{Count, Phrase, texts};

texts! {
    /// An integration at a glance.
    Overview {
        set_up: &'static str = "You are all set";
        set_up_lead: &'static str = "Fans who hold these memberships already are told, and get in once they connect Discord or activate it. Whoever buys from now on gets in by connecting Discord. You can watch it here.";
        unfinished: &'static str = "The set-up is not finished";
        unfinished_lead: &'static str = "Connect your Discord to go on where you stopped. It takes about a minute.";
        disconnected: &'static str = "The server is disconnected";
        disconnected_lead: &'static str = "Nobody gets access through this integration. Connect a server to start again; the name and policies are kept.";
        no_memberships: &'static str = "One step is left";
        no_memberships_lead: &'static str = "Discord is connected. Choose which memberships give access, and fans come in by themselves.";
        removing: &'static str = "Access is being taken away";
        removing_left: Count = Count { one: "1 fan is left. The server is released once everybody is done.", many: "{} fans are left. The server is released once everybody is done." };
        removing_last: &'static str = "Nobody is left; the server is released in a moment.";
        removing_started: &'static str = "Access is being taken away";
        fans: &'static str = "Fans";
        connected: &'static str = "connected";
        pending: &'static str = "in progress";
        action_required: &'static str = "wait for the fan";
        blocked: &'static str = "need you";
        kept_out: &'static str = "kept out";
        leaving: &'static str = "being removed";
        held: &'static str = "wait for your approval";
        available: &'static str = "not in yet";
        connect_again: &'static str = "Connect Discord again";
        see_fans: &'static str = "See these fans";
        see_roles: &'static str = "See the roles";
        see_held: &'static str = "Review the removal";
        gives: &'static str = "What memberships give";
        gives_nothing: &'static str = "No membership gives access now. Whoever is still here keeps it only until it is taken away, or because you chose so.";
        edit: &'static str = "Change";
        in_step: &'static str = "In step with Discord";
        in_step_lead: &'static str = "Changes are noticed by themselves. If something looks wrong, compare everything now.";
        sync: &'static str = "Sync now";
        sync_started: &'static str = "Comparing with Discord";
        comparing: Phrase = Phrase("Looked at {} of {} fans");
        compared: &'static str = "Compared";
        health: &'static str = "Run a health check";
    }
}

texts! {
    Fans {
        filter: &'static str = "Show fans who are";
        all: &'static str = "All";
        search: &'static str = "Find a fan by id";
        search_go: &'static str = "Find";
        fan: &'static str = "Fan";
        discord: &'static str = "Discord";
        no_discord: &'static str = "Not connected";
        roles: &'static str = "Roles they have";
        no_roles: &'static str = "None";
        status: &'static str = "Status";
        none: &'static str = "No fans yet";
        none_lead: &'static str = "As soon as somebody holds a membership of this integration, they are listed here with how they stand.";
        none_so: &'static str = "Nobody here";
        none_so_lead: &'static str = "No fan stands like this at the moment.";
        the_fan: &'static str = "The fan can mend it:";
        show_all: &'static str = "Show all fans";
        more: &'static str = "Show the next ones";
    }
}

texts! {
    /// One fan.
    Fan {
        nothing: &'static str = "No access through this integration";
        nothing_lead: &'static str = "No fan with this id holds a membership that it gives access for. You can give roles by hand.";
        stands: &'static str = "On Discord";
        in_server: &'static str = "In the server";
        yes: &'static str = "Yes";
        no: &'static str = "No";
        unknown: &'static str = "Discord has not told yet";
        has: &'static str = "Has from the Hub";
        should: &'static str = "Should have";
        no_access: &'static str = "No access";
        active: &'static str = "Active";
        canceled: &'static str = "Canceled";
        paused: &'static str = "Paused";
        expired: &'static str = "Expired";
        refunded: &'static str = "Refunded";
        charged_back: &'static str = "Charged back";
        history: &'static str = "What happened";
        until_day: &'static str = "until";
        by_hand: &'static str = "Give roles by hand";
        by_hand_lead: &'static str = "A reason of its own beside memberships: for a guest, a helper, a winner.";
        roles_to_give: &'static str = "Roles to give";
        nothing_ticked: &'static str = "Tick at least one role, or “Server access, no role”.";
        given_now: &'static str = "You give roles by hand now.";
        given_bare: &'static str = "You give access to the server by hand now, without a role.";
        given_until: &'static str = "It ends by itself on";
        until: &'static str = "Until the end of (optional)";
        until_hint: &'static str = "Without a day, it lasts until you take it back.";
        no_day: &'static str = "Choose a day in the future, or leave it empty.";
        give: &'static str = "Give these roles";
        give_change: &'static str = "Save";
        take: &'static str = "Take back";
        withhold: &'static str = "Withhold access";
        withhold_lead: &'static str = "Whatever the fan holds, this integration gives them nothing until you lift it.";
        withheld_now: &'static str = "You withhold this fan's access.";
        why: &'static str = "Why";
        why_hint: &'static str = "For your own memory and for audits. The fan does not see it.";
        why_fault: &'static str = "Write why, in 1 to 500 characters.";
        withhold_go: &'static str = "Withhold access";
        lift: &'static str = "Lift the withholding";
        done_given: &'static str = "The roles are being given";
        done_let_in: &'static str = "The access to the server is being given";
        done_taken: &'static str = "What was given by hand is taken back";
        done_withheld: &'static str = "The access is being taken away";
        done_lifted: &'static str = "The withholding is lifted";
    }
}

texts! {
    /// The doctor.
    Health {
        title: &'static str = "Health check";
        lead: &'static str = "What the Hub sees on Discord right now.";
        again: &'static str = "Check again";
        all_well: &'static str = "Everything is well";
        all_well_lead: &'static str = "Nothing stands between your memberships and your server.";
        not_well: &'static str = "Something needs attention";
        not_well_lead: &'static str = "Each point says who can mend it, and how.";
        connected: &'static str = "A Discord server is connected";
        not_connected: &'static str = "No Discord server is connected";
        discord: &'static str = "Discord answers";
        no_discord: &'static str = "Discord does not answer as it should";
        bot: &'static str = "The bot is in the server";
        no_bot: &'static str = "The bot cannot work in the server";
        permissions: &'static str = "The bot has the permissions that it needs";
        no_permissions: &'static str = "The bot lacks permissions";
        two_factor: &'static str = "The bot may moderate here";
        no_two_factor: &'static str = "The server wants two-factor authentication from the bot's owner";
        gateway: &'static str = "The bot hears what others change";
        no_gateway: &'static str = "The bot does not hear of everything at once";
        waiting: Count = Count { one: "1 fan waits because of it.", many: "{} fans wait because of it." };
        roles: &'static str = "Every role that memberships give can be given";
        no_roles: &'static str = "Some roles cannot be given";
        fans: &'static str = "No fan waits for you";
        no_fans: &'static str = "Some fans wait for you";
        you: &'static str = "You can mend it:";
        the_fan: &'static str = "The fan can mend it:";
        the_operator: &'static str = "The support can mend it:";
    }
}

texts! {
    Settings {
        saved: &'static str = "Saved";
        moved: &'static str = "The integration has changed meanwhile";
        moved_lead: &'static str = "Somebody changed it in another tab or over the API. What you chose is still here: look at it and save again.";
        name_hint: &'static str = "Fans see it next to their membership.";
        on_end: &'static str = "When a fan's membership ends";
        remove: &'static str = "Take the roles and remove from the server";
        remove_lead: &'static str = "Only fans whom the Hub brought in are removed. Who was there before loses the roles alone.";
        roles_only: &'static str = "Take the roles only";
        roles_only_lead: &'static str = "Everybody stays in the server.";
        drift: &'static str = "When somebody takes a role away in Discord";
        repair: &'static str = "Give it again";
        repair_lead: &'static str = "A member who was removed from the server is never brought back against a moderator's will.";
        report: &'static str = "Tell me";
        report_lead: &'static str = "The fan is shown as needing you, and you decide.";
        respect: &'static str = "Leave it";
        respect_lead: &'static str = "The moderator's word counts.";
        limit: &'static str = "Ask me before many fans lose access at once";
        limit_hint: &'static str = "An empty list from your platform or a wrong click should not empty your server. More than this waits for your approval; a share of 100 % sets none.";
        limit_fans: &'static str = "More than";
        limit_percent: &'static str = "fans, or more than";
        limit_fault: &'static str = "Give a number of fans, and a share of 0 to 100.";
        save: &'static str = "Save changes";
        leave: &'static str = "Leave";
        disconnect: &'static str = "Disconnect the server";
        disconnect_lead: &'static str = "Takes the access away that was given, and frees the server. You can connect again later.";
        disconnect_go: &'static str = "Disconnect…";
        delete: &'static str = "Delete the integration";
        delete_lead: &'static str = "Takes the access away first. It cannot be undone.";
        delete_go: &'static str = "Delete…";
    }
}

texts! {
    /// Disconnecting and deleting.
    Leave {
        disconnect: Phrase = Phrase("Disconnect {} from its server?");
        disconnect_lead: &'static str = "Fans lose the access that this integration gave them.";
        disconnect_go: &'static str = "Disconnect server";
        delete: Phrase = Phrase("Delete {}?");
        delete_lead: &'static str = "The integration goes, and with it the access that it gave. It cannot be undone.";
        delete_go: &'static str = "Delete integration";
        under_way: Count = Count { one: "Access is being taken away already; 1 fan is left.", many: "Access is being taken away already; {} fans are left." };
        next: &'static str = "What happens then";
        first: &'static str = "Roles that the Hub gave are taken away. Fans whom it brought in are removed from the server, unless the settings keep them.";
        reserved: &'static str = "The server stays yours until Discord has confirmed all of it; then anybody who runs it can connect it again.";
        paid: &'static str = "Memberships themselves go on: nobody stops paying because of this.";
        force: &'static str = "Discord does not let you finish?";
        force_lead: &'static str = "If the bot was thrown out or lacks permissions, taking access away cannot be confirmed. You can let go of the server at once.";
        force_go: &'static str = "Let go at once and leave the rest behind";
        left_behind: Count = Count { one: "1 fan keeps what they have in Discord.", many: "{} fans keep what they have in Discord." };
        keep: &'static str = "Keep it";
    }
}

texts! {
    Activity {
        nothing: &'static str = "Nothing has happened yet.";
        older: &'static str = "Show what came before";
    }
}

texts! {
    /// Mass removals that wait for the creator.
    Approvals {
        title: &'static str = "Approvals";
        lead: &'static str = "When very many fans would lose access at once, the Hub asks you first. Until you decide, everybody keeps what they have.";
        fans: Count = Count { one: "1 fan", many: "{} fans" };
        title_of: Phrase = Phrase("{} would lose access in {}");
        deleted: &'static str = "a deleted integration";
        waiting: &'static str = "Waits for you";
        approved: &'static str = "Approved";
        rejected: &'static str = "Rejected";
        resolved: &'static str = "Resolved";
        import: &'static str = "Your platform reported at once that many memberships have ended.";
        attachments: &'static str = "What memberships give was changed.";
        removal_policy: &'static str = "Fans whose membership is over are now to be removed from the server.";
        lapses: &'static str = "Many paid periods ran out together, without word of a renewal.";
        nothing: &'static str = "Nothing waits for you";
        decided: &'static str = "Decided";
        opened: &'static str = "Since";
        by: &'static str = "Caused by";
        you: &'static str = "you";
        hub: &'static str = "the Hub, by itself";
        share: Phrase = Phrase("{} of {} fans who had access");
        share_label: &'static str = "How many";
        limit: &'static str = "Your limit";
        limit_of: Phrase = Phrase("{}, or {} %");
        decided_at: &'static str = "Decided";
        decided_by: &'static str = "by";
        what: &'static str = "What approving takes away";
        who: &'static str = "Whom it concerns";
        server: &'static str = "and the server";
        approve: &'static str = "Approve the removal";
        approve_lead: &'static str = "The access is taken away from everybody in this list.";
        reject: &'static str = "Reject: everybody keeps their access";
        reject_lead: &'static str = "It stays until the platform reports their membership again, or you change the memberships again.";
        done_approved: &'static str = "Approved: the access is being taken away";
        done_rejected: &'static str = "Rejected: everybody keeps their access";
        done_decided: &'static str = "This was decided already";
        nobody: &'static str = "Nobody is left in it.";
    }
}
