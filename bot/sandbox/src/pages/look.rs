//! How names and colours are shown: avatars from letters, and inks that can be read on both themes.

use std::collections::BTreeSet;

use crate::world::World;

/// More colours than these are shown without tint.
pub(super) const MOST_TINTS: usize = 400;

/// A round picture of somebody: letters of the name, or an icon, on one of eight hues.
pub(super) struct Avatar {
    pub(super) letters: String,
    pub(super) icon: Option<&'static str>,
    pub(super) hue: u64,
}

impl Avatar {
    /// The first letters of the first two words.
    pub(super) fn new(id: u64, name: &str) -> Self {
        let first = |word: &str| word.chars().find(|letter| letter.is_alphanumeric());
        let mut letters: String = name.split_whitespace().filter_map(first).take(2).collect();
        if letters.is_empty() {
            letters = name.trim().chars().take(1).collect();
        }
        // The lowest 22 bits of ids made one after the other are all the same.
        Self { letters: letters.to_uppercase(), icon: None, hue: ((id >> 22) ^ id) % 8 }
    }

    /// For what is no person.
    pub(super) fn drawn(icon: &'static str) -> Self {
        Self { letters: String::new(), icon: Some(icon), hue: 0 }
    }
}

/// A name for places where markup cannot keep its direction from the text around it.
pub(super) fn isolated(name: &str) -> String {
    format!("\u{2068}{name}\u{2069}")
}

/// The class that tints with a role's colour; 0 is no colour.
pub(super) fn tint(colour: u32) -> String {
    if colour == 0 { String::new() } else { format!("tinted c-{:06x}", colour & 0x00ff_ffff) }
}

/// The query of the stylesheet with all colours of the world.
pub(super) fn tints(world: &World) -> String {
    let roles = world.guilds.values().flat_map(|guild| guild.roles.values());
    let colours: BTreeSet<u32> =
        roles.map(|role| role.color & 0x00ff_ffff).filter(|colour| *colour != 0).collect();
    let colours: Vec<String> =
        colours.into_iter().take(MOST_TINTS).map(|colour| format!("{colour:06x}")).collect();
    colours.join(".")
}

/// The surfaces on which tinted names stand, at their least favourable.
const LIGHT_SURFACE: u32 = 0x00e4_e6ee;
const DARK_SURFACE: u32 = 0x003a_3d4a;

/// The contrast that text needs (WCAG 2, level AA).
const READABLE: f64 = 4.5;

/// A colour as text on the light and on the dark theme: as near to itself as can be read.
pub(super) fn inks(colour: u32) -> (u32, u32) {
    (readable(colour, LIGHT_SURFACE, 0), readable(colour, DARK_SURFACE, 0x00ff_ffff))
}

fn readable(colour: u32, surface: u32, toward: u32) -> u32 {
    let steps = (0..=20).map(|step| mixed(colour, toward, f64::from(step) / 20.0));
    steps.into_iter().find(|ink| contrast(*ink, surface) >= READABLE).unwrap_or(toward)
}

fn channels(colour: u32) -> [u8; 3] {
    let [_, red, green, blue] = colour.to_be_bytes();
    [red, green, blue]
}

fn mixed(from: u32, to: u32, share: f64) -> u32 {
    let mut mixed = 0;
    for (from, to) in channels(from).into_iter().zip(channels(to)) {
        let channel = f64::from(from) + (f64::from(to) - f64::from(from)) * share;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between two channels, which are bytes"
        )]
        let channel = channel.round() as u32;
        mixed = mixed << 8 | channel;
    }
    mixed
}

fn luminance(colour: u32) -> f64 {
    let linear = |channel: u8| {
        let share = f64::from(channel) / 255.0;
        if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    };
    let [red, green, blue] = channels(colour).map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn contrast(a: u32, b: u32) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_becomes_an_ink_that_can_be_read_on_both_themes() {
        for colour in [0x0000_0001, 0x00ff_ffff, 0x00d4_a017, 0x0000_00ff, 0x0080_8080] {
            let (light, dark) = inks(colour);
            assert!(contrast(light, LIGHT_SURFACE) >= READABLE, "{light:06x}");
            assert!(contrast(dark, DARK_SURFACE) >= READABLE, "{dark:06x}");
        }
    }

    #[test]
    fn a_name_of_any_kind_has_letters() {
        let letters = |name: &str| Avatar::new(1, name).letters;
        assert_eq!(letters("Kim's Club"), "KC");
        assert_eq!(letters("<b>ada"), "B");
        assert_eq!(letters("🎉 🎉"), "🎉");
        assert_eq!(letters(" "), "");
    }
}
