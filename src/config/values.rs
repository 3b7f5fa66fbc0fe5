//! How values of settings are read: what does not fit is refused in plain words that say what to write instead.

use std::{net::SocketAddr, time::Duration};

use bot::desk::MAX_SHARDS;
use domain::{CreatorId, TierId, ids::InvalidId};
use url::Url;

/// The longest time that a setting may name. What is reckoned with it stays within what a date can be.
const LONGEST: Duration = Duration::from_hours(24 * 36_525);

/// The longest name of a bot process that the Hub takes.
const LONGEST_NAME: usize = 128;

/// Where a process listens.
pub(crate) fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be an IP address and a port, as 127.0.0.1:8080".to_owned())
}

fn address(text: &str, schemes: [&str; 2]) -> Option<Url> {
    Url::parse(text).ok().filter(|url| schemes.contains(&url.scheme()))
}

/// Where a link or a browser may go.
pub(crate) fn web(text: &str) -> Result<Url, String> {
    address(text, ["http", "https"])
        .ok_or_else(|| "must be an http:// or https:// address, as https://example.com".to_owned())
}

/// Below which paths are built.
pub(crate) fn base(text: &str) -> Result<Url, String> {
    address(text, ["http", "https"]).filter(ends_with_its_path).ok_or_else(|| {
        "must be an http:// or https:// address without ? and #, as https://hub.example.com"
            .to_owned()
    })
}

/// Where a Hub is, whose paths are its own.
pub(crate) fn hub(text: &str) -> Result<Url, String> {
    let whole = address(text, ["http", "https"]).filter(ends_with_its_path);
    whole.filter(|url| url.path() == "/").ok_or_else(|| {
        "must be an http:// or https:// address without a path, ? and #, as https://hub.example.com"
            .to_owned()
    })
}

/// Discord's gateway.
pub(crate) fn gateway(text: &str) -> Result<Url, String> {
    address(text, ["ws", "wss"])
        .ok_or_else(|| "must be a ws:// or wss:// address, as wss://gateway.discord.gg".to_owned())
}

fn ends_with_its_path(url: &Url) -> bool {
    url.query().is_none() && url.fragment().is_none()
}

/// An e-mail address, as far as it can be told without sending to it.
pub(crate) fn email(text: &str) -> Result<String, String> {
    let plain = !text.contains(|letter: char| letter.is_whitespace() || letter.is_control());
    match text.split_once('@') {
        Some((name, host))
            if plain && !name.is_empty() && !host.is_empty() && !host.contains('@') =>
        {
            Ok(text.to_owned())
        }
        _ => Err("must be an e-mail address, as help@example.com".to_owned()),
    }
}

/// An application's id: Discord's are digits, a stand-in's need not be. One that is blank is not set, as with the
/// secrets beside it.
pub(crate) fn application(text: &str) -> Result<String, String> {
    let id = text.trim();
    if id.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(id.to_owned())
    } else {
        Err("must be the application's id from Discord's developer portal, as 900000000000000001"
            .to_owned())
    }
}

/// A number from `least` to `most`.
fn number<N: TryFrom<u32>>(text: &str, least: u32, most: u32) -> Result<N, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number
        .and_then(|number| N::try_from(number).ok())
        .ok_or_else(|| format!("must be a whole number from {least} to {most}"))
}

/// Into how many shards the servers are divided, or how many of them a process takes.
pub(crate) fn shards<N: TryFrom<u32>>(text: &str) -> Result<N, String> {
    number(text, 1, MAX_SHARDS)
}

/// How many shards a process takes that may take none.
pub(crate) fn shards_or_none(text: &str) -> Result<u32, String> {
    number(text, 0, MAX_SHARDS)
}

/// Calls a second.
pub(crate) fn calls(text: &str) -> Result<u32, String> {
    number(text, 1, 10_000)
}

/// A bot process's name.
pub(crate) fn bot_name(text: &str) -> Result<String, String> {
    let fits = !text.trim().is_empty() && text.chars().count() <= LONGEST_NAME;
    if fits && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "must be 1 to {LONGEST_NAME} characters that are not all blank, as bot-1, and another one for each process"
        ))
    }
}

