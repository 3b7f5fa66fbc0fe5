//! What fans read.

use super::{Phrase, texts};

texts! {
    /// Memberships, with what each gives access to.
    Memberships {
        title: &'static str = "Your memberships";
        lead: &'static str = "What you get with them, and how your access stands.";
        empty: &'static str = "No memberships yet";
        empty_lead: Phrase = Phrase("Once you buy one on {}, it appears here with everything it opens.");
        by: Phrase = Phrase("by {}");
        active: &'static str = "Active";
        paused: &'static str = "Paused";
        canceled: &'static str = "Canceled";
        over: &'static str = "Ended";
        paid_through: &'static str = "Paid through";
        access_until: &'static str = "Access until";
        ended_at: &'static str = "Ended";
        given: &'static str = "Given to you";
        by_hand: &'static str = "By hand";
        nothing: &'static str = "This membership opens no server. There is nothing to connect.";
        nothing_over: &'static str = "It is over, and you have nothing through it.";
        gives: &'static str = "Gives you";
        entry: &'static str = "Access to the server";
        next: &'static str = "Show the next ones";
    }
}

texts! {
    /// The Discord account.
    Account {
        title: &'static str = "Discord account";
        none: &'static str = "No Discord account connected";
        none_lead: &'static str = "Connect it once. Every membership that opens a Discord server then lets you in by itself.";
        connect: &'static str = "Connect Discord";
        connect_again: &'static str = "Connect Discord again";
        since: &'static str = "Connected";
        switch: &'static str = "Switch account";
        disconnect: &'static str = "Disconnect";
        connected_now: &'static str = "Discord is connected.";
        disconnected_now: &'static str = "Discord is disconnected. Your access is being taken away.";

        switch_title: &'static str = "Switch to another Discord account";
        switch_lead: Phrase = Phrase("{} is connected now.");
        switch_first: &'static str = "Sign in to Discord with the other account";
        switch_first_lead: &'static str = "Discord connects whichever account is signed in in this browser. Sign in to the right one there first.";
        switch_then: &'static str = "Connect it here";
        switch_then_lead: &'static str = "The new account gets your access, and the old one loses it. Roles that others gave you on the old account stay there.";
        switch_go: &'static str = "Go on to Discord";

        disconnect_title: &'static str = "Disconnect Discord?";
        disconnect_lead: Phrase = Phrase("{} loses what your memberships gave it:");
        disconnect_nothing: &'static str = "You have no access through it right now, so nothing else changes.";
        disconnect_keep: &'static str = "Your memberships stay as they are. Connect again at any time to get everything back.";
        disconnect_go: &'static str = "Disconnect";
        keep: &'static str = "Keep it connected";

        failed: &'static str = "Discord is not connected";
        failed_lead: &'static str = "Something went wrong on the way, and nothing was changed. Try again.";
        denied: &'static str = "You did not allow it in Discord, so nothing was connected. Connect again whenever you like.";
        taken: &'static str = "This Discord account is connected by another member of the platform, so you cannot use it here. Sign in to Discord with your own account and connect again. If this is your only account, ask the support.";
        unavailable: &'static str = "Discord did not answer. Wait a moment and connect again.";
        refused: &'static str = "Discord refused. Try again; if it stays, tell the support.";
    }
}

texts! {
    /// The screen after a purchase.
    Welcome {
        title: Phrase = Phrase("Welcome to {}");
        lead: Phrase = Phrase("Thank you for supporting {}.");
        confirming: &'static str = "Your purchase is being confirmed";
        confirming_lead: &'static str = "This usually takes a few seconds, and this page goes on by itself.";
        check: &'static str = "Check again";
        connect_title: &'static str = "One step to get in";
        connect_lead: &'static str = "Connect your Discord account. You are then brought into the server with your roles, by itself.";
        allow: &'static str = "Discord asks you to allow two things";
        see: &'static str = "See who you are";
        see_why: &'static str = "your name and picture, so that the right account gets in";
        join: &'static str = "Join servers for you";
        join_why: &'static str = "the servers of your memberships, and no others";
        not: &'static str = "Your messages cannot be read, and nothing is posted in your name.";
        waiting_title: &'static str = "You are being brought in";
        waiting_lead: &'static str = "This takes a few seconds, and this page goes on by itself.";
        done_title: &'static str = "You are in";
        done_lead: &'static str = "Your roles are waiting for you. If the server is new to you, Discord may ask you to accept its rules first.";
        look_title: &'static str = "Almost there";
        look_lead: &'static str = "Something needs a moment of your attention.";
        blocked_title: &'static str = "The creator has something to fix";
        blocked_lead: &'static str = "You have done your part, and this page goes on by itself.";
        all: &'static str = "See all your memberships";
    }
}

