//! `hub sign-in`: a link for whoever works for the platform and can open the data folder.

use api::{Staff, sign_in_path};
use eventstore::Mode;
use url::Url;

use super::say;
use crate::config::{DataArgs, values};

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Who {
    Auditor,
    Operator,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whom to sign in.
    #[arg(value_enum)]
    who: Who,

    /// Where browsers reach the Hub.
    #[arg(
        long,
        env = "HUB_PUBLIC_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        value_parser = values::base
    )]
    public_url: Url,

    #[command(flatten)]
    data: DataArgs,
}

pub(super) async fn run(Args { who, public_url, data }: Args) -> anyhow::Result<()> {
    let store = data.open(Mode::Beside).await?;
    let staff = match who {
        Who::Auditor => Staff::Auditor,
        Who::Operator => Staff::Operator,
    };
    let path = sign_in_path(&store, staff).await?;
    say(format_args!("{}{path}", public_url.as_str().trim_end_matches('/')));
    Ok(())
}
