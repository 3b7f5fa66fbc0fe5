//! Every text of the pages, a file for each area. The English texts define which texts there are; another language
//! is one more value of the same types, and the compiler says what it lacks.
//!
//! A text is a `&str`; one that has a name in it is a `Phrase`, one that counts is a `Count`.

pub(crate) mod auditor;
mod creator;
mod fan;
mod frame;
pub(crate) mod operator;
mod sign_in;

use std::{
    borrow::Borrow,
    fmt::{self, Display, Write},
};

use askama::filters::{Escaper, Html as HtmlEscaper, HtmlSafe};

/// An area's texts, and what they are in English.
macro_rules! texts {
    ($(#[$doc:meta])* $Area:ident { $($name:ident: $kind:ty = $text:expr;)* }) => {
        $(#[$doc])*
        pub(crate) struct $Area { $(pub(crate) $name: $kind,)* }

        impl $Area {
            pub(crate) const EN: Self = Self { $($name: $text,)* };
        }
    };
}
pub(crate) use texts;

pub(crate) use self::{
    creator::Statuses,
    fan::{Standing, Troubles},
};

/// All texts in one language.
pub(crate) struct Texts {
    /// The value of `lang`.
    pub(crate) lang: &'static str,
    pub(crate) frame: frame::Frame,
    pub(crate) errors: frame::Errors,
    pub(crate) sign_in: sign_in::SignIn,
    pub(crate) table: creator::Table,
    pub(crate) status: creator::Statuses,
    pub(crate) add: creator::Add,
    pub(crate) connect: creator::Connect,
    pub(crate) integration: creator::Integration,
    pub(crate) roles: creator::Roles,
    pub(crate) memberships: creator::Memberships,
    pub(crate) plan: creator::Plan,
    pub(crate) overview: creator::Overview,
    pub(crate) fans: creator::Fans,
    pub(crate) fan: creator::Fan,
    pub(crate) activity: creator::Activity,
    pub(crate) approvals: creator::Approvals,
    pub(crate) health: creator::Health,
    pub(crate) settings: creator::Settings,
    pub(crate) leave: creator::Leave,
    pub(crate) audit: auditor::Audit,
    pub(crate) log: auditor::Log,
    pub(crate) event: auditor::OneEvent,
    pub(crate) travel: auditor::Travel,
    pub(crate) explain: auditor::Explain,
    pub(crate) operator: operator::Operator,
    pub(crate) held: fan::Memberships,
    pub(crate) account: fan::Account,
    pub(crate) welcome: fan::Welcome,
    pub(crate) standing: fan::Standing,
    pub(crate) troubles: fan::Troubles,
    pub(crate) notifications: fan::Notifications,
}

pub(crate) static EN: Texts = Texts {
    lang: "en",
    frame: frame::Frame::EN,
    errors: frame::Errors::EN,
    sign_in: sign_in::SignIn::EN,
    table: creator::Table::EN,
    status: creator::Statuses::EN,
    add: creator::Add::EN,
    connect: creator::Connect::EN,
    integration: creator::Integration::EN,
    roles: creator::Roles::EN,
    memberships: creator::Memberships::EN,
    plan: creator::Plan::EN,
    overview: creator::Overview::EN,
    fans: creator::Fans::EN,
    fan: creator::Fan::EN,
    activity: creator::Activity::EN,
    approvals: creator::Approvals::EN,
    health: creator::Health::EN,
    settings: creator::Settings::EN,
    leave: creator::Leave::EN,
    audit: auditor::Audit::EN,
    log: auditor::Log::EN,
    event: auditor::OneEvent::EN,
    travel: auditor::Travel::EN,
    explain: auditor::Explain::EN,
    operator: operator::Operator::EN,
    held: fan::Memberships::EN,
    account: fan::Account::EN,
    welcome: fan::Welcome::EN,
    standing: fan::Standing::EN,
    troubles: fan::Troubles::EN,
    notifications: fan::Notifications::EN,
};

/// HTML that is safe to show as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Html(String);

impl Html {
    /// Of a template or a part, which has escaped what it shows.
    pub(crate) fn rendered(html: String) -> Self {
        Self(html)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn text(text: &str) -> Self {
        let mut html = String::new();
        escape(text, &mut html);
        Self(html)
    }
}

impl Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Html {}

/// A text with names in it, each at a `{}`. Names are escaped and kept from turning the text around them: they may be
/// in any script and of any direction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Phrase(pub(crate) &'static str);

impl Phrase {
    pub(crate) fn of(self, name: impl Display) -> Html {
        self.fill(&[&name])
    }

    pub(crate) fn of2(self, first: impl Display, second: impl Display) -> Html {
        self.fill(&[&first, &second])
    }

    fn fill(self, names: &[&dyn Display]) -> Html {
        let (mut html, mut names) = (String::new(), names.iter());
        for (n, part) in self.0.split("{}").enumerate() {
            if n > 0 {
                let name = names.next().map(ToString::to_string).unwrap_or_default();
                html.push_str("<bdi>");
                escape(&name, &mut html);
                html.push_str("</bdi>");
            }
            escape(part, &mut html);
        }
        Html(html)
    }

    /// Without markup, for titles.
    pub(crate) fn plain(self, name: impl Display) -> String {
        self.0.replacen("{}", &name.to_string(), 1)
    }
}

fn escape(text: &str, html: &mut String) {
    // Writing into a string cannot fail.
    let _ = HtmlEscaper.write_escaped_str(&mut *html as &mut dyn Write, text);
}

/// A text that counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) one: &'static str,
    /// With the number at `{}`.
    pub(crate) many: &'static str,
}

impl Count {
    pub(crate) fn of(self, count: impl Borrow<u64>) -> String {
        match *count.borrow() {
            1 => self.one.to_owned(),
            count => self.many.replacen("{}", &count.to_string(), 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_texts_are_escaped_and_isolated() {
        let shown = Phrase("{} & {}").fill(&[&"<b>", &"\u{202e}abc"]);
        assert_eq!(shown.to_string(), "<bdi>&#60;b&#62;</bdi> &#38; <bdi>\u{202e}abc</bdi>");
    }

    #[test]
    fn one_is_not_many() {
        let fans = Count { one: "1 fan", many: "{} fans" };
        assert_eq!([fans.of(0_u64), fans.of(1_u64), fans.of(2_u64)], ["0 fans", "1 fan", "2 fans"]);
    }
}
