//! The reference is complete: whatever the code answers, records, measures or takes is named on its page.
//!
//! Names are read where they are made: in the sources, and in the help of the program.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use domain::{Event, Trouble, status, trouble::of_discord_code};

/// Where something of the repository stands.
fn place(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn page(name: &str) -> String {
    text(&place("docs/reference").join(name))
}

/// The sources below a folder.
fn sources(folder: &Path) -> Vec<String> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(text(&path));
        }
    }
    found
}

/// The texts that stand as the first argument after `call`.
fn first_arguments(source: &str, call: &str) -> BTreeSet<String> {
    let arguments = source.split(call).skip(1).map(str::trim_start);
    let quoted = arguments.filter_map(|rest| rest.strip_prefix('"')?.split('"').next());
    quoted.map(str::to_owned).collect()
}

/// Fails where a page does not name one of these as code.
fn assert_named(on: &str, names: &BTreeSet<String>, at_least: usize) {
    assert!(names.len() >= at_least, "only {names:?} were found in the code");
    let page = page(on);
    let missing: Vec<_> =
        names.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/reference/{on} lacks {missing:?}");
}

#[test]
fn every_problem_and_every_reason_has_its_line() {
    let errors = text(&place("api/src/error.rs"));
    let (_, kinds) = errors.split_once("\nkinds! {").unwrap();
    let (kinds, _) = kinds.split_once("\n}").unwrap();
    let codes = kinds.lines().filter_map(|line| line.split('"').nth(1));
    assert_named("problems.md", &codes.map(str::to_owned).collect(), 40);

    let mut reasons: BTreeSet<String> =
        Trouble::ALL.iter().map(|trouble| trouble.code().to_owned()).collect();
    reasons.extend(first_arguments(&text(&place("api/src/reason.rs")), "Self::new("));
    reasons.extend(first_arguments(&text(&place("bot/src/doctor.rs")), "Finding::new("));
    for source in sources(&place("api/src")) {
        reasons.extend(first_arguments(&source, ".code = Some("));
    }
    for made_elsewhere in ["not_linked", "fans_blocked", "members_intent_missing", "unknown_tier"] {
        assert!(reasons.contains(made_elsewhere), "{made_elsewhere} is made in another way by now");
    }
    assert_named("problems.md", &reasons, Trouble::ALL.len() + 6);
}

