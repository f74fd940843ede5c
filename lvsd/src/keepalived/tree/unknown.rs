//! What to say about keywords that are none.

use super::super::diagnostic::Diagnostic;
use super::super::keywords::{Keyword, Place, alike, everywhere, named};
use super::super::place::Word;
use super::Node;

/// What is wrong with the keyword, and which one of this block was probably meant.
pub(super) fn unknown(block: &Node, word: &Word) -> (Diagnostic, Option<&'static str>) {
    let name = word.text.as_str();
    let within = block.keyword;
    let here = alike(name, names(within));
    let meant = here
        .and_then(|name| within.child(name))
        .map(|(k, _)| k.name);
    let elsewhere: Vec<Place> = named(name).into_iter().map(|(place, _)| place).collect();
    if !elsewhere.is_empty() {
        let wrong = Diagnostic::error(
            "misplaced-keyword",
            word.span,
            format!("`{name}` does not belong {}", inside(within)),
        );
        let mut help = belongs(name, &elsewhere);
        if let Some(here) = here {
            help = format!("{help}; did you mean `{here}`?");
        }
        return (wrong.label("ignored").help(help).tolerated(), meant);
    }
    let message = match within.name == super::super::keywords::WHOLE.name {
        true => format!("there is no keyword `{name}`"),
        false => format!("there is no keyword `{name}` in `{}`", within.name),
    };
    let mut wrong = Diagnostic::error("unknown-keyword", word.span, message).tolerated();
    if let Some(here) = here {
        wrong = wrong.help(format!("did you mean `{here}`?"));
    } else {
        let all = everywhere();
        let other = alike(name, all.iter().map(|p| p.keyword.name));
        if let Some(other) = other {
            let places: Vec<Place> = named(other).into_iter().map(|(place, _)| place).collect();
            wrong = wrong.help(format!(
                "did you mean `{other}`? {}",
                belongs(other, &places)
            ));
        } else if name.contains(['{', '}']) || name.starts_with(['"', '\'']) {
            wrong = wrong.help("a line begins with a keyword");
        }
    }
    (wrong.label("ignored"), meant)
}

/// All names that the block's keywords have.
fn names(block: &'static Keyword) -> impl Iterator<Item = &'static str> {
    block.keywords().flat_map(|k| {
        let also = k.also.iter().copied();
        std::iter::once(k.name)
            .chain(also)
            .chain(k.old.iter().map(|o| o.name))
    })
}

fn inside(block: &Keyword) -> String {
    match block.name == super::super::keywords::WHOLE.name {
        true => "outside of blocks".to_owned(),
        false => format!("in `{}`", block.name),
    }
}

/// Where a keyword belongs.
fn belongs(name: &str, places: &[Place]) -> String {
    let mut blocks: Vec<String> = Vec::new();
    for place in places {
        let block = inside(place.block());
        if !blocks.contains(&block) {
            blocks.push(block);
        }
    }
    let list = match blocks.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => blocks.concat(),
    };
    format!("`{name}` belongs {list}")
}
