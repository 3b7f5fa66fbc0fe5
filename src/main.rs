//! The one binary, `hub`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hub::cli::run()
}
