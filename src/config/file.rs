//! The settings file: what it sets becomes the defaults of the options of the same names.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::{Command, CommandFactory, FromArgMatches};

/// The settings file: `--config FILE`, else `HUB_CONFIG`, else `hub.toml` where there is one.
fn file(arguments: &[String]) -> Option<(PathBuf, bool)> {
    let flag = arguments
        .iter()
        .position(|argument| argument == "--config")
        .and_then(|at| arguments.get(at + 1));
    let inline = arguments.iter().find_map(|argument| argument.strip_prefix("--config="));
    let named = flag
        .map(String::as_str)
        .or(inline)
        .map(str::to_owned)
        .or_else(|| std::env::var("HUB_CONFIG").ok());
    match named {
        Some(named) => Some((named.into(), true)),
        None => Some((PathBuf::from("hub.toml"), false)).filter(|(path, _)| path.exists()),
    }
}

/// Reads the command line, on top of the environment, on top of the settings file.
///
/// # Errors
/// A settings file that is missing, malformed, or that names a setting that no command has.
pub fn parse<T: CommandFactory + FromArgMatches>(arguments: Vec<String>) -> anyhow::Result<T> {
    let mut command = T::command();
    if let Some((path, named)) = file(&arguments) {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("the settings file {} cannot be read", path.display()))?;
        command = with_defaults(command, &settings(&path, &text)?).with_context(|| {
            format!(
                "in the settings file {}{}",
                path.display(),
                if named { "" } else { " of this folder" }
            )
        })?;
    }
    // Help, version and mistakes on the command line print themselves and end the process.
    let matches = command.get_matches_from(arguments);
    Ok(T::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
}

/// Where a settings file stops being TOML. The parser's own text would quote the line, and with it a secret.
fn malformed(path: &Path, text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(text.len(), |span| span.start);
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
    let reason = error.message().replace('\n', " ");
    let path = path.display();
    format!(
        "the settings file {path} is not TOML at line {line}, column {column} ({reason}); write each setting as a line \
         such as listen = \"127.0.0.1:8080\""
    )
}

fn settings(path: &Path, text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let table: toml::Table =
        text.parse().map_err(|error| anyhow!("{}", malformed(path, text, &error)))?;
    table
        .into_iter()
        .map(|(name, value)| match value {
            toml::Value::String(text) => Ok((name, text)),
            toml::Value::Integer(number) => Ok((name, number.to_string())),
            toml::Value::Boolean(flag) => Ok((name, flag.to_string())),
            _ => bail!("{name} in {} must be a text, a number or true/false", path.display()),
        })
        .collect()
}

/// Makes the file's settings the defaults of the options of the same names.
fn with_defaults(mut command: Command, settings: &[(String, String)]) -> anyhow::Result<Command> {
    for (name, value) in settings {
        let mut known = false;
        command = default_of(command, name, value, &mut known);
        if !known {
            bail!(
                "no option is called {name}; `hub <command> --help` names them, with _ for - in the file"
            );
        }
    }
    Ok(command)
}

fn default_of(mut command: Command, name: &str, value: &str, known: &mut bool) -> Command {
    if command
        .get_arguments()
        .any(|argument| argument.get_id() == name && !argument.is_positional())
    {
        *known = true;
        let value = value.to_owned();
        command = command.mut_arg(name, |argument| argument.default_value(value).required(false));
    }
    let names: Vec<_> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for sub in names {
        command = command.mut_subcommand(sub, |sub| default_of(sub, name, value, known));
    }
    command
}

#[cfg(test)]
mod tests {
    use clap::{Args, Parser, Subcommand};

    use super::*;

    #[derive(Debug, Parser)]
    struct Top {
        #[command(subcommand)]
        command: Sub,
    }

    #[derive(Debug, Subcommand)]
    enum Sub {
        Serve(Serve),
    }

    #[derive(Debug, Args)]
    struct Serve {
        #[arg(long, default_value = "a")]
        some_name: String,
    }

    fn name(arguments: &[&str], settings: &[(&str, &str)]) -> anyhow::Result<String> {
        let settings: Vec<_> =
            settings.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let command = with_defaults(Top::command(), &settings)?;
        let Sub::Serve(serve) =
            Top::from_arg_matches(&command.get_matches_from(arguments))?.command;
        Ok(serve.some_name)
    }

    #[test]
    fn the_file_sets_what_the_command_line_does_not() {
        assert_eq!(name(&["hub", "serve"], &[]).unwrap(), "a");
        assert_eq!(name(&["hub", "serve"], &[("some_name", "b")]).unwrap(), "b");
        assert_eq!(
            name(&["hub", "serve", "--some-name", "c"], &[("some_name", "b")]).unwrap(),
            "c"
        );
    }

    #[test]
    fn a_setting_that_no_option_has_is_refused() {
        let error = name(&["hub", "serve"], &[("sme_name", "b")]).unwrap_err();
        assert!(error.to_string().contains("sme_name"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_toml_is_told_in_one_line_with_the_place_and_without_its_text() {
        let text = "data = \"x\"\ndiscord_bot_token = whisper\n";
        let error = settings(Path::new("hub.toml"), text).unwrap_err().to_string();
        assert!(error.contains("hub.toml is not TOML at line 2, column 21 "), "{error}");
        assert!(!error.contains('\n') && !error.contains("whisper"), "{error}");
        assert!(error.contains("write each setting as a line"), "{error}");
    }
}
