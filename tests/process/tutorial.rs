//! The commands of the tutorial are run as they stand there.

use std::process::Stdio;

use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpListener, process::Command, time::timeout};

use crate::hub::{PATIENCE, binary};

/// The shell blocks of a page, in their order.
fn commands(page: &str) -> String {
    let mut inside = false;
    let mut script = String::from("set -euo pipefail\n");
    for line in page.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside => {
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
    }
    script
}

async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn the_commands_of_the_tutorial_work() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/tutorial.md")).unwrap();
    let script = commands(&page)
        .replace("8080", &free_port().await.to_string())
        .replace("8090", &free_port().await.to_string());
    assert!(script.contains("hub serve"));
    let folder = TempDir::new().unwrap();
    let path = format!(
        "{}:{}",
        std::path::Path::new(binary()).parent().unwrap().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut shell = Command::new("bash")
        .current_dir(folder.path())
        .env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = shell.stdin.take().unwrap();
    input.write_all(script.as_bytes()).await.unwrap();
    drop(input);
    let output = timeout(PATIENCE, shell.wait_with_output()).await.unwrap().unwrap();
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{errors}");
    // What the page promises its reader to see.
    for promised in page.lines().filter_map(|line| line.strip_prefix("> ")) {
        assert!(said.contains(promised), "the tutorial promises {promised:?}:\n{said}\n{errors}");
    }
}
