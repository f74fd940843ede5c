//! What to say about keywords that are none.

use super::super::diagnostic::Diagnostic;
use super::super::keywords::{Keyword, Place, WHOLE, akin, alike, everywhere, named};
use super::super::place::Word;
use super::Node;

/// What is wrong with the keyword, and which one of this block was probably meant, if that is to be guessed.
pub(super) fn unknown(
    block: &Node,
    word: &Word,
    guess: bool,
) -> (Diagnostic, Option<&'static str>) {
    let name = word.text.as_str();
    let within = block.keyword;
    let near = || alike(name, names(within)).or_else(|| akin(name, names(within)));
    let here = if guess { near() } else { None };
    let meant = here
        .and_then(|name| within.child(name))
        .map(|(k, _)| k.name);
    let mut places = named(name).map(|(place, _)| place).peekable();
    if places.peek().is_some() {
        let message = format!("`{name}` does not belong {}", inside(within));
        let help = match here {
            Some(here) => format!("{}; did you mean `{here}`?", belongs(name, places)),
            None => belongs(name, places),
        };
        let wrong = Diagnostic::error("misplaced-keyword", word.span, message);
        return (wrong.label("ignored").help(help).tolerated(), meant);
    }
    let message = match is_whole(within) {
        true => format!("there is no keyword `{name}`"),
        false => format!("there is no keyword `{name}` in `{}`", within.name),
    };
    let wrong = Diagnostic::error("unknown-keyword", word.span, message);
    let mut wrong = wrong.label("ignored").tolerated();
    wrong.help = here.map(|here| format!("did you mean `{here}`?"));
    wrong.help = foreign(name).map(str::to_owned).or(wrong.help);
    wrong.help = wrong.help.or_else(|| punctuation(name)).or_else(|| {
        let all = everywhere().iter().filter(|_| guess);
        let other = alike(name, all.map(|p| p.keyword.name))?;
        let places = named(other).map(|(place, _)| place);
        Some(format!(
            "did you mean `{other}`? {}",
            belongs(other, places)
        ))
    });
    (wrong, meant)
}

/// All names that the block's keywords have.
fn names(block: &'static Keyword) -> impl Iterator<Item = &'static str> {
    block.keywords().flat_map(|k| {
        let also = k.also.iter().copied();
        let old = k.old.iter().map(|o| o.name);
        std::iter::once(k.name).chain(also).chain(old)
    })
}

/// Keywords of the FullNAT that other load balancers have, which keepalived never had.
fn foreign(name: &str) -> Option<&'static str> {
    Some(match name {
        "laddr_group_name" => {
            "write the group's addresses into the service: `lvsd_local_address ADDRESS`, one a line"
        }
        "local_address_group" => {
            "write its addresses into the services that use it: `lvsd_local_address ADDRESS`, one a line"
        }
        "syn_proxy" => {
            "leave it out: servers answer SYNs themselves, with SYN cookies if there are too many"
        }
        _ => return None,
    })
}

/// What else a line may begin with.
fn punctuation(name: &str) -> Option<String> {
    let help = match name {
        _ if name.starts_with("//") || name.starts_with("/*") || name.starts_with(';') => {
            "comments begin with `#` or `!`"
        }
        ")" | "]" | "\u{ff5d}" => "blocks end with `}`",
        _ if name.starts_with(['<', '>', '=', '"', '\'']) => "a line begins with a keyword",
        _ => return None,
    };
    Some(help.to_owned())
}

fn is_whole(block: &Keyword) -> bool {
    block.name == WHOLE.name
}

fn inside(block: &Keyword) -> String {
    match is_whole(block) {
        true => "outside of blocks".to_owned(),
        false => format!("in `{}`", block.name),
    }
}

/// Where a keyword belongs.
fn belongs(name: &str, places: impl Iterator<Item = &'static Place>) -> String {
    let mut blocks: Vec<String> = Vec::new();
    for place in places.filter(|place| !place.is_removed()) {
        let block = inside(place.block());
        if !blocks.contains(&block) {
            blocks.push(block);
        }
    }
    let list = match blocks.as_slice() {
        [first, second, _, _, ..] => format!("{first}, {second} and other blocks"),
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => blocks.concat(),
    };
    match list.is_empty() {
        true => format!("`{name}` has gone out of use"),
        false => format!("`{name}` belongs {list}"),
    }
}
