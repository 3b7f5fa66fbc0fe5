//! What creators read: the table, and the way to a working integration.

mod manage;

pub(crate) use self::manage::{Activity, Approvals, Fan, Fans, Health, Leave, Overview, Settings};
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
        no_tiers_now: &'static str = "None";
        more: Phrase = Phrase("+{} more");
        connected: Count = Count { one: "1 connected", many: "{} connected" };
        pending: Count = Count { one: "1 pending", many: "{} pending" };
        attention: Count = Count { one: "1 needs attention", many: "{} need attention" };
        leaving: Count = Count { one: "1 being removed", many: "{} being removed" };
        held: Count = Count { one: "1 waits for your approval", many: "{} wait for your approval" };
        available: Count = Count { one: "1 not in yet", many: "{} not in yet" };
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
        done_deleted: &'static str = "The integration is being deleted";
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
        fan_available: &'static str = "Not in yet";
        fan_not_linked: &'static str = "Discord not connected";
        fan_not_activated: &'static str = "Not activated yet";
        fan_pending: &'static str = "In progress";
        fan_connected: &'static str = "Connected";
        fan_action_required: &'static str = "Waiting for the fan";
        fan_blocked: &'static str = "Needs you";
        fan_withheld: &'static str = "Withheld";
        fan_banned: &'static str = "Banned";
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
        step_connect: &'static str = "Discord";
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

texts! {
    /// What stands above the pages of one integration, and what they share.
    Integration {
        pages: &'static str = "Pages of this integration";
        overview: &'static str = "Overview";
        fans: &'static str = "Fans";
        memberships: &'static str = "Memberships";
        roles: &'static str = "Roles";
        activity: &'static str = "Activity";
        settings: &'static str = "Settings";
        deleted_role: &'static str = "Deleted role";
        no_roles: &'static str = "Server access, no role";
        cancel: &'static str = "Cancel";
    }
}

texts! {
    /// The set-up screen.
    Roles {
        title: &'static str = "Let the bot give your roles";
        lead: &'static str = "Discord lets a bot give only roles that stand below its own. Drag the bot's role above the ones that memberships give, then refresh.";
        connected: &'static str = "Discord is connected";
        ladder: &'static str = "Roles of your server";
        ladder_lead: &'static str = "In Discord's order, highest first.";
        ladder_gone: &'static str = "As they were when the bot was last in the server.";
        refresh: &'static str = "Refresh Roles";
        bot_here: &'static str = "The bot stands here";
        can_give: &'static str = "Can be given";
        is_given: &'static str = "Given by a membership";
        above: &'static str = "Above the bot";
        tied: &'static str = "Level with the bot";
        managed: &'static str = "Belongs to another app";
        everyone: &'static str = "Everybody has it";
        powerless_role: &'static str = "Bot lacks Manage Roles";
        powerless: &'static str = "The bot lacks Manage Roles";
        powerless_lead: &'static str = "In Discord, open Server Settings → Roles, choose the bot's role and turn on Manage Roles. Then refresh.";
        stuck: &'static str = "The bot stands too low";
        stuck_lead: &'static str = "Drag its role above the ones that memberships give, as the picture shows.";
        can_give_some: Count = Count { one: "1 role can be given", many: "{} roles can be given" };
        above_lead: Count = Count { one: "1 role stands above the bot. That is fine as long as no membership is to give it.", many: "{} roles stand above the bot. That is fine as long as no membership is to give them." };
        no_roles: &'static str = "There is no role to give yet";
        no_roles_lead: &'static str = "Make one in Discord under Server Settings → Roles and refresh, or go on: a membership can give access to the server alone.";
        all_good: &'static str = "The bot stands high enough";
        all_good_lead: &'static str = "Every role that can be given stands below it.";
        how: &'static str = "How to move the bot's role";
        how_1: &'static str = "In Discord, open your server's settings and choose Roles.";
        how_2: Phrase = Phrase("Drag the bot's role, {}, above the roles that memberships give, and save.");
        how_3: &'static str = "Come back here and choose Refresh Roles.";
        picture: &'static str = "In Discord's list of roles, the bot's role is dragged from the bottom to the top.";
        picture_title: &'static str = "Server Settings → Roles";
        picture_role: &'static str = "Gold";
        picture_other: &'static str = "Silver";
        the_bot: &'static str = "The bot's role";
        go_on: &'static str = "Continue to memberships";
        go_on_anyway: &'static str = "You can also go on and move the bot later.";
        unread: &'static str = "The roles could not be read";
        unread_later: &'static str = "Discord does not answer. Nothing was changed: refresh again in a moment.";
        unread_refused: &'static str = "Discord refused. Nothing was changed: refresh again; if it stays, tell the support.";
        same: &'static str = "Nothing has changed";
        same_lead: &'static str = "Discord shows the same roles as this page did. If you have moved the bot and do not see it here, check that you saved it in Discord.";
        changed: &'static str = "Roles are up to date";
        new: Phrase = Phrase("{} is new.");
        renamed: Phrase = Phrase("{} is called {} now.");
        now_can: Phrase = Phrase("{} can be given now.");
        no_longer: Phrase = Phrase("{} can no longer be given.");
        gone: Phrase = Phrase("{} was deleted.");
    }
}