texts! {
    /// How a fan stands in an integration, and what they can do.
    Standing {
        available: &'static str = "Not in yet";
        not_linked: &'static str = "Discord not connected";
        not_activated: &'static str = "Not activated yet";
        pending: &'static str = "In progress";
        connected: &'static str = "Connected";
        action_required: &'static str = "Needs you";
        blocked: &'static str = "Waiting for the creator";
        withheld: &'static str = "On hold";
        revoking: &'static str = "Ending";
        revoked: &'static str = "Ended";

        activate: &'static str = "Activate";
        restore: &'static str = "Restore access";
        open: &'static str = "Open in Discord";
        leave: &'static str = "Leave";
        support: &'static str = "Ask for help";
        for_server: Phrase = Phrase("for {}");
        activated: &'static str = "Activated. You are being brought in.";
        left: &'static str = "You have left. Your access is being taken away.";

        leave_title: Phrase = Phrase("Leave {}?");
        leave_lead: &'static str = "Your access there is taken away. Your membership stays, and you can activate this again at any time while it lasts.";
        leave_go: &'static str = "Leave";
        stay: &'static str = "Stay";
    }
}

texts! {
    /// What can be the matter, in a fan's words: what it is, and what happens now.
    Troubles {
        not_linked: &'static str = "Connect your Discord account to get in.";
        not_activated: &'static str = "There is a place for you. Activate it to get in.";
        link_broken: &'static str = "Discord no longer lets us use the connection to your account. Connect it again to get in.";
        renewal_lost: &'static str = "We lost Discord's answer when we renewed the connection to your account. Connect it again to get in.";
        missing_scope: &'static str = "Discord was not allowed to add you to servers. Connect again and leave “Join servers for you” allowed.";
        left_server: &'static str = "You left this server, or were removed from it. Restore your access to be brought in again.";
        server_limit: &'static str = "Your Discord account is in as many servers as Discord allows. Leave one in Discord, then restore your access here.";
        joining_limited: &'static str = "Discord limits how many servers your account may join for now. Wait some hours, then restore your access here.";
        unverified: &'static str = "Discord wants your account to be verified first. Verify its e-mail address or phone in Discord, then restore your access here.";
        account_gone: &'static str = "Your Discord account does not exist any more. Connect another one.";
        banned: &'static str = "Your Discord account is banned from this server. Only the people who run it can lift that.";
        full: &'static str = "The server is full. The creator sees this and has to make room; you get in by itself then.";
        withheld: &'static str = "The creator has put your access on hold. Ask them if you do not know why.";
        creator: &'static str = "The server is not set up to let you in right now. The creator sees this and has to fix it; you get in by itself then. You have nothing to do.";
        creator_in: &'static str = "You are in. The creator has to fix your role; you get it by itself then. You have nothing to do.";
        kept: &'static str = "Your membership does not give you this any more. You keep it for now.";
        operator: &'static str = "Something is wrong on our side and is being looked after. You get in by itself once it is fixed.";
        ending: &'static str = "Your access is being taken away.";
    }
}

texts! {
    /// Notifications.
    Notifications {
        title: &'static str = "Notifications";
        lead: &'static str = "What is new with your memberships.";
        empty: &'static str = "Nothing new";
        empty_lead: &'static str = "When a membership opens another server, or something needs you, it is told here.";
        available: &'static str = "Your membership opens one more server";
        available_lead: Phrase = Phrase("{} is waiting for you.");
        action: &'static str = "Something needs you";
        read: &'static str = "Mark as read";
        new: &'static str = "New";
        resolved: &'static str = "Solved";
        see: &'static str = "See your memberships";
        older: &'static str = "Show older ones";
    }
}
