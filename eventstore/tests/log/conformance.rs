//! What every engine of the log must keep. A second engine runs through it unchanged: `conformance!(name, Place)`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::DateTime;
use domain::StreamName;
use eventstore::{
    Actor, Append, AppendError, AppendKey, Appended, Log, Metadata, NewEvent, Position, Recorded,
    Write,
};
use uuid::Uuid;

pub(crate) fn stream(name: &str) -> StreamName {
    StreamName::new("test", name)
}

pub(crate) fn event(data: &str) -> NewEvent {
    NewEvent { kind: "Happened".into(), schema: 1, data: format!("\"{data}\"").into() }
}

pub(crate) fn metadata() -> Metadata {
    let at = DateTime::from_timestamp(1_800_000_000, 5_000).unwrap();
    Metadata { at, actor: Actor::Platform, correlation: Uuid::from_u128(7) }
}

pub(crate) fn write(name: &str, expected: u64, data: &[&str]) -> Write {
    Write { stream: stream(name), expected, events: data.iter().map(|data| event(data)).collect() }
}

pub(crate) fn append(writes: Vec<Write>, key: Option<&str>) -> Append {
    let key = key.map(|key| AppendKey { key: key.into(), request_hash: [1; 32], answer: None });
    Append { writes, metadata: metadata(), key }
}

fn positions(events: &[Arc<Recorded>]) -> Vec<u64> {
    events.iter().map(|event| event.position.0).collect()
}

pub(crate) async fn an_append_is_read_back_as_it_was_written(log: Log) {
    let appended = log.append(append(vec![write("a", 0, &["1", "2"])], None)).await.unwrap();
    assert_eq!(appended, Appended { first: Position(1), last: Position(2), replayed: false });
    let read = log.read_stream(&stream("a"), 0).await.unwrap();
    assert_eq!(positions(&read), [1, 2]);
    let second = &read[1];
    assert_eq!((second.version, &*second.kind, second.schema), (2, "Happened", 1));
    assert_eq!((&*second.data, &second.metadata), ("\"2\"", &metadata()));
    assert_eq!(positions(&log.read_stream(&stream("a"), 1).await.unwrap()), [2]);
    assert_eq!(log.read_stream(&stream("b"), 0).await.unwrap(), []);
}

pub(crate) async fn an_append_at_another_version_than_expected_is_refused_and_burns_no_position(
    log: Log,
) {
    log.append(append(vec![write("a", 0, &["1"])], None)).await.unwrap();
    for expected in [0, 2, 9] {
        let refused = log.append(append(vec![write("a", expected, &["x"])], None)).await;
        assert_eq!(refused, Err(AppendError::Conflict { stream: stream("a") }), "{expected}");
    }
    let next = log.append(append(vec![write("a", 1, &["2"])], None)).await.unwrap();
    assert_eq!(next.first, Position(2));
}

pub(crate) async fn an_append_to_several_streams_is_whole_or_not_at_all(log: Log) {
    let both = |a, b| append(vec![write("a", a, &["a"]), write("b", b, &["b1", "b2"])], None);
    log.append(both(0, 0)).await.unwrap();
    assert_eq!(log.append(both(1, 0)).await, Err(AppendError::Conflict { stream: stream("b") }));
    assert_eq!(log.read_stream(&stream("a"), 0).await.unwrap().len(), 1);
    assert_eq!(log.append(both(1, 2)).await.unwrap().last, Position(6));
}

pub(crate) async fn a_decision_can_stand_on_a_stream_that_it_only_read(log: Log) {
    log.append(append(vec![write("a", 0, &["1"])], None)).await.unwrap();
    let standing_on = |a, b| append(vec![write("b", b, &["x"]), write("a", a, &[])], None);
    log.append(standing_on(1, 0)).await.unwrap();
    assert_eq!(
        log.append(standing_on(0, 1)).await,
        Err(AppendError::Conflict { stream: stream("a") })
    );
}

pub(crate) async fn a_key_answers_what_it_came_to_the_first_time(log: Log) {
    let first = log.append(append(vec![write("a", 0, &["1"])], Some("k"))).await.unwrap();
    let again = log.append(append(vec![write("a", 0, &["1"])], Some("k"))).await.unwrap();
    assert_eq!(again, Appended { replayed: true, ..first });
    let mut other = append(vec![write("a", 1, &["2"])], Some("k"));
    other.key.as_mut().unwrap().request_hash = [2; 32];
    assert_eq!(log.append(other).await, Err(AppendError::KeyReused));
    // A refused append does not use its key up.
    log.append(append(vec![write("a", 0, &["2"])], Some("l"))).await.unwrap_err();
    assert!(!log.append(append(vec![write("a", 1, &["2"])], Some("l"))).await.unwrap().replayed);
    // Several events under one key, and none.
    let pair = || append(vec![write("b", 0, &["1"]), write("c", 0, &["1"])], Some("pair"));
    let first = log.append(pair()).await.unwrap();
    assert_eq!(log.append(pair()).await.unwrap(), Appended { replayed: true, ..first });
    assert!(log.append(append(vec![], Some("nothing"))).await.unwrap().last == log.head());
}