texts! {
    /// Add Membership.
    Memberships {
        title: &'static str = "Memberships";
        lead: &'static str = "Choose the memberships that give access to this server, and the roles that each of them gives.";
        lead_later: &'static str = "Every membership here gives access to the server and the roles that are ticked. Roles can be changed at any time.";
        no_tiers: &'static str = "There are no memberships yet";
        no_tiers_lead: &'static str = "Create a membership on your platform first. It appears here at once.";
        no_role: &'static str = "The bot cannot give any role yet";
        no_role_lead: &'static str = "You can go on: memberships then give access to the server alone.";
        see_roles: &'static str = "See the server's roles";
        missing_role: &'static str = "Is a role missing? The bot can give only what stands below it.";
        suggested: &'static str = "Roles with the same name as a membership are ticked already. Change what you like.";
        server_only: &'static str = "Gives access to the server, without a role.";
        roles: &'static str = "Roles";
        of_tier: Phrase = Phrase("of {}");
        roles_of: Phrase = Phrase("Roles of {}");
        remove: &'static str = "Remove…";
        review: &'static str = "Review changes";
        choose_one: &'static str = "Choose at least one membership.";
        nothing: &'static str = "Nothing is different from how it is now.";
        cannot_give: &'static str = "A role that is ticked cannot be given. It says why.";
        plan_title: &'static str = "Review the change";
        plan_lead: &'static str = "Nothing happens before you apply it.";
        moved: &'static str = "The integration has changed meanwhile";
        moved_lead: &'static str = "Somebody changed it in another tab or over the API. This is what your choice means now.";
        after: &'static str = "Memberships give";
        for_fans: &'static str = "What it means for fans";
        apply: &'static str = "Apply the change";
        apply_first: &'static str = "Finish the set-up";
        saved: &'static str = "The change is applied";
        removed: &'static str = "The membership is removed";
        remove_title: Phrase = Phrase("Remove {} from this integration?");
        remove_lead: &'static str = "Fans keep the membership itself. It no longer gives access to this server.";
        remove_go: &'static str = "Remove membership";
    }
}

texts! {
    /// What a change means for fans.
    Plan {
        nobody: &'static str = "Nobody is affected now. Whoever buys later gets what the memberships give then.";
        told: Count = Count { one: "1 fan holds these memberships already. They are told, and get in once they connect Discord or activate it.", many: "{} fans hold these memberships already. They are told, and get in once they connect Discord or activate it." };
        changes: Count = Count { one: "Something changes for 1 fan.", many: "Something changes for {} fans." };
        fans: Count = Count { one: "1 fan", many: "{} fans" };
        gain: &'static str = "Get";
        lose: &'static str = "Lose";
        leave: Count = Count { one: "1 fan is removed from the server", many: "{} fans are removed from the server" };
        held: &'static str = "This will wait for your approval";
        held_lead: &'static str = "More fans would lose access than your limit allows at once. Everybody keeps what they have until you approve it under Approvals.";
        leave_lead: &'static str = "The Hub had brought them in, and nothing else gives them access.";
    }
}
