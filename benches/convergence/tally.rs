//! What the sandbox was asked, counted.

use discord_sandbox::Sandbox;

pub(crate) struct Tally {
    /// Answers 429, 401 and 403.
    pub(crate) refused: usize,
    /// Joins, role changes and removals, whatever was answered.
    pub(crate) changes: usize,
    /// Everything else.
    pub(crate) reads: usize,
}

impl Tally {
    pub(crate) fn of(sandbox: &Sandbox) -> Self {
        let calls = sandbox.calls();
        let changes = calls.iter().filter(|call| call.method != "GET").count();
        Self {
            refused: calls.iter().filter(|call| matches!(call.status, 401 | 403 | 429)).count(),
            changes,
            reads: calls.len() - changes,
        }
    }
}
