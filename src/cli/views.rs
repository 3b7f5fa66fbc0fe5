//! `hub views`: where the views stand; rebuilt beside the live ones; proven equal to the log.

use std::{io::IsTerminal, path::Path};

use anyhow::bail;
use eventstore::{Mode, Store};
use indicatif::{ProgressBar, ProgressStyle};
use projections::{Progress, VIEWS, Views};

use super::say;
use crate::config::DataArgs;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show where each view stands.
    List {
        #[command(flatten)]
        data: DataArgs,
    },
    /// Build views anew beside the live ones, which then give way to them.
    Rebuild {
        /// One view; all of them where it is missing.
        name: Option<String>,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Build views aside and prove that the live ones equal them.
    Verify {
        /// One view; all of them where it is missing.
        name: Option<String>,
        #[command(flatten)]
        data: DataArgs,
    },
}

/// How far something is: a bar on a terminal, plain lines elsewhere.
struct Shown {
    name: String,
    bar: Option<ProgressBar>,
    told: u64,
}

impl Shown {
    fn new(name: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = "{prefix:<14} [{bar:40}] {pos}/{len} events  {per_sec}  {eta} left";
            let style = ProgressStyle::with_template(style)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_prefix(name.to_owned()).with_style(style.progress_chars("=> "))
        });
        Self { name: name.to_owned(), bar, told: 0 }
    }

    fn progress(&mut self, Progress { done, head }: Progress) {
        if let Some(bar) = &self.bar {
            bar.set_length(head.0);
            bar.set_position(done.0);
        } else if let Some(percent) = (done.0 * 100).checked_div(head.0)
            && percent >= self.told + 10
        {
            self.told = percent - percent % 10;
            say(format_args!("{}: {}% ({done} of {head} events)", self.name, self.told));
        }
    }

    fn done(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn chosen(name: Option<String>) -> Vec<String> {
    name.map_or_else(|| VIEWS.map(str::to_owned).to_vec(), |name| vec![name])
}

pub(super) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List { data } => {
            let store = data.open(Mode::Beside).await?;
            say(format_args!("{:<16}{:>8}{:>12}{:>8}", "VIEW", "VERSION", "POSITION", "LAG"));
            for view in Views::list(&data.views(), &store).await? {
                let lag = view.head.0.saturating_sub(view.position.0);
                say(format_args!(
                    "{:<16}{:>8}{:>12}{lag:>8}",
                    view.name,
                    view.version,
                    view.position.to_string()
                ));
            }
            Ok(())
        }
        Command::Rebuild { name, data } => {
            let store = data.open(Mode::Beside).await?;
            for name in chosen(name) {
                let mut shown = Shown::new(&name);
                let folder = data.views();
                let position =
                    Views::rebuild(&folder, &store, &name, |progress| shown.progress(progress))
                        .await?;
                shown.done();
                say(format_args!("{name}: rebuilt at position {position}"));
            }
            Ok(())
        }
        Command::Verify { name, data } => {
            verify(&data.open(Mode::Beside).await?, &data.views(), chosen(name)).await
        }
    }
}

async fn verify(store: &Store, folder: &Path, names: Vec<String>) -> anyhow::Result<()> {
    let mut wrong = vec![];
    for name in names {
        let mut shown = Shown::new(&name);
        let verdict =
            Views::verify(folder, store, &name, |progress| shown.progress(progress)).await?;
        shown.done();
        if verdict.differences.is_empty() {
            say(format_args!(
                "{name}: equal at position {}, {} rows",
                verdict.position, verdict.rows
            ));
        } else {
            for difference in &verdict.differences {
                say(format_args!("{name}: {difference:?}"));
            }
            wrong.push(name);
        }
    }
    if !wrong.is_empty() {
        bail!("not equal to the log: {}; rebuild with `hub views rebuild`", wrong.join(", "));
    }
    Ok(())
}
