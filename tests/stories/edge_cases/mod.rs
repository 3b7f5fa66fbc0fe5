//! What this field gets wrong, case by case, each with the right end; `unseen.rs` has what none of these names.
//!
//! 1. Discord refuses a removal.
//! 2. Several reasons for one role.
//! 3. Somebody claims another creator's server.
//! 4. Reports come twice, late or in the wrong order.
//! 5. Discord loses what it accepted.
//! 6. A call has no answer.
//! 7. A newer decision overtakes calls.
//! 8. The bot is out, or the server is out of order.
//! 9. Refusals and limits in heaps.
//! 10. A fan who never linked, or whose link is lost.
//! 11. A fan leaves and comes back.
//! 12. Another account.
//! 13. One account, two fans.
//! 14. Unlinking.
//! 15. Another tier.
//! 16. What time ends.
//! 17. Refunds and disputes.
//! 18. A mass removal by mistake (`holds.rs`).
//! 19. A role is deleted, made anew, or an app's.
//! 20. The order of roles changes.
//! 21. Moderators act.
//! 22. Owners and staff as fans.
//! 23. A fan whom Discord lets in no more.
//! 24. Rules to accept first.
//! 25. Roles that cannot be given.
//! 26. Another bot fights for a role.

mod calls;
mod fans;
mod memberships;
mod moderators;
mod servers;
mod unseen;
