//! One keyword, in all blocks that have it.

use super::text::wrap;
use crate::keepalived::keywords::{
    Body, Effect, Form, Keyword, Opt, Param, Place, Repeat, WHOLE, everywhere, named,
    option_syntax, syntax,
};

/// How far what a label says is from the margin.
const LABEL: usize = 18;

/// Everything about a keyword, or about a word that may stand behind one; `None` if there is none of that name.
pub(super) fn page(name: &str) -> Option<String> {
    let mut text = String::new();
    for places in same(named(name).map(|(place, _)| place)) {
        keyword(&places, &mut text);
    }
    for (holders, option) in options(name) {
        about_option(&holders, option, &mut text);
    }
    (!text.is_empty()).then_some(text)
}

/// Places of which those come together that say the same.
fn same(places: impl Iterator<Item = &'static Place>) -> Vec<Vec<&'static Place>> {
    let mut groups: Vec<Vec<&'static Place>> = Vec::new();
    for place in places {
        let alike = |other: &Place| described(other) == described(place);
        match groups
            .iter_mut()
            .find(|g| g.first().is_some_and(|p| alike(p)))
        {
            Some(group) => group.push(place),
            None => groups.push(vec![place]),
        }
    }
    groups
}

/// Everything that a page says of a keyword, but for where it stands.
fn described(place: &Place) -> (String, String, Effect) {
    let k = place.keyword;
    let body: Vec<&str> = k.keywords().map(|k| k.name).collect();
    let forms: Vec<String> = k.forms().map(|f| syntax(k.name, f)).collect();
    let says = [k.about, k.default, k.differs, k.after].join("\n");
    (says, forms.join("\n") + &body.join(" "), place.effect())
}

fn keyword(places: &[&'static Place], text: &mut String) {
    let Some(place) = places.first() else { return };
    let k = place.keyword;
    if !text.is_empty() {
        text.push('\n');
    }
    for form in k.forms() {
        let braces = match k.body {
            Body::None => "",
            _ => " { ... }",
        };
        text.push_str(&format!("{}{braces}\n", syntax(k.name, form)));
    }
    let paths: Vec<String> = places.iter().map(|p| within(p)).collect();
    text.push_str(&wrap("    in", 7, &paths.join(", ")));
    text.push('\n');
    text.push_str(&wrap("", 4, k.about));
    text.push('\n');
    let mut label = |name: &str, says: &str| {
        if !says.is_empty() {
            text.push_str(&wrap(&format!("    {name}"), LABEL, says));
        }
    };
    let mut told: Vec<&str> = Vec::new();
    for param in k.forms().flat_map(|f| f.params) {
        if !told.contains(&param.name) {
            told.push(param.name);
            label(param.name, &param.kind.describe());
        }
    }
    for form in k.others.iter().filter(|f| !f.about.is_empty()) {
        let with = match form.lead {
            "" => format!("{} is ", form.params.first().map_or("", |p| p.name)),
            lead => format!("with `{lead}`: "),
        };
        label("", &format!("{with}{}", form.about));
    }
    label("default", k.default);
    label("also", &code(k.also));
    for old in k.old {
        label("old name", &format!("`{}`: {}", old.name, old.note));
    }
    label("given twice", repeated(k));
    if !k.after.is_empty() {
        label(
            "order",
            &format!("keepalived wants it behind `{}`", k.after),
        );
    }
    label("in lvsd", &fate(place.effect()));
    label("different", k.differs);
    options_of(&k.form, "    options", text);
    holds(k, text);
}

/// What a keyword's braces hold.
fn holds(k: &Keyword, text: &mut String) {
    match k.body {
        Body::None => {}
        Body::Block(_) => {
            let names: Vec<&str> = k
                .keywords()
                .filter(|k| !matches!(k.effect, Effect::Removed(_)))
                .map(|k| k.name)
                .collect();
            text.push_str(&wrap("    keywords", LABEL, &names.join(" ")));
        }
        Body::Lines(forms) => {
            for form in forms {
                text.push_str(&wrap("    lines", LABEL, &syntax("", form)));
                params(form.params, text);
                options_of(form, "    options", text);
            }
        }
        Body::List(form) => {
            text.push_str(&wrap("    words", LABEL, &syntax("", &form)));
            params(form.params, text);
        }
    }
}

fn params(params: &[Param], text: &mut String) {
    for param in params {
        let says = format!("{}: {}", param.name, param.kind.describe());
        text.push_str(&wrap("", LABEL, &says));
    }
}

fn options_of(form: &Form, label: &str, text: &mut String) {
    for (n, option) in form.options.iter().enumerate() {
        let label = if n == 0 { label } else { "" };
        let also = match option.also {
            [] => String::new(),
            also => format!(" (also {})", code(also)),
        };
        let says = format!("{}{also}: {}", option_syntax(option), option.about);
        text.push_str(&wrap(label, LABEL, &says));
    }
}

fn about_option(holders: &[&'static str], option: &Opt, text: &mut String) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&format!("{}\n", option_syntax(option)));
    text.push_str(&wrap("    an option of", 17, &code(holders)));
    text.push('\n');
    text.push_str(&wrap("", 4, option.about));
    text.push('\n');
    for param in option.params {
        text.push_str(&wrap(
            &format!("    {}", param.name),
            LABEL,
            &param.kind.describe(),
        ));
    }
    if !option.also.is_empty() {
        text.push_str(&wrap("    also", LABEL, &code(option.also)));
    }
}

/// Options of this name, with the keywords that have them.
fn options(name: &str) -> Vec<(Vec<&'static str>, &'static Opt)> {
    let mut found: Vec<(Vec<&'static str>, &'static Opt)> = Vec::new();
    for place in everywhere() {
        let k = place.keyword;
        let lines: &[Form] = match k.body {
            Body::Lines(forms) => forms,
            _ => &[],
        };
        let all = k.forms().chain(lines).flat_map(|f| f.options);
        for option in all.filter(|o| o.is(name)) {
            let same =
                |o: &Opt| (o.about, option_syntax(o)) == (option.about, option_syntax(option));
            match found.iter_mut().find(|(_, o)| same(o)) {
                Some((holders, _)) if holders.contains(&k.name) => {}
                Some((holders, _)) => holders.push(k.name),
                None => found.push((vec![k.name], option)),
            }
        }
    }
    found
}

/// The blocks around a keyword, outermost first.
fn within(place: &Place) -> String {
    let path: Vec<&str> = place.path.iter().skip(1).map(|k| k.name).collect();
    match path.is_empty() {
        true => format!("{} itself, outside of blocks", WHOLE.name),
        false => path.join(" / "),
    }
}

fn repeated(k: &Keyword) -> &'static str {
    match (k.repeat, k.effect) {
        (_, Effect::Removed(_)) => "",
        (Repeat::Last, _) => "the last one counts",
        (Repeat::First, _) => "the first one counts",
        (Repeat::Each, _) => "each counts",
    }
}

/// What lvsd does about a keyword, in a sentence.
pub(super) fn fate(effect: Effect) -> String {
    match effect {
        Effect::Works => "works".to_owned(),
        Effect::Later(what) => format!("checked, but not carried out: there is no {what} yet"),
        Effect::Nothing(why) => format!("no effect, of which `lvsd check` warns: {why}"),
        Effect::Harmless(why) => format!("no effect is needed: {why}"),
        Effect::Removed(fate) => format!("out of use: {fate}"),
    }
}

fn code(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_what_the_tables_say() {
        let text = page("nb_get_retry").unwrap();
        for part in [
            "retry NUMBER\n",
            "virtual_server / real_server / TCP_CHECK",
            "a whole number from 0 to 4294967295",
            "`nb_get_retry`: write `retry`",
            "the last one counts",
            "works",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        // Once for services and servers, once for all checks.
        assert_eq!(text.matches("retry NUMBER\n").count(), 2, "{text}");
    }

    #[test]
    fn words_behind_keywords_have_pages_too() {
        let text = page("broadcast").unwrap();
        assert!(
            text.contains("`virtual_ipaddress`") && text.contains("brd"),
            "{text}"
        );
        assert_eq!(page("frobnicate"), None);
    }

    #[test]
    fn every_keyword_has_a_page() {
        for place in everywhere() {
            let text = page(place.keyword.name).unwrap();
            assert!(text.contains(place.keyword.name));
        }
    }
}
