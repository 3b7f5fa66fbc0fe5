//! Discord's refusals by their code: what it answers, and what it says.

pub(super) struct Refusal {
    pub(super) code: u64,
    pub(super) status: u16,
    pub(super) message: &'static str,
}

const fn refusal(status: u16, code: u64, message: &'static str) -> Refusal {
    Refusal { code, status, message }
}

/// Those that a bot which manages members meets.
pub(super) const REFUSALS: &[Refusal] = &[
    refusal(403, 50_013, "Missing Permissions"),
    refusal(403, 50_001, "Missing Access"),
    refusal(404, 10_004, "Unknown Guild"),
    refusal(404, 10_007, "Unknown Member"),
    refusal(404, 10_011, "Unknown Role"),
    refusal(404, 10_013, "Unknown User"),
    refusal(400, 30_001, "Maximum number of guilds reached (100)"),
    refusal(400, 30_019, "Maximum number of server members reached"),
    refusal(400, 340_015, "Joining servers is limited for this user"),
    refusal(403, 40_007, "The user is banned from this guild."),
    refusal(403, 40_002, "You need to verify your account in order to perform this action."),
    refusal(403, 50_025, "Invalid OAuth2 access token"),
    refusal(403, 50_026, "Missing required OAuth2 scope"),
    refusal(400, 50_028, "Invalid role"),
    refusal(400, 50_035, "Invalid Form Body"),
    refusal(401, 40_001, "Unauthorized"),
    refusal(403, 60_003, "Two factor is required for this operation"),
    refusal(429, 40_062, "Service resource is being rate limited."),
    refusal(403, 40_333, "internal network error"),
    refusal(503, 130_000, "API resource is currently overloaded. Try again a little later"),
];

pub(super) fn by_code(code: u64) -> Option<&'static Refusal> {
    REFUSALS.iter().find(|refusal| refusal.code == code)
}
