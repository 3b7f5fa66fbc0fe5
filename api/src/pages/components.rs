//! Small parts that show data: chips, tiles, roles, times. What frames content is a macro in `templates/ui.html`.

use std::fmt::{self, Display, Write};

use askama::filters::{Escaper, Html as HtmlEscaper, HtmlSafe};
use chrono::{DateTime, SecondsFormat, Utc};
use domain::status::Status;

use crate::pages::texts::Statuses;

/// A part that writes its own HTML.
macro_rules! html {
    ($($Part:ty),*) => { $(impl HtmlSafe for $Part {})* };
}
html!(Chip, Tile, RolePill, When, Exact);

struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HtmlEscaper.write_escaped_str(f as &mut dyn Write, self.0)
    }
}

/// How something stands, in a word and a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chip {
    pub(crate) text: &'static str,
    /// `good`, `work`, `warn`, `bad` or nothing.
    pub(crate) tone: &'static str,
}

impl Chip {
    pub(crate) fn new(text: &'static str, tone: &'static str) -> Self {
        Self { text, tone }
    }

    /// How an integration stands, by the contract's word for it.
    pub(crate) fn of_integration(t: &'static Statuses, status: &str) -> Self {
        match status {
            "active" => Self::new(t.active, "good"),
            "connected" => Self::new(t.connected, "work"),
            "needs_attention" => Self::new(t.needs_attention, "warn"),
            "removing" => Self::new(t.removing, "work"),
            "disconnected" => Self::new(t.disconnected, ""),
            _ => Self::new(t.not_connected, ""),
        }
    }

    /// How a fan stands, as their creator reads it. `code`: why, by the contract's word for it.
    pub(crate) fn of_fan(t: &'static Statuses, status: Status, code: Option<&str>) -> Self {
        match status {
            // Whose turn it is: the account is connected first, and then activated.
            Status::Available => match code {
                Some("not_linked") => Self::new(t.fan_not_linked, ""),
                Some("not_activated") => Self::new(t.fan_not_activated, ""),
                _ => Self::new(t.fan_available, ""),
            },
            Status::Pending => Self::new(t.fan_pending, "work"),
            Status::Connected => Self::new(t.fan_connected, "good"),
            Status::ActionRequired => Self::new(t.fan_action_required, "warn"),
            // Somebody decided so, and nobody has to mend it.
            Status::Blocked if code == Some("withheld") => Self::new(t.fan_withheld, ""),
            Status::Blocked if code == Some("banned") => Self::new(t.fan_banned, ""),
            Status::Blocked => Self::new(t.fan_blocked, "bad"),
            Status::Revoking => Self::new(t.fan_revoking, "work"),
            Status::RevokeBlocked => Self::new(t.fan_revoke_blocked, "bad"),
            Status::Revoked => Self::new(t.fan_revoked, ""),
        }
    }
}

impl Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<span class=\"chip {}\">{}</span>", self.tone, Escaped(self.text))
    }
}

/// Initials on a colour that follows from the name: nothing has to be fetched from elsewhere to show a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tile {
    name: String,
    class: &'static str,
}

impl Tile {
    pub(crate) fn server(name: &str) -> Self {
        Self { name: name.to_owned(), class: "" }
    }

    pub(crate) fn large(name: &str) -> Self {
        Self { name: name.to_owned(), class: " large" }
    }

    pub(crate) fn person(name: &str) -> Self {
        Self { name: name.to_owned(), class: " person" }
    }

    /// The first letters of the first two words, as Discord abbreviates a server without an icon.
    fn initials(&self) -> String {
        let first = |word: &str| word.chars().find(|c| c.is_alphanumeric());
        let words = self.name.split_whitespace().filter_map(first);
        let initials: String = words.take(2).flat_map(char::to_uppercase).collect();
        if initials.is_empty() { "#".to_owned() } else { initials }
    }

    fn colour(&self) -> u32 {
        let sum = self.name.chars().fold(5_u32, |sum, c| sum.wrapping_mul(31) ^ u32::from(c));
        (sum ^ (sum >> 9)) % 8
    }
}

impl Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (initials, colour) = (self.initials(), self.colour());
        write!(
            f,
            "<span class=\"tile tile-{colour}{}\" aria-hidden=\"true\">{}</span>",
            self.class,
            Escaped(&initials)
        )
    }
}

/// A role with its colour in Discord. An attribute of SVG carries the colour: styles in a page are not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RolePill {
    name: String,
    /// RGB; 0 for none.
    colour: u32,
    /// Whether the role is not in the server any more.
    gone: bool,
}

impl RolePill {
    pub(crate) fn new(name: &str, colour: u32) -> Self {
        Self { name: name.to_owned(), colour, gone: false }
    }

    pub(crate) fn gone(name: &str) -> Self {
        Self { name: name.to_owned(), colour: 0, gone: true }
    }
}

/// A role's colour as a dot; Discord's grey where it has none.
pub(crate) fn dot(colour: u32) -> String {
    let shown = if colour == 0 { 0x0099_aab5 } else { colour & 0x00ff_ffff };
    format!(
        "<svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><circle cx=\"5\" cy=\"5\" r=\"5\" fill=\"#{shown:06x}\"/></svg>"
    )
}

impl Display for RolePill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = if self.gone { "role gone" } else { "role" };
        let name = Escaped(&self.name);
        write!(f, "<span class=\"{class}\">{}<bdi>{name}</bdi></span>", dot(self.colour))
    }
}

/// A time; where scripts run, it is shown as it is where the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct When(pub(crate) DateTime<Utc>);

impl When {
    pub(crate) fn at(at: &DateTime<Utc>) -> Self {
        Self(*at)
    }
}

impl Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (exact, shown) =
            (self.0.format("%Y-%m-%dT%H:%M:%SZ"), self.0.format("%-d %b %Y, %H:%M UTC"));
        write!(f, "<time datetime=\"{exact}\">{shown}</time>")
    }
}

/// A time to the second in UTC, for whoever compares it with the log: the same for every reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exact(pub(crate) DateTime<Utc>);

impl Exact {
    pub(crate) fn of(at: &DateTime<Utc>) -> Self {
        Self(*at)
    }

    pub(crate) fn text(self) -> String {
        self.0.format("%-d %b %Y, %H:%M:%S").to_string()
    }
}

impl Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.0.to_rfc3339_opts(SecondsFormat::Micros, true);
        write!(f, "<time datetime=\"{exact}\" title=\"{exact}\">{}</time>", self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_are_of_letters_in_any_script() {
        let initials = |name| Tile::server(name).initials();
        assert_eq!(initials("Kim's Club"), "KC");
        assert_eq!(initials("  —  🎉"), "#");
        assert_eq!(initials("ночь"), "Н");
        assert_eq!(initials("<script> x"), "SX");
    }

    #[test]
    fn names_cannot_break_out_of_their_part() {
        let pill = RolePill::new("<img src=x onerror=alert(1)>", 0x00ff_0000).to_string();
        assert!(!pill.contains("<img"), "{pill}");
        assert!(pill.contains("#ff0000"), "{pill}");
    }
}
