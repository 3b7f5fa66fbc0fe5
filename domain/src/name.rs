//! Names that people choose and people read.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The longest display name, in characters.
pub const MAX_NAME: usize = 128;

/// A name for people: 1 to 128 characters once surrounding space is taken off, in any script, without
/// control characters (they would break logs and headers; everything else is the reader's to show safely).
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 128)]
pub struct DisplayName(Box<str>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be 1 to {MAX_NAME} characters that can be shown, without line breaks or control characters"
)]
pub struct InvalidName;

impl DisplayName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DisplayName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        let shown = text.chars().any(is_visible);
        if shown && is_one_line(text) && text.chars().count() <= MAX_NAME {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName)
        }
    }
}

impl TryFrom<String> for DisplayName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text stays in its line: nothing breaks it or controls a terminal.
pub fn is_one_line(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// Whether a character alone leaves something to see. Not so: spaces, zero-width characters and direction marks, blank
/// letters of Hangul and Braille, tags, what only changes the letter before it, and what Unicode never gives a meaning.
pub fn is_visible(c: char) -> bool {
    let invisible = matches!(c,
        '\u{00ad}' | '\u{0300}'..='\u{036f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{e0000}'..='\u{e0fff}');
    let meaningless = u32::from(c) & 0xfffe == 0xfffe;
    !c.is_whitespace() && !c.is_control() && !invisible && !meaningless
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_in_any_script_and_trimmed() {
        for name in ["Gold", "  Gold ", "نادي الذهب", "🏳️‍🌈 club", "<b>x</b>", &"é".repeat(128)]
        {
            assert_eq!(name.parse::<DisplayName>().unwrap().as_str(), name.trim());
        }
    }

    #[test]
    fn a_name_that_cannot_be_shown_is_refused() {
        let blank = ["", "   ", "\u{200b}\u{200e}", "\u{3164}", "\u{2800}", "\u{301}", "\u{fffe}"];
        let unruly = ["a\nb", "a\0", "a\u{2028}b", &"x".repeat(129)];
        for name in blank.into_iter().chain(unruly) {
            assert_eq!(name.parse::<DisplayName>(), Err(InvalidName), "{name:?}");
        }
    }
}
