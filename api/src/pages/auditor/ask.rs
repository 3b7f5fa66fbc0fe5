//! What an address asks for: read leniently, so that a form that is not filled in right comes back as it was.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Utc};

use super::Faults;
use crate::extract::{Fields, FromFields};

/// The values of an address, as they were written.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) fan: String,
    pub(super) creator: String,
    pub(super) integration: String,
    pub(super) kind: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) at: String,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) cursor: String,
}

impl FromFields for Asked {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let mut text = |name| fields.text(name).unwrap_or_default().trim().to_owned();
        let asked = Self {
            fan: text("fan"),
            creator: text("creator"),
            integration: text("integration"),
            kind: text("type"),
            from: text("from"),
            to: text("to"),
            at: text("at"),
            before: text("before"),
            after: text("after"),
            cursor: text("cursor"),
        };
        fields.ignore_the_rest();
        Some(asked)
    }
}

/// A value as what it stands for, where there is one; what is no such thing is a fault.
pub(super) fn read<T: FromStr>(
    faults: &mut Faults,
    field: &'static str,
    text: &str,
    fault: &'static str,
) -> Option<T> {
    if text.is_empty() {
        return None;
    }
    let value = text.parse().ok();
    if value.is_none() {
        faults.insert(field, fault);
    }
    value
}

/// A time in UTC, as links or as date fields write it.
pub(super) fn time(
    faults: &mut Faults,
    field: &'static str,
    text: &str,
    fault: &'static str,
) -> Option<DateTime<Utc>> {
    if text.is_empty() {
        return None;
    }
    let exact = || DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    let local = |form| NaiveDateTime::parse_from_str(text, form).ok().map(|time| time.and_utc());
    let day = || text.parse::<NaiveDate>().ok().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let time = exact()
        .or_else(|| local("%Y-%m-%dT%H:%M:%S%.f"))
        .or_else(|| local("%Y-%m-%dT%H:%M"))
        .or_else(day);
    if time.is_none() {
        faults.insert(field, fault);
    }
    time
}

/// A time as an address has it, to the microsecond.
pub(super) fn exact(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A time as a date field shows it, to the second after it: what had happened at it has happened then.
pub(super) fn shown(at: DateTime<Utc>) -> String {
    let seconds = at.timestamp() + i64::from(at.timestamp_subsec_nanos() > 0);
    let at = DateTime::from_timestamp(seconds, 0).unwrap_or(at);
    at.format("%Y-%m-%dT%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_links_and_fields_write_them() {
        let mut faults = Faults::new();
        let mut read = |text| time(&mut faults, "at", text, "fault").map(exact);
        let noon = Some("2026-01-31T12:00:00.000000Z".to_owned());
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T13:00:00+01:00",
            "2026-01-31T12:00",
            "2026-01-31T12:00:00.000",
        ] {
            assert_eq!(read(text), noon, "{text}");
        }
        assert_eq!(read("2026-01-31"), Some("2026-01-31T00:00:00.000000Z".to_owned()));
        assert_eq!((read(""), read("yesterday")), (None, None));
        assert_eq!(faults.len(), 1);
    }

    #[test]
    fn a_field_never_shows_a_time_before_its_own() {
        let at: DateTime<Utc> = "2026-01-31T12:00:00.123456Z".parse().unwrap();
        assert_eq!(shown(at), "2026-01-31T12:00:01");
    }
}
