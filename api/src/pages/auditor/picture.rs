//! Access over time as a picture: what the lanes show and where, in percent of the width.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{IntegrationId, RoleId, status::Status};

use crate::{
    audit::{Change, Course},
    pages::{
        components::Exact,
        texts::{Html, auditor::Travel},
    },
};

/// Where times are on the picture: at stops, and evenly between them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scale {
    /// Percent of the width, and microseconds since 1970; both grow.
    stops: Vec<(f64, i64)>,
}

/// A label below the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) x: String,
    pub(crate) text: String,
    /// Which side of the text is at `x`.
    pub(crate) anchor: &'static str,
}

/// The least distance between two labels, in percent: as wide as they are on a phone.
const APART: f64 = 31.0;

/// The width of the time before the first change, in percent.
const BEFORE: f64 = 3.0;

fn seconds(micros: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "it is only drawn")]
    let exact = micros as f64;
    exact / 1e6
}

pub(crate) fn percent(x: f64) -> String {
    format!("{x:.2}%")
}

impl Scale {
    /// Evenly from one time to another.
    pub(crate) fn even(from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let (from, to) = (from.timestamp_micros(), to.timestamp_micros());
        Self { stops: vec![(0.0, from), (100.0, to.max(from + 1_000_000))] }
    }

    /// From change to change: longer times are wider, but a month is not a million times as wide as a second.
    pub(crate) fn of_changes(
        times: impl IntoIterator<Item = DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        let mut times: Vec<_> = times.into_iter().map(|at| at.timestamp_micros()).collect();
        let last = times.last().copied().unwrap_or_else(|| now.timestamp_micros());
        times.push(now.timestamp_micros().max(last + 1_000_000));
        times.sort_unstable();
        times.dedup();
        let width = |pair: &[i64]| 1.0 + seconds(pair[1] - pair[0]).ln_1p();
        let whole: f64 = times.windows(2).map(width).sum();
        let first = times[0];
        let lead = (times[times.len() - 1] - first) / 20;
        let mut stops = vec![(0.0, first - lead.max(1_000_000)), (BEFORE, first)];
        let mut x = BEFORE;
        for pair in times.windows(2) {
            x += width(pair) / whole * (100.0 - BEFORE);
            stops.push((x, pair[1]));
        }
        Self { stops }
    }

    pub(crate) fn x(&self, at: DateTime<Utc>) -> f64 {
        let at = at.timestamp_micros();
        let mut before = self.stops[0];
        for stop in &self.stops {
            if at < stop.1 {
                let part = seconds(at - before.1) / seconds((stop.1 - before.1).max(1));
                return (before.0 + part * (stop.0 - before.0)).max(0.0);
            }
            before = *stop;
        }
        100.0
    }

    fn time(&self, x: f64) -> i64 {
        let mut before = self.stops[0];
        for stop in &self.stops {
            if x <= stop.0 && stop.0 > before.0 {
                let part = (x - before.0) / (stop.0 - before.0);
                let micros = seconds(stop.1 - before.1) * part * 1e6;
                #[expect(clippy::cast_possible_truncation, reason = "it is only drawn")]
                return before.1 + micros as i64;
            }
            before = *stop;
        }
        before.1
    }

    /// The stops for whoever drags the slider: `percent:microseconds` with spaces between.
    pub(crate) fn stops(&self) -> String {
        let stops: Vec<_> = self.stops.iter().map(|(x, at)| format!("{x:.3}:{at}")).collect();
        stops.join(" ")
    }

    /// Times in even steps, where a picture has a value for each.
    pub(crate) fn samples(&self, count: u32) -> Vec<(f64, DateTime<Utc>)> {
        let step = 100.0 / f64::from(count);
        (0..count)
            .map(|n| {
                let x = f64::from(n) * step;
                (x, DateTime::from_timestamp_micros(self.time(x + step / 2.0)).unwrap_or_default())
            })
            .collect()
    }

