//! A writing process is killed, many times: nothing that was acknowledged is lost, and nothing is torn.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use eventstore::{Clock, Log, Mode, Position, Recorded, Store, StoreOptions};

use crate::{
    conformance::{append, write},
    sqlite::Folder,
};

const FOLDER: &str = "CRASH_TEST_FOLDER";
const ROUNDS: usize = 20;
const WRITERS: usize = 8;

async fn open(folder: &Path) -> Store {
    let options = StoreOptions { clock: Clock::system(), master_key: None, mode: Mode::Serve };
    Store::open(folder, options).await.unwrap()
}

/// Appends for ever, and says of each append where it was acknowledged. Every append goes to two streams.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the process that the test below starts and kills"]
async fn writes_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let store = open(Path::new(&folder)).await;
    for writer in 0..WRITERS {
        tokio::spawn(write_for_ever(store.log().clone(), writer));
    }
    // Until it is killed.
    std::future::pending::<()>().await;
}

#[expect(clippy::print_stdout, reason = "the test reads what was acknowledged")]
async fn write_for_ever(log: Log, writer: usize) {
    let (left, right) = (format!("{writer}-left"), format!("{writer}-right"));
    let known = log.read_stream(&crate::conformance::stream(&left), 0).await.unwrap();
    let mut version = known.len() as u64;
    loop {
        let data = version.to_string();
        let both = vec![write(&left, version, &[&data]), write(&right, version, &[&data])];
        let done = log.append(append(both, Some(&format!("{writer}:{version}")))).await.unwrap();
        println!("ack {} {left} {version}", done.first);
        version += 1;
    }
}

#[tokio::test]
async fn killing_the_process_loses_nothing_that_was_acknowledged_and_tears_nothing() {
    let folder = Folder::new();
    drop(folder.open().await);
    let mut acknowledged: BTreeMap<u64, (String, String)> = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::writes_until_it_is_killed", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        // Another moment in every round.
        let mut left = 10 + round * 17;
        while left > 0 {
            let line = lines.next().unwrap().unwrap();
            left -= usize::from(take(&mut acknowledged, &line));
        }
        process.kill().unwrap();
        // What it had said before it died counts too; the last line may be cut off.
        let mut rest: Vec<String> = lines.map_while(Result::ok).collect();
        rest.pop();
        for line in rest {
            take(&mut acknowledged, &line);
        }
        process.wait().unwrap();
        check(&folder.path(), &acknowledged).await;
    }
    assert!(acknowledged.len() > ROUNDS * 10);
}

fn take(acknowledged: &mut BTreeMap<u64, (String, String)>, line: &str) -> bool {
    let Some(said) = line.split("ack ").nth(1) else { return false };
    let parts: Vec<&str> = said.split(' ').collect();
    let [position, stream, version] = parts.as_slice() else { return false };
    acknowledged
        .insert(position.parse().unwrap(), (format!("test/{stream}"), format!("\"{version}\"")));
    true
}

async fn check(folder: &Path, acknowledged: &BTreeMap<u64, (String, String)>) {
    let store = open(folder).await;
    let mut events: Vec<std::sync::Arc<Recorded>> = vec![];
    loop {
        let after = events.last().map_or(Position(0), |last| last.position);
        let read = store.log().read_after(after, 1_000).await.unwrap();
        if read.is_empty() {
            break;
        }
        events.extend(read);
    }
    for (event, position) in events.iter().zip(1..) {
        assert_eq!(event.position.0, position, "gapless");
    }
    for (position, (stream, data)) in acknowledged {
        let event = &events[usize::try_from(*position).unwrap() - 1];
        assert_eq!(
            (event.stream.as_str(), &*event.data),
            (stream.as_str(), data.as_str()),
            "acknowledged at {position}"
        );
    }
    // Both halves of every append are there, next to each other.
    for pair in events.chunks(2) {
        let [left, right] = pair else { panic!("half an append at {}", pair[0].position) };
        assert_eq!((left.version, &left.data), (right.version, &right.data));
        assert!(left.stream.as_str().ends_with("left") && right.stream.as_str().ends_with("right"));
    }
    let stopped = store.log().stopped();
    drop(store);
    stopped.cancelled().await;
}