pub(crate) async fn appends_that_come_at_once_are_answered_each_for_itself(log: Log) {
    let first = log.append(append(vec![write("a", 0, &["1"])], Some("k"))).await.unwrap();
    let (busy, new, repeated, conflict, taken, twice, other) = tokio::join!(
        // While this one is on its way to the disk, the others gather.
        log.append(append(vec![write("busy", 0, &["1"])], None)),
        log.append(append(vec![write("b", 0, &["1"])], Some("l"))),
        log.append(append(vec![write("a", 0, &["1"])], Some("k"))),
        log.append(append(vec![write("a", 0, &["2"])], None)),
        log.append(append(vec![write("c", 0, &["1"])], Some("k"))),
        log.append(append(vec![write("b", 0, &["1"])], Some("l"))),
        log.append(append(vec![write("c", 0, &["1"])], Some("m"))),
    );
    assert!(busy.is_ok());
    let (new, other) = (new.unwrap(), other.unwrap());
    assert_eq!(repeated, Ok(Appended { replayed: true, ..first }));
    assert_eq!(conflict, Err(AppendError::Conflict { stream: stream("a") }));
    // The key names the request that it came with first, whatever comes with it again.
    assert_eq!(taken, Ok(Appended { replayed: true, ..first }));
    assert_eq!(twice, Ok(Appended { replayed: true, ..new }));
    assert_eq!(log.head(), other.last);
    assert_eq!(log.head(), Position(4));
}

pub(crate) async fn an_append_of_many_events_is_one_append(log: Log) {
    let many: Vec<String> = (0..1_300).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let done = log.append(append(vec![write("a", 0, &many)], Some("k"))).await.unwrap();
    assert_eq!(done.last.0, 1_300);
    let read = log.read_stream(&stream("a"), 0).await.unwrap();
    let data: Vec<&str> = read.iter().map(|event| event.data.trim_matches('"')).collect();
    assert_eq!(data, many);
}

pub(crate) async fn the_log_is_read_in_order_after_any_position_in_parts_of_any_size(log: Log) {
    for n in 0..10 {
        let name = ["a", "b", "c"][n % 3];
        let expected = u64::try_from(n / 3).unwrap();
        log.append(append(vec![write(name, expected, &["x"])], None)).await.unwrap();
    }
    for after in 0..=10 {
        for limit in [1, 3, 100] {
            let read = log.read_after(Position(after), limit).await.unwrap();
            let wanted: Vec<u64> = (after + 1..=10).take(limit).collect();
            assert_eq!(positions(&read), wanted);
        }
    }
    assert_eq!(log.head(), Position(10));
}

pub(crate) async fn the_last_event_of_a_name_is_found_up_to_any_version(log: Log) {
    let named = |kind: &str| NewEvent { kind: kind.into(), schema: 1, data: "0".into() };
    let events = ["Seen", "Said", "Seen", "Said"].map(named).to_vec();
    let written = Write { stream: stream("a"), expected: 0, events };
    log.append(append(vec![written, write("b", 0, &["1"])], None)).await.unwrap();
    for (up_to, wanted) in [(0, None), (1, Some(1)), (2, Some(1)), (3, Some(3)), (9, Some(3))] {
        let last = log.last_of(&stream("a"), "Seen", up_to).await.unwrap();
        assert_eq!(last.map(|event| event.version), wanted, "{up_to}");
    }
    assert_eq!(log.last_of(&stream("b"), "Seen", 9).await.unwrap(), None);
}

pub(crate) async fn too_much_at_once_is_refused_before_anything_is_written(log: Log) {
    let huge = "x".repeat(1 << 20);
    let refused = log.append(append(vec![write("a", 0, &[&huge])], None)).await;
    assert_eq!(refused, Err(AppendError::TooLarge));
    assert_eq!(log.head(), Position(0));
}

