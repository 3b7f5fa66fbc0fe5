//! `hub demo --once`: the main job from nothing, in one process, and nothing left behind but what was asked for.

use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

use crate::hub::{PATIENCE, binary};

/// Plays the demo once, with a folder for what is temporary; answers what it told.
async fn played(temporary: &TempDir, more: &[&str]) -> String {
    let mut demo = Command::new(binary());
    demo.args(["demo", "--once", "--listen", "127.0.0.1:0", "--sandbox", "127.0.0.1:0"])
        .args(more)
        .env_clear()
        .env("TMPDIR", temporary.path())
        .current_dir(temporary.path())
        .kill_on_drop(true);
    let output = timeout(PATIENCE, demo.output()).await.unwrap().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    said
}

#[tokio::test]
async fn the_demo_shows_the_main_job_and_ends() {
    let temporary = TempDir::new().unwrap();
    let said = played(&temporary, &[]).await;
    let mut after = said.as_str();
    for step in [
        "status \"connected\", server \"Kim's Club\"",
        "Gold: cannot be given.",
        "Gold: can be given",
        "ada is not in Kim's Club",
        "ada is in Kim's Club with Gold",
        "ada is not in Kim's Club",
        "fan_access: equal at position",
        "nothing of it is kept. Without --once it stays up",
    ] {
        let at = after.find(step).unwrap_or_else(|| panic!("{step:?} does not follow:\n{said}"));
        after = &after[at + step.len()..];
    }
    assert!(!after.contains("curl"), "nothing is left to go on with:\n{after}");
    let left: Vec<_> = std::fs::read_dir(temporary.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_demo_whose_folder_is_named_keeps_it_and_says_so() {
    let temporary = TempDir::new().unwrap();
    for gone_on_with in [false, true] {
        let said = played(&temporary, &["--folder", "kept"]).await;
        let ending = "Its log stays in kept; for the main job from its beginning, name another";
        assert!(said.contains(ending) && !said.contains("nothing of it is kept"), "{said}");
        assert_eq!(said.contains("It goes on with the log in kept"), gone_on_with, "{said}");
        assert!(temporary.path().join("kept").join("hub.sqlite").exists());
    }
}