    pub(crate) fn ticks(&self) -> Vec<Tick> {
        let (first, last) = (self.stops[0], self.stops[self.stops.len() - 1]);
        let days = seconds(last.1 - first.1) / 86_400.0;
        let form = if days < 1.0 {
            "%H:%M:%S"
        } else if days < 300.0 {
            "%-d %b %H:%M"
        } else {
            "%-d %b %Y"
        };
        let text = |at: i64| {
            let at = DateTime::from_timestamp_micros(at).unwrap_or_default();
            at.format(form).to_string()
        };
        let mut places = vec![];
        let mut x = 0.0;
        for stop in &self.stops[1..] {
            if stop.0 - x >= APART && 100.0 - stop.0 >= APART {
                x = stop.0;
                places.push(*stop);
            }
        }
        // Where nothing changed for long, the middle tells that time went by.
        if places.is_empty() {
            places.push((50.0, self.time(50.0)));
        }
        let middle = places.into_iter().map(|(x, at)| Tick {
            x: percent(x),
            text: text(at),
            anchor: "middle",
        });
        let start = Tick { x: percent(0.0), text: text(first.1), anchor: "start" };
        let end = Tick { x: percent(100.0), text: text(last.1), anchor: "end" };
        [start].into_iter().chain(middle).chain([end]).collect()
    }
}

/// What a band of a lane shows; the word is its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shows {
    Paid,
    Wanted,
    Had,
    Way,
    Refused,
}

impl Shows {
    fn text(self, t: &Travel) -> &'static str {
        match self {
            Self::Paid => t.legend_paid,
            Self::Wanted => t.legend_wanted,
            Self::Had => t.legend_had,
            Self::Way => t.legend_way,
            Self::Refused => t.legend_refused,
        }
    }
}

/// A time in a lane.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Band {
    pub(crate) shows: Shows,
    from: DateTime<Utc>,
    /// `None` while it lasts.
    until: Option<DateTime<Utc>>,
}

impl Band {
    pub(crate) fn new(shows: Shows, from: DateTime<Utc>, until: Option<DateTime<Utc>>) -> Self {
        Self { shows, from, until }
    }
}

/// A band as it is drawn: what is had lies below what should be had.
pub(crate) fn drawn(scale: &Scale, band: &Band) -> Html {
    let (x, width) = Lane::place(scale, band);
    let (y, height) = match band.shows {
        Shows::Wanted => (3, 6),
        Shows::Had | Shows::Way | Shows::Refused => (13, 14),
        Shows::Paid => (8, 19),
    };
    // A pattern is named by an attribute: a style sheet would look for it in itself.
    let paint = match band.shows {
        Shows::Paid => "class=\"paid\"",
        Shows::Wanted => "class=\"wanted\"",
        Shows::Had => "class=\"had\"",
        Shows::Way => "fill=\"url(#dots)\"",
        Shows::Refused => "fill=\"url(#hatch)\"",
    };
    Html::rendered(format!(
        "<rect {paint} x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"2.5\"/>"
    ))
}

/// One role, one server or one membership over time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) bands: Vec<Band>,
}

impl Lane {
    /// A band's left side and width.
    fn place(scale: &Scale, band: &Band) -> (String, String) {
        let from = scale.x(band.from);
        let until = band.until.map_or(100.0, |until| scale.x(until));
        // What lasted for a blink can be seen too.
        (percent(from), percent((until - from).max(0.35)))
    }

    /// The lane in words, for who does not see it.
    pub(crate) fn words(&self, t: &Travel) -> String {
        let mut words = vec![];
        for band in &self.bands {
            let until = band.until.map_or_else(|| t.now.to_owned(), |until| Exact(until).text());
            words.push(format!("{}: {} – {until}", band.shows.text(t), Exact(band.from).text()));
        }
        if words.is_empty() { t.none.to_owned() } else { words.join("; ") }
    }
}

/// The lanes of one integration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    pub(crate) integration: IntegrationId,
    pub(crate) name: String,
    pub(crate) server: Option<String>,
    pub(crate) lanes: Vec<Lane>,
}

/// The times for which something is so.
fn times(changes: &[&Change], shows: Shows, is: impl Fn(&Change) -> bool) -> Vec<Band> {
    let mut bands: Vec<Band> = vec![];
    let mut running = false;
    for change in changes {
        let now = is(change);
        if now && !running {
            bands.push(Band { shows, from: change.at, until: None });
        } else if !now
            && running
            && let Some(last) = bands.last_mut()
        {
            last.until = Some(change.at);
        }
        running = now;
    }
    bands
}