/// The law of the log: whoever follows it with nothing but a position sees exactly what was acknowledged, once
/// and in order, while many write at the same time and some of them are refused.
pub(crate) async fn a_reader_that_keeps_only_its_position_sees_all_that_was_committed_in_order(
    log: Log,
) {
    const WRITERS: usize = 16;
    const EACH: usize = 40;

    let mut reader = log.subscribe(Position(0));
    let reading = tokio::spawn(async move {
        let mut seen: Vec<Arc<Recorded>> = vec![];
        while seen.last().is_none_or(|last| &*last.data != "\"end\"") {
            seen.extend(reader.next().await.unwrap());
        }
        seen
    });
    let mut tasks = vec![];
    for writer in 0..WRITERS {
        let log = log.clone();
        tasks.push(tokio::spawn(async move {
            let mut acknowledged = vec![];
            for n in 0..EACH {
                // Few streams, so that writers meet; now and then two of them at once.
                let names: Vec<String> = (0..=usize::from(n % 5 == 0))
                    .map(|k| format!("s{}", (writer + n + k) % 5))
                    .collect();
                let data = format!("{writer}:{n}");
                loop {
                    let mut writes = vec![];
                    for name in &names {
                        let known = log.read_stream(&stream(name), 0).await.unwrap().len();
                        writes.push(write(name, known as u64, &[&data]));
                    }
                    let key = format!("key:{data}");
                    match log.append(append(writes, Some(&key))).await {
                        Ok(appended) => {
                            acknowledged.push((data, appended));
                            break;
                        }
                        Err(AppendError::Conflict { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            acknowledged
        }));
    }
    let mut acknowledged = vec![];
    for task in tasks {
        acknowledged.extend(task.await.unwrap());
    }
    log.append(append(vec![write("end", 0, &["end"])], None)).await.unwrap();
    let seen = reading.await.unwrap();

    assert_eq!(
        positions(&seen),
        (1..=seen.len() as u64).collect::<Vec<_>>(),
        "gapless, in order, once"
    );
    let mut versions: BTreeMap<&str, u64> = BTreeMap::new();
    for event in &seen {
        let version = versions.entry(event.stream.as_str()).or_default();
        *version += 1;
        assert_eq!(event.version, *version, "{}", event.stream);
    }
    let written: BTreeSet<(u64, String)> = seen
        .iter()
        .filter(|event| &*event.data != "\"end\"")
        .map(|event| (event.position.0, event.data.to_string()))
        .collect();
    let told: BTreeSet<(u64, String)> = acknowledged
        .iter()
        .flat_map(|(data, at)| {
            (at.first.0..=at.last.0).map(move |position| (position, format!("\"{data}\"")))
        })
        .collect();
    assert_eq!(written, told, "what was acknowledged, and nothing else");
}

/// Runs the suite against an engine. `$place` has `new() -> Self` and `async open(&self) -> Store`.
macro_rules! conformance {
    ($engine:ident, $place:ty) => {
        mod $engine {
            use super::conformance;

            conformance::rules! { $place:
                an_append_is_read_back_as_it_was_written,
                an_append_at_another_version_than_expected_is_refused_and_burns_no_position,
                an_append_to_several_streams_is_whole_or_not_at_all,
                a_decision_can_stand_on_a_stream_that_it_only_read,
                a_key_answers_what_it_came_to_the_first_time,
                appends_that_come_at_once_are_answered_each_for_itself,
                an_append_of_many_events_is_one_append,
                the_log_is_read_in_order_after_any_position_in_parts_of_any_size,
                the_last_event_of_a_name_is_found_up_to_any_version,
                too_much_at_once_is_refused_before_anything_is_written,
                a_reader_that_keeps_only_its_position_sees_all_that_was_committed_in_order,
            }

            #[tokio::test]
            async fn what_was_written_is_there_after_opening_again() {
                use conformance::{append, write};

                let place = <$place>::new();
                let store = place.open().await;
                let first = store
                    .log()
                    .append(append(vec![write("a", 0, &["1"])], Some("k")))
                    .await
                    .unwrap();
                let stopped = store.log().stopped();
                drop(store);
                // The writer lets go of the file once nobody can append any more.
                stopped.cancelled().await;
                let store = place.open().await;
                assert_eq!(store.log().head(), first.last);
                let again = store
                    .log()
                    .append(append(vec![write("a", 0, &["1"])], Some("k")))
                    .await
                    .unwrap();
                assert!(again.replayed && again.last == first.last);
                for expected in [0, 2] {
                    let refused = append(vec![write("a", expected, &["2"])], None);
                    assert!(store.log().append(refused).await.is_err(), "{expected}");
                }
                let next =
                    store.log().append(append(vec![write("a", 1, &["2"])], None)).await.unwrap();
                assert_eq!(next.first.0, first.last.0 + 1);
            }
        }
    };
}

macro_rules! rules {
    ($place:ty: $($rule:ident),* $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $rule() {
            let place = <$place>::new();
            let store = place.open().await;
            super::conformance::$rule(store.log().clone()).await;
        })*
    };
}

pub(crate) use {conformance, rules};
