//! Signing in, and out.

use super::{Phrase, texts};

texts! {
    SignIn {
        title: &'static str = "Continue to the Hub";
        lead_creator: Phrase = Phrase("You are about to open the Integrations Hub as the creator {}.");
        lead_fan: Phrase = Phrase("You are about to open your memberships as {}.");
        lead_auditor: &'static str = "You are about to open the Integrations Hub as an auditor.";
        lead_operator: &'static str = "You are about to open the Integrations Hub as its operator.";
        switch: &'static str = "Somebody else is signed in here";
        switch_lead: Phrase = Phrase("This browser is signed in as {}. Continuing signs them out.");
        go_on: &'static str = "Continue";
        out: &'static str = "You are signed out";
        out_lead: &'static str = "This browser can no longer open these pages. You can close this window.";
        start: &'static str = "Integrations Hub";
        start_lead: Phrase = Phrase("Open the Hub from {}: it knows who you are and signs you in.");
        connected: &'static str = "Discord is connected";
        connected_lead: &'static str = "You can close this page and go on where you came from.";
        without_scope: &'static str = "One permission is missing";
        without_scope_lead: &'static str = "Discord was not allowed to add you to servers, so nobody can bring you in. Connect again, and leave “Join servers for you” allowed.";
        connect_again: &'static str = "Connect Discord again";
        demo_lead: &'static str = "This is a Hub to try things out in, with a Discord of its own. Nothing here reaches the real one.";
        demo_people: &'static str = "Whom do you want to be?";
        demo_platform: &'static str = "Play the platform";
        demo_platform_lead: &'static str = "Sell a membership and you land where its fan lands after the purchase. End it and watch the access go.";
        demo_membership: Phrase = Phrase("{} for {}");
        demo_held: &'static str = "Held";
        demo_buy: &'static str = "Buy";
        demo_end: &'static str = "End it";
        demo_discord: &'static str = "And what happens on Discord";
        demo_sandbox: &'static str = "Open the Discord sandbox";
        demo_sandbox_lead: &'static str = "Put it beside the Hub and watch one change the other.";
        still_in: &'static str = "Signed in here";
    }
}
