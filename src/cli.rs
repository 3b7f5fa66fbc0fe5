//! The command line: one file for each group of commands.

mod audit;
mod bot;
mod demo;
mod doctor;
mod keys;
mod sandbox;
mod serve;
mod sign_in;
mod views;

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    config,
    telemetry::{self, LogFormat},
};

/// Connects creators' Discord servers to the memberships that their fans pay for.
#[derive(Debug, Parser)]
#[command(name = "hub", version, max_term_width = 100)]
struct Top {
    /// A settings file; without it, `hub.toml` where there is one.
    #[arg(long, global = true, env = "HUB_CONFIG", value_name = "FILE")]
    config: Option<std::path::PathBuf>,

    /// What is logged, for example `info,bot=debug`.
    #[arg(long, global = true, env = "HUB_LOG", value_name = "FILTER", default_value = "info")]
    log: String,

    /// How log lines are written, on standard error.
    #[arg(long, global = true, env = "HUB_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play the main job once in a small world of its own, and stay up to be tried by hand.
    Demo(demo::Args),
    /// Run the service.
    Serve(Box<serve::Args>),
    /// Run a bot process of its own, over REST, with no database.
    Bot(bot::Args),
    /// Run a small Discord that stands in for the real one.
    Sandbox(sandbox::Args),
    /// Make, list and revoke API keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// List, rebuild and verify the views.
    #[command(subcommand)]
    Views(views::Command),
    /// Tell who had access when, and why.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Print a link that signs an auditor or the operator in to the pages, once and within five minutes.
    SignIn(sign_in::Args),
    /// Check the configuration, the stores and Discord, and say what to do.
    Doctor(doctor::Args),
}

/// Runs what the command line asks for.
pub fn run() -> ExitCode {
    let arguments = std::env::args().collect();
    let Top { command, log, log_format, .. } = match config::parse::<Top>(arguments) {
        Ok(top) => top,
        Err(error) => return failed(&error),
    };
    telemetry::start(&log, log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let done = runtime.block_on(async {
        match command {
            Command::Demo(args) => demo::run(args).await,
            Command::Serve(args) => serve::run(*args).await,
            Command::Bot(args) => bot::run(args).await,
            Command::Sandbox(args) => sandbox::run(args).await,
            Command::Keys(command) => keys::run(command).await,
            Command::Views(command) => views::run(command).await,
            Command::Audit(command) => audit::run(command).await,
            Command::SignIn(args) => sign_in::run(args).await,
            Command::Doctor(args) => doctor::run(args).await,
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// One line that says what happened and what to do, and a code that is not zero.
fn failed(error: &anyhow::Error) -> ExitCode {
    let mut line = String::from("hub");
    for cause in error.chain().map(ToString::to_string) {
        // Many an error tells its cause itself.
        if !line.contains(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
    }
    let _ = writeln!(std::io::stderr(), "{line}");
    ExitCode::FAILURE
}

/// Writes a line for the reader. Whoever closed the pipe has read enough.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Ends when the process is asked to end.
async fn asked_to_end() {
    let interrupted = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupted.await;
        }
    }
}
