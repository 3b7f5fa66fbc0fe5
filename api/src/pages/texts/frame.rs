//! What stands around every page, and what pages say when something went wrong.

use super::{Phrase, texts};

texts! {
    Frame {
        product: &'static str = "Integrations Hub";
        skip: &'static str = "Skip to content";
        nav: &'static str = "Main";
        crumbs: &'static str = "Where you are";
        account: &'static str = "Account";
        creator: &'static str = "Creator";
        fan: &'static str = "Fan";
        auditor: &'static str = "Auditor";
        operator: &'static str = "Operator";
        integrations: &'static str = "Integrations";
        memberships: &'static str = "Memberships";
        notifications: &'static str = "Notifications";
        approvals: &'static str = "Approvals";
        new: &'static str = "new";
        signed_in_as: Phrase = Phrase("Signed in as {}");
        back: Phrase = Phrase("Back to {}");
        sign_out: &'static str = "Sign out";
        help: &'static str = "Need a hand?";
        help_page: Phrase = Phrase("{} support");
        help_none: Phrase = Phrase("Ask the support of {}.");
        your_platform: &'static str = "your platform";
        offline: &'static str = "The connection to the Hub is lost. This page shows the last known state and is trying to reconnect.";
        unsent: &'static str = "The Hub cannot be reached, so nothing was sent. What you entered is still here: try again in a moment.";
        ended: &'static str = "You are signed out, so this page no longer updates. Open the Hub again to go on.";
    }
}

texts! {
    Errors {
        not_found: &'static str = "There is nothing here";
        not_found_lead: &'static str = "The page was removed, never existed, or belongs to somebody else. Check the address, or go back to where you came from.";
        ended: &'static str = "Your session has ended";
        ended_lead: Phrase = Phrase("For your safety you are signed out after a while. Open the Hub from {} again to go on.");
        nobody: &'static str = "You are not signed in";
        nobody_lead: Phrase = Phrase("This page opens from {}, which knows who you are. Go there and open the Hub again.");
        somebody_else: Phrase = Phrase("You are signed in as {}");
        somebody_else_lead: Phrase = Phrase("This page is for {}. If you are one of them, open it from {}.");
        a_creator: &'static str = "a creator";
        creators: &'static str = "creators";
        a_fan: &'static str = "a fan";
        fans: &'static str = "fans";
        an_auditor: &'static str = "an auditor";
        auditors: &'static str = "auditors";
        an_operator: &'static str = "an operator";
        operators: &'static str = "operators";
        stale: &'static str = "This form is from an earlier sign-in";
        stale_lead: &'static str = "You have signed in again since the page was opened. Nothing has been changed yet: look at what you entered and send it again.";
        cross_site: &'static str = "This did not come from the Hub";
        cross_site_lead: &'static str = "Another site tried to send a form in your name, so nothing was done. If you meant to do this, open the page in the Hub and try there.";
        link_used: &'static str = "This sign-in link has been used or is too old";
        link_used_lead: Phrase = Phrase("A link works once and for five minutes. Open the Hub from {} again to get a fresh one.");
        link_used_in: &'static str = "A link works once and for five minutes. This browser is signed in already, so you can simply go on.";
        way_back: &'static str = "This way back from Discord cannot be used";
        way_back_lead: &'static str = "It was used before, is older than ten minutes, or was started in another browser. Nothing was changed. Go back to the Hub and start again.";
        failed: &'static str = "That did not work";
        broken: &'static str = "Something went wrong in the Hub";
        broken_lead: &'static str = "It is not your doing, and nothing you entered was changed. Try again; if it stays, tell the support what you were doing.";
        later: &'static str = "The Hub cannot answer right now";
        later_lead: &'static str = "This usually passes within seconds. Nothing is lost: try again.";
        kept: &'static str = "What you entered is kept";
        kept_choice: &'static str = "What you chose is kept";
        kept_lead: &'static str = "Nothing has been sent to Discord and nothing is lost. Sign in again in another tab, then send it from here.";
        send_again: &'static str = "Send again";
        try_again: &'static str = "Try again";
        go_on: &'static str = "Go on";
        go_home: &'static str = "Go to the start";
        code: &'static str = "Code";
    }
}
