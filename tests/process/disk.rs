//! A disk that is full, and one that fails: what was acknowledged is kept, and nothing that is not kept is acknowledged.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::hub::{Hub, binary};

/// `fsync` and `fdatasync` of the C library, which fail once a file is there.
const BROKEN_SYNC: &str = r#"
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int sync_or_fail(long call, int file) {
    const char *broken = getenv("BROKEN_DISK");
    if (broken && access(broken, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    return syscall(call, file);
}

int fsync(int file) { return sync_or_fail(SYS_fsync, file); }
int fdatasync(int file) { return sync_or_fail(SYS_fdatasync, file); }
"#;

impl Hub {
    /// Reports newer and newer versions of one membership until one is not acknowledged; answers the last that was.
    async fn reports_until_refused(&self) -> u64 {
        let mut acknowledged = 0;
        for version in 1..20_000_u64 {
            let body = json!({ "fan": "ada", "creator": "kim", "tier": "gold", "status": "active", "version": version });
            let answer =
                self.request(Method::PUT, "/v1/memberships/ada-gold").json(&body).send().await;
            match answer {
                Ok(answer) if answer.status().is_success() => acknowledged = version,
                Ok(answer) => {
                    assert!(answer.status().is_server_error(), "{}", answer.status());
                    return acknowledged;
                }
                Err(_) => return acknowledged,
            }
        }
        panic!("the disk took everything");
    }

    /// What was acknowledged is there, and the log takes more.
    async fn has_kept(&self, acknowledged: u64) {
        let known = self.get("/v1/memberships/ada-gold").await;
        let version = known["state"]["version"].as_u64().unwrap();
        assert!(version >= acknowledged, "{version} of {acknowledged}");
        self.reports("ada", "active", version + 1).await;
        self.run(&["views", "verify"]).await;
    }

    async fn has_a_tier(&self) {
        self.put("/v1/creators/kim/tiers/gold", json!({ "name": "Gold" })).await;
    }
}

/// The last line that a process said.
fn last_line(said: &Path) -> String {
    std::fs::read_to_string(said).unwrap().lines().last().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_not_grow_costs_nothing_that_was_acknowledged() {
    let mut hub = Hub::start().await;
    hub.has_a_tier().await;
    hub.kill().await;
    // No file may grow beyond what this allows.
    let mut limited = Command::new("sh");
    let line =
        format!("ulimit -f 1024; trap '' XFSZ; exec {} serve --listen 127.0.0.1:0", binary());
    let inherited = hub.command(&[]);
    limited.args(["-c", &line]);
    limited.envs(inherited.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    let errors = hub.data().with_extension("errors");
    limited.stderr(std::fs::File::create(&errors).unwrap());
    hub.serve_with(limited).await;
    let acknowledged = hub.reports_until_refused().await;
    assert!((10..4_000).contains(&acknowledged), "{acknowledged}");
    assert!(!hub.ended().await.success());
    let last = last_line(&errors);
    assert!(last.starts_with("hub: ") && last.contains("disk"), "{last}");
    hub.serve().await;
    hub.has_kept(acknowledged).await;
}

/// A small file system in memory, at a folder.
struct Small(PathBuf);

impl Small {
    /// `None` where this user may not mount one.
    async fn mount(folder: &Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let mount = ["-t", "tmpfs", "-o", &options, "tmpfs"];
        let done = Command::new("mount").args(mount).arg(folder).output().await.ok()?;
        done.status.success().then(|| Self(folder.to_owned()))
    }

    async fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        let done = Command::new("mount").args(["-o", &options]).arg(&self.0).status().await;
        assert!(done.unwrap().success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_costs_nothing_that_was_acknowledged() {
    let mut hub = Hub::start().await;
    hub.kill().await;
    let folder = TempDir::new().unwrap();
    let Some(disk) = Small::mount(folder.path(), "4m").await else {
        println!("skipped: this user may not mount a small disk; run it as root");
        return;
    };
    hub.move_to(&folder.path().join("data"));
    hub.serve().await;
    hub.has_a_tier().await;
    let acknowledged = hub.reports_until_refused().await;
    assert!(acknowledged >= 10, "{acknowledged}");
    hub.kill().await;
    disk.resize("64m").await;
    hub.serve().await;
    hub.has_kept(acknowledged).await;
    hub.kill().await;
    drop(disk);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_to_keep_an_append_stops_the_log_before_it_is_acknowledged() {
    let mut hub = Hub::start().await;
    hub.has_a_tier().await;
    hub.kill().await;
    let folder = hub.data().parent().unwrap().to_owned();
    let (source, library) = (folder.join("sync.c"), folder.join("sync.so"));
    std::fs::write(&source, BROKEN_SYNC).unwrap();
    let mut build = Command::new("cc");
    build.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    assert!(build.status().await.unwrap().success());
    let (broken, errors) = (folder.join("broken"), folder.join("errors"));
    let mut failing = hub.command(&["serve", "--listen", "127.0.0.1:0"]);
    failing.env("LD_PRELOAD", &library).env("BROKEN_DISK", &broken);
    failing.stderr(std::fs::File::create(&errors).unwrap());
    hub.serve_with(failing).await;
    hub.reports("ada", "active", 1).await;
    std::fs::write(&broken, "").unwrap();
    assert_eq!(hub.reports_until_refused().await, 1, "saying the same again needs no disk");
    assert!(!hub.ended().await.success());
    let last = last_line(&errors);
    assert!(last.starts_with("hub: ") && last.contains("disk"), "{last}");
    hub.serve().await;
    hub.has_kept(1).await;
}
