//! What creators read.

use super::{Count, Phrase, texts};

texts! {
    /// The Active Integrations table.
    Table {
        title: &'static str = "Integrations";
        lead: &'static str = "Connect your community to your memberships. Fans get in when they join and leave when their membership ends, without you lifting a finger.";
        add: &'static str = "Add integration";
        caption: &'static str = "Active integrations";
        name: &'static str = "Name";
        server: &'static str = "Server";
        tiers: &'static str = "Memberships";
        fans: &'static str = "Fans";
        status: &'static str = "Status";
        next: &'static str = "Next step";
        discord: &'static str = "Discord";
        no_server: &'static str = "No server yet";
        no_tiers: &'static str = "None yet";
        more: Phrase = Phrase("+{} more");
        connected: Count = Count { one: "1 connected", many: "{} connected" };
        pending: Count = Count { one: "1 pending", many: "{} pending" };
        attention: Count = Count { one: "1 needs attention", many: "{} need attention" };
        nobody: &'static str = "No fans yet";
        continue_setup: &'static str = "Continue set-up";
        add_memberships: &'static str = "Add memberships";
        fix: &'static str = "See what to fix";
        connect_again: &'static str = "Connect again";
        for_integration: Phrase = Phrase("for {}");
        empty: &'static str = "Bring your fans into your Discord";
        empty_lead: &'static str = "Connect a server once. Everybody who buys a membership is brought in with the right roles, and the access ends by itself when the membership does.";
        empty_add: &'static str = "Add your first integration";
        empty_time: &'static str = "Takes about two minutes";
        older: &'static str = "Show the next ones";
    }
}

texts! {
    /// How integrations and fans stand.
    Statuses {
        not_connected: &'static str = "Not Connected";
        connected: &'static str = "Connected";
        active: &'static str = "Active";
        needs_attention: &'static str = "Needs attention";
        removing: &'static str = "Removing";
        disconnected: &'static str = "Disconnected";
        fan_available: &'static str = "Not connected yet";
        fan_pending: &'static str = "In progress";
        fan_connected: &'static str = "Connected";
        fan_action_required: &'static str = "Waiting for the fan";
        fan_blocked: &'static str = "Needs you";
        fan_revoking: &'static str = "Removing";
        fan_revoke_blocked: &'static str = "Removal needs you";
        fan_revoked: &'static str = "Ended";
    }
}

texts! {
    /// Add Integration: the way to a working integration.
    Add {
        title: &'static str = "Add integration";
        lead: &'static str = "Choose where your fans get access.";
        discord: &'static str = "Discord";
        discord_lead: &'static str = "Brings fans into your server and gives them the roles of their membership.";
        steps: &'static str = "Steps of the set-up";
        step_name: &'static str = "Name";
        step_connect: &'static str = "Connect Discord";
        step_roles: &'static str = "Roles";
        step_memberships: &'static str = "Memberships";
        name_title: &'static str = "Name the integration";
        name_lead: &'static str = "Fans see this name next to their membership, so call it what they call your server.";
        name_label: &'static str = "Name";
        name_hint: &'static str = "You can change it at any time.";
        name_fault: &'static str = "Give it a name of 1 to 128 characters that can be seen.";
        name_go: &'static str = "Continue";
        cancel: &'static str = "Cancel";
    }
}

texts! {
    /// Connect your Discord.
    Connect {
        title: &'static str = "Connect your Discord";
        lead: Phrase = Phrase("Choose the server in which {} gives access. You need to be its owner, or have Manage Server in it.");
        what: &'static str = "What happens next";
        choose: &'static str = "Choose your server";
        choose_lead: &'static str = "Discord opens and asks to which of your servers the bot is added.";
        allow: &'static str = "Allow three permissions";
        allow_lead: &'static str = "The bot cannot read messages. It needs only:";
        manage_roles: &'static str = "Manage Roles";
        manage_roles_why: &'static str = "to give fans the roles of their membership";
        kick_members: &'static str = "Kick Members";
        kick_members_why: &'static str = "to take out fans whom it brought in, once their membership ends";
        create_invite: &'static str = "Create Invite";
        create_invite_why: &'static str = "which Discord wants in order to bring fans in";
        back: &'static str = "Come back here";
        back_lead: &'static str = "Discord leads you back to set up roles. If you stop, you go on from the table at any time.";
        go: &'static str = "Connect your Discord";
        later: &'static str = "Do this later";
        failed: &'static str = "Discord is not connected";
        failed_lead: &'static str = "Something went wrong on the way. Nothing was changed: try again.";
        denied: &'static str = "You did not allow the bot, so nothing was connected. Try again whenever you like.";
        taken: &'static str = "Another creator has connected this server. Choose another one, or ask the support if the server is yours.";
        elsewhere: &'static str = "This integration is connected to another server. Disconnect that one first.";
        unavailable: &'static str = "Discord did not answer. Wait a moment and try again.";
        refused: &'static str = "Discord refused. Try again; if it stays, tell the support.";
        removing: &'static str = "The integration is being disconnected";
        removing_lead: &'static str = "Fans' access is being taken away. Once that is done, you can connect again.";
    }
}