fn lane(
    name: &str,
    changes: &[&Change],
    wants: impl Fn(&Change) -> bool,
    has: impl Fn(&Change) -> bool,
) -> Lane {
    let open = |change: &Change| wants(change) != has(change);
    let refused = |change: &Change| {
        let stuck = [Status::Blocked, Status::ActionRequired, Status::RevokeBlocked];
        open(change) && change.status.is_some_and(|status| stuck.contains(&status))
    };
    let mut bands = times(changes, Shows::Wanted, &wants);
    bands.extend(times(changes, Shows::Had, &has));
    bands.extend(times(changes, Shows::Way, |change| open(change) && !refused(change)));
    bands.extend(times(changes, Shows::Refused, refused));
    // What was over before any time went by shows nothing.
    bands.retain(|band| band.until != Some(band.from));
    Lane { name: name.to_owned(), bands }
}

/// A fan's lanes, by integration; and what they paid for.
pub(crate) fn of_fan(t: &Travel, course: &Course) -> (Vec<Lane>, Vec<Group>) {
    let mut paid: Vec<Lane> = vec![];
    for time in &course.paid {
        let band = Band { shows: Shows::Paid, from: time.from, until: time.until };
        let name = format!("{} · {}", time.tier, time.creator);
        match paid.iter_mut().find(|lane| lane.name == name) {
            Some(lane) => lane.bands.push(band),
            None => paid.push(Lane { name, bands: vec![band] }),
        }
    }
    let mut by: BTreeMap<IntegrationId, Vec<&Change>> = BTreeMap::new();
    for change in &course.changes {
        if let Some(id) = change.integration {
            by.entry(id).or_default().push(change);
        }
    }
    let groups = by.into_iter().map(|(id, changes)| {
        let (name, server) = course.integrations.get(&id).cloned().unwrap_or_default();
        Group { integration: id, name, server, lanes: lanes(t, &changes) }
    });
    (paid, groups.collect())
}

fn lanes(t: &Travel, changes: &[&Change]) -> Vec<Lane> {
    let mut roles: Vec<(RoleId, String)> = vec![];
    for change in changes {
        let had = change.had.iter().flat_map(|had| had.roles.iter().chain(&had.kept));
        for role in change.desired.roles.iter().chain(had) {
            if !roles.iter().any(|(id, _)| *id == role.id) {
                let name = role.name.clone().unwrap_or_else(|| role.id.to_string());
                roles.push((role.id, name));
            }
        }
    }
    let inside = |change: &Change| change.had.as_ref().is_some_and(|had| had.present == Some(true));
    let mut lanes = vec![lane(t.lane_present, changes, |change| change.desired.present, inside)];
    for (id, name) in roles {
        let wants = |change: &Change| change.desired.roles.iter().any(|role| role.id == id);
        let has = |change: &Change| {
            let had = change.had.as_ref();
            had.is_some_and(|had| had.roles.iter().chain(&had.kept).any(|role| role.id == id))
        };
        lanes.push(lane(&name, changes, wants, has));
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_time_is_where_the_slider_finds_it() {
        let scale = Scale::of_changes([at(0), at(1), at(3_600), at(2_592_000)], at(2_600_000));
        for time in [at(0), at(1), at(1_800), at(3_600), at(1_000_000), at(2_592_000)] {
            let x = scale.x(time);
            assert!((0.0..=100.0).contains(&x));
            assert!((scale.time(x) - time.timestamp_micros()).abs() < 2_000_000, "{time} {x}");
        }
        assert!(scale.x(at(1)) - scale.x(at(0)) > 2.0, "a second can be seen beside a month");
        assert!(scale.x(at(2_592_000)) - scale.x(at(3_600)) > scale.x(at(1)) - scale.x(at(0)));
    }

    #[test]
    fn labels_never_overlap() {
        let many = (0..500).map(|n| at(n * 7_000));
        for scale in [Scale::of_changes(many, at(9_000_000)), Scale::even(at(0), at(5))] {
            let xs: Vec<f64> = scale
                .ticks()
                .iter()
                .map(|tick| tick.x.trim_end_matches('%').parse().unwrap())
                .collect();
            assert!(xs.windows(2).all(|pair| pair[1] - pair[0] >= APART), "{xs:?}");
        }
    }
}