#[test]
fn every_event_has_its_line() {
    let mut events = BTreeSet::new();
    for source in sources(&place("domain/src")) {
        let Some((_, variants)) = source.split_once("\npub enum Event {\n") else { continue };
        let (variants, _) = variants.split_once("\n}").unwrap();
        // A variant is indented once, its fields are indented twice.
        let names = variants.lines().filter_map(|line| {
            let name = line.strip_prefix("    ")?;
            let name = name.split(|letter: char| !letter.is_ascii_alphanumeric()).next()?;
            name.starts_with(|letter: char| letter.is_ascii_uppercase()).then(|| name.to_owned())
        });
        events.extend(names.filter(|name| Event::is_called(name)));
    }
    assert_named("events.md", &events, 50);
    let snapshots = place("domain/src/snapshots");
    let released: String =
        fs::read_dir(snapshots).unwrap().map(|entry| text(&entry.unwrap().path())).collect();
    for event in &events {
        assert!(released.contains(&format!(r#""type": "{event}""#)), "{event} has no promise");
    }
}

#[test]
fn every_metric_has_its_line() {
    let mut metrics = BTreeSet::new();
    for folder in ["api/src", "bot/src", "eventstore/src", "projections/src", "src"] {
        for source in sources(&place(folder)) {
            for measure in ["counter!(", "gauge!(", "histogram!("] {
                metrics.extend(first_arguments(&source, measure));
            }
        }
    }
    assert_named("metrics.md", &metrics, 6);
}

#[test]
fn no_route_asks_the_view_of_what_happened_without_waiting_for_it() {
    let asking = sources(&place("api/src")).into_iter();
    let asking: Vec<_> = asking
        .filter(|source| source.contains("views.audit()") || source.contains(".timers()"))
        .collect();
    assert_eq!(
        asking,
        [text(&place("api/src/app.rs"))],
        "App::audit waits; nobody waits for timers"
    );
}

#[test]
fn every_code_of_discord_that_is_known_has_its_line() {
    let known = (10_000..500_000).filter(|code| of_discord_code(*code).is_some());
    let page = page("discord.md");
    let missing: Vec<u64> = known.filter(|code| !page.contains(&code.to_string())).collect();
    assert!(missing.is_empty(), "docs/reference/discord.md lacks {missing:?}");
}

#[test]
fn every_status_has_its_line() {
    let mut statuses: BTreeSet<String> =
        status::Status::ALL.iter().map(|status| status.as_str().to_owned()).collect();
    for (source, name) in [
        ("domain/src/membership.rs", "Status"),
        ("domain/src/hold.rs", "Status"),
        ("projections/src/fan_access/holds.rs", "HoldStatus"),
        ("projections/src/audit/access.rs", "Knowledge"),
        ("bot/src/wire.rs", "OutcomeResult"),
        ("eventstore/src/webhooks/mod.rs", "DeliveryState"),
    ] {
        let source = text(&place(source));
        let (_, variants) = source.split_once(&format!("pub enum {name} {{\n")).unwrap();
        let (variants, _) = variants.split_once("\n}").unwrap();
        let names = variants.lines().map(str::trim).filter_map(|line| line.strip_suffix(','));
        statuses.extend(names.map(snake_case));
    }
    assert_named("statuses.md", &statuses, 25);
}

/// A variant's name as JSON has it.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for (at, letter) in name.char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[test]
fn every_control_of_the_sandbox_has_its_line() {
    let (routes, page) = (text(&place("bot/sandbox/src/control.rs")), page("sandbox.md"));
    let paths: BTreeSet<&str> =
        routes.split('"').skip(1).step_by(2).filter(|path| path.starts_with("/sandbox/")).collect();
    assert!(paths.len() > 15, "{paths:?}");
    let short = |path: &str| {
        path.replace("{guild}", "{g}").replace("{user}", "{u}").replace("{role}", "{r}")
    };
    let missing: Vec<_> =
        paths.iter().filter(|path| !page.contains(&format!(" {}`", short(path)))).collect();
    assert!(missing.is_empty(), "docs/reference/sandbox.md lacks {missing:?}");
}

/// What a command's help says.
fn help(command: &[String]) -> String {
    let mut hub = Command::new(env!("CARGO_BIN_EXE_hub"));
    hub.args(command).arg("--help").env_remove("HUB_CONFIG");
    let output = hub.output().unwrap();
    assert!(output.status.success(), "hub {} --help", command.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// Every command below one, and what its help says.
fn commands(above: &[String]) -> Vec<(Vec<String>, String)> {
    let told = help(above);
    let below = told.split_once("\nCommands:\n").map_or("", |(_, below)| below);
    let below = below.lines().take_while(|line| line.is_empty() || line.starts_with(' '));
    // A command is indented once; what is said of it may go on further to the right.
    let names = below.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names = names.filter(|name| !name.is_empty() && *name != "help");
    let mut all: Vec<_> =
        names.flat_map(|name| commands(&[above, &[name.to_owned()]].concat())).collect();
    all.push((above.to_vec(), told));
    all
}

/// The words that follow a mark, as far as they are made of these letters.
fn words<'a>(told: &'a str, mark: &str, letters: fn(char) -> bool) -> BTreeSet<&'a str> {
    let after = told.split(mark).skip(1);
    let words = after.filter_map(|rest| rest.split(|letter: char| !letters(letter)).next());
    words.filter(|word| !word.is_empty()).collect()
}

fn of_option(letter: char) -> bool {
    letter.is_ascii_lowercase() || letter == '-'
}

fn of_variable(letter: char) -> bool {
    letter.is_ascii_uppercase() || letter == '_'
}

#[test]
fn every_command_option_and_variable_has_its_line() {
    let (page, settings) = (page("command-line.md"), page("settings.md"));
    let mut options = words(&page, "--", of_option);
    options.extend(words(&settings, "--", of_option));
    let variables = words(&settings, "`HUB", of_variable);
    let all = commands(&[]);
    assert!(all.len() >= 15, "{all:?}");
    for (command, told) in all {
        let name = ["hub"].into_iter().chain(command.iter().map(String::as_str));
        let name = name.collect::<Vec<_>>().join(" ");
        let is_named = ["`", " "].iter().any(|end| page.contains(&format!("`{name}{end}")));
        assert!(is_named, "docs/reference/command-line.md lacks `{name}`");
        // Lines are broken where a terminal would end.
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        for option in words(&told, " --", of_option) {
            assert!(options.contains(option), "neither page has --{option} of `{name}`");
        }
        for variable in words(&told, "[env: HUB", of_variable) {
            assert!(variables.contains(variable), "settings.md lacks HUB{variable} of `{name}`");
        }
    }
}

#[test]
fn whatever_the_architecture_cites_is_there() {
    let architecture = text(&place("docs/architecture.md"));
    let cited = architecture.split('`').skip(1).step_by(2);
    let paths: Vec<_> = cited.filter(|cited| cited.contains('/') && !cited.contains(' ')).collect();
    assert!(paths.len() > 30, "{paths:?}");
    // Rooms are said in full once and then left out.
    let below = ["", "tests/stories", "eventstore", "eventstore/src", "bot/src", "api/src"];
    let missing: Vec<_> = paths
        .iter()
        .filter(|path| {
            !path.starts_with('/') && !below.iter().any(|room| place(room).join(path).exists())
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
