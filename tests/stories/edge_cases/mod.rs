//! What this field gets wrong, case by case, each with the right end. The numbers are those of a list that was put
//! together from the trackers of systems that do this job; the names say what each is about.

mod calls;
mod fans;
mod memberships;
mod moderators;
mod servers;
mod unseen;