/// A price of Stripe and the tier that it buys.
pub(crate) fn price(text: &str) -> Result<(String, (CreatorId, TierId)), String> {
    let parts =
        text.split_once('=').and_then(|(price, bought)| Some((price, bought.split_once('/')?)));
    let (price, (creator, tier)) = parts.ok_or("write PRICE=CREATOR/TIER")?;
    let wrong = |error: InvalidId| error.to_string();
    Ok((
        price.trim().to_owned(),
        (creator.trim().parse().map_err(wrong)?, tier.trim().parse().map_err(wrong)?),
    ))
}

/// A time such as `90d`, `12h` or `2h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok().filter(|time| *time <= LONGEST);
    time.ok_or_else(|| "must be a time of at most 100 years, as 3d, 12h or 2h 30m".to_owned())
}

/// How long something is good for.
pub(crate) fn lifetime(text: &str) -> Result<Duration, String> {
    let time = duration(text).ok().filter(|time| !time.is_zero());
    time.ok_or_else(|| {
        "must be a time of more than nothing and at most 100 years, as 90d or 12h; without it, there is no end"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_write_them() {
        assert_eq!(duration("3d"), Ok(Duration::from_hours(72)));
        assert!(duration("soon").unwrap_err().contains("3d"));
    }

    #[test]
    fn a_time_that_no_date_can_bear_is_refused() {
        for wrong in ["101years", "99999999999999d", "99999999999999999999999d"] {
            assert!(duration(wrong).unwrap_err().contains("at most 100 years"), "{wrong}");
        }
        assert!(duration("0s").is_ok());
        assert!(lifetime("0s").is_err() && lifetime("90d").is_ok());
    }

    #[test]
    fn a_link_goes_to_the_web_alone() {
        assert!(web("https://example.com/help?from=hub#top").is_ok());
        for wrong in ["", "foo", "/help", "javascript:alert(1)", "ftp://x", "mailto:a@b"] {
            assert!(web(wrong).unwrap_err().contains("https://"), "{wrong}");
        }
    }

    #[test]
    fn paths_are_built_below_an_address_that_ends_with_its_path() {
        assert!(base("http://127.0.0.1:8080").is_ok() && base("https://x.example/hub").is_ok());
        for wrong in ["ftp://x", "http://x/path?q=1", "http://x/?", "http://x#top"] {
            assert!(base(wrong).unwrap_err().contains("without ? and #"), "{wrong}");
        }
        assert!(hub("http://x").is_ok() && hub("http://x/").is_ok());
        for wrong in ["foo", "ftp://x", "http://x/v1", "http://x/?q=1", "http://x/#top"] {
            assert!(hub(wrong).unwrap_err().contains("without a path"), "{wrong}");
        }
        assert!(gateway("ws://127.0.0.1:8090").is_ok() && gateway("https://discord.gg").is_err());
    }

    #[test]
    fn an_address_for_mail_has_somebody_and_somewhere() {
        assert!(email("help@example.com").is_ok());
        for wrong in ["", "x", "@x", "x@", "a@b@c", "a b@c", "a@b\n"] {
            assert!(email(wrong).unwrap_err().contains("help@example.com"), "{wrong}");
        }
    }

    #[test]
    fn an_application_is_named_in_one_word_or_not_set() {
        assert_eq!(application("900000000000000001").as_deref(), Ok("900000000000000001"));
        assert_eq!(application("stand-in").as_deref(), Ok("stand-in"));
        assert_eq!(application(" ").as_deref(), Ok(""));
        for wrong in ["two words", "a\nb", "é"] {
            assert!(application(wrong).unwrap_err().contains("developer portal"), "{wrong}");
        }
    }

    #[test]
    fn numbers_have_their_bounds() {
        assert_eq!(shards::<u32>("4096"), Ok(4096));
        for wrong in ["0", "4097", "-1", "abc", "", "99999999999"] {
            let said = shards::<std::num::NonZeroU32>(wrong).unwrap_err();
            assert_eq!(said, "must be a whole number from 1 to 4096", "{wrong}");
        }
        assert_eq!(shards_or_none("0"), Ok(0));
    }

    #[test]
    fn a_bot_has_a_name_that_can_be_told() {
        assert!(bot_name("bot-1").is_ok());
        for wrong in ["", "  ", "a\nb", &"x".repeat(129)] {
            assert!(bot_name(wrong).unwrap_err().contains("bot-1"), "{wrong}");
        }
    }
}
