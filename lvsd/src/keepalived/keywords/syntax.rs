//! How a keyword is written, for pages and messages.

use super::{Form, Need, Opt, Param};

/// A line with this keyword (or none, for a line of a block) and form, such as `sorry_server ADDRESS [PORT]`.
pub fn syntax(keyword: &str, form: &Form) -> String {
    let mut words = Vec::new();
    words.extend(
        [keyword, form.lead]
            .iter()
            .filter(|w| !w.is_empty())
            .map(|w| (*w).to_owned()),
    );
    words.extend(form.params.iter().map(param));
    match form.options.len() {
        0 => {}
        1..=5 => words.extend(form.options.iter().map(|o| format!("[{}]", option(o)))),
        _ => words.push("[OPTION]...".to_owned()),
    }
    words.join(" ")
}

/// An option with what follows it, such as `port PORT`.
pub fn option(option: &Opt) -> String {
    let params = option.params.iter().map(param);
    let words: Vec<String> = std::iter::once(option.name.to_owned())
        .chain(params)
        .collect();
    words.join(" ")
}

/// A word as it appears there: its name, or what it can be if that is short.
fn param(param: &Param) -> String {
    let words = param.kind.words().join("|");
    let name = match words.len() {
        1..=24 => words.as_str(),
        _ => param.name,
    };
    match param.need {
        Need::Must => name.to_owned(),
        Need::May => format!("[{name}]"),
        Need::Many => format!("[{name}]..."),
        Need::Some => format!("{name}..."),
    }
}
