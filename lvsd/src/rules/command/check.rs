//! Whether the options of a command go with it, and with each other.

use lvs_core::ServiceKey;

use super::super::options::{CHECKED, LISTED, NEED_SERVER, NEED_SERVICE, OPTIONS, Verb};
use super::CommandError;
use super::line::Line;

/// Refuses a command that lacks an option it needs, or has one that it does not go with.
pub(super) fn options(line: &Line<'_>) -> Result<(), CommandError> {
    let verb = line.verb.name();
    let mut listed = None;
    for name in CHECKED {
        let Some(given) = line.given(name) else {
            let is_needed = match name {
                "service-address" => NEED_SERVICE.contains(&line.verb),
                "real-server" => NEED_SERVER.contains(&line.verb),
                _ => false,
            };
            match is_needed {
                true => return Err(missing(name, line.verb)),
                false => continue,
            }
        };
        let mut options = OPTIONS.iter().filter(|o| o.name == name);
        if !options.any(|o| o.verbs.contains(&line.verb)) {
            let message = format!("Illegal '{name}' option with the '{verb}' command");
            return Err(CommandError::usage(message).at(given.at));
        }
        if line.verb == Verb::List
            && LISTED.contains(&name)
            && let Some(other) = listed.replace(name)
        {
            let message = format!(
                "The option '{name}' conflicts with the '{other}' option in the '{verb}' command"
            );
            return Err(CommandError::usage(message).at(given.at));
        }
    }
    Ok(())
}

/// The service, of a command that needs one.
pub(super) fn service(line: &Line<'_>) -> Result<ServiceKey, CommandError> {
    line.service
        .ok_or_else(|| missing("service-address", line.verb))
}

fn missing(name: &str, verb: Verb) -> CommandError {
    let verb = verb.name();
    CommandError::usage(format!(
        "You need to supply the '{name}' option for the '{verb}' command"
    ))
}

/// Refuses a listing in a form that only services have.
pub(super) fn listing(line: &Line<'_>) -> Result<(), CommandError> {
    let others = LISTED.iter().filter(|name| **name != "service-address");
    let Some(other) = others.copied().find(|name| line.has(name)) else {
        return Ok(());
    };
    let forms = ["stats", "rate", "thresholds", "persistent-conn"];
    let goes = |form: &str| (form, other) == ("persistent-conn", "connection");
    let form = forms.into_iter().filter(|form| !goes(form));
    match form.filter_map(|form| line.given(form)).next() {
        Some(given) => {
            Err(CommandError::usage("options conflicts in the list command").at(given.at))
        }
        None => Ok(()),
    }
}
