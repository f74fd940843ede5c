//! A keyword by its name, and names that look alike.

use std::sync::LazyLock;

use super::{Body, Effect, Keyword, Old, WHOLE};

/// A keyword and the blocks around it.
#[derive(Clone, Debug)]
pub struct Place {
    /// The blocks, from the file as a whole ([`WHOLE`]) inwards.
    pub path: Vec<&'static Keyword>,
    /// The keyword.
    pub keyword: &'static Keyword,
}

impl Place {
    /// The block that it stands in.
    pub fn block(&self) -> &'static Keyword {
        self.path.last().copied().unwrap_or(&WHOLE)
    }

    /// What becomes of it: its block's fate, if that does not work.
    pub fn effect(&self) -> Effect {
        let around = self.path.iter().map(|k| k.effect);
        let mut all = around.chain([self.keyword.effect]);
        let own = self.keyword.effect;
        match own {
            Effect::Removed(_) => own,
            _ => all.find(|e| *e != Effect::Works).unwrap_or(Effect::Works),
        }
    }

    /// Whether it, or a block around it, has gone out of use.
    pub fn is_removed(&self) -> bool {
        let mut all = self.path.iter().copied().chain([self.keyword]);
        all.any(|k| matches!(k.effect, Effect::Removed(_)))
    }
}

/// All keywords with their places, blocks before what they hold.
pub fn everywhere() -> &'static [Place] {
    static ALL: LazyLock<Vec<Place>> = LazyLock::new(|| {
        let mut all = Vec::new();
        walk(&mut Vec::new(), &WHOLE, &mut all);
        all
    });
    &ALL
}

fn walk(path: &mut Vec<&'static Keyword>, block: &'static Keyword, all: &mut Vec<Place>) {
    path.push(block);
    for keyword in block.keywords() {
        all.push(Place {
            path: path.clone(),
            keyword,
        });
        if matches!(keyword.body, Body::Block(_)) {
            walk(path, keyword, all);
        }
    }
    path.pop();
}

/// Where a keyword of this name exists, with what is to be said about the name if it is an old one.
pub fn named(name: &str) -> impl Iterator<Item = (&'static Place, Option<&'static Old>)> {
    let all = everywhere().iter();
    all.filter_map(move |place| Some((place, place.keyword.known_as(name)?)))
}

/// The name that looks most like this one, if one does: a slip or two, or another case.
pub fn alike<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Beyond this, nobody meant a keyword.
    if word.len() > 64 {
        return None;
    }
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let lower = plain(word);
    let near = names.filter_map(|name| {
        let forgiven = lower.len().max(name.len()).div_ceil(4).min(3);
        if lower.len().abs_diff(name.len()) > forgiven {
            return None;
        }
        let far = distance(lower.as_bytes(), plain(name).as_bytes());
        (far <= forgiven).then_some((far, name))
    });
    near.min_by_key(|(far, _)| *far).map(|(_, name)| name)
}

/// The name that this word is a part of or has as a part, up to an underscore or the end: `status` is part of `status_code`.
pub fn akin<'a>(word: &str, mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let begins = |long: &str, short: &str| short.len() >= 3 && long.starts_with(short);
    let ends = |long: &str, short: &str| {
        let before = long.strip_suffix(short);
        short.len() >= 3 && before.is_some_and(|before| before.ends_with('_'))
    };
    names.find(|name| begins(name, &word) || begins(&word, name) || ends(name, &word))
}

/// How many bytes must be put in, taken out, changed, or swapped with their neighbour.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let at = |row: &[usize], i: usize| row.get(i).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = at(&last, j) + usize::from(x != y);
            let mut least = changed.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                least = least.min(at(&before, j - 1) + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    at(&last, b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (a, b, far) in [
            ("", "", 0),
            ("abc", "", 3),
            ("weight", "weight", 0),
            ("wieght", "weight", 1),
            ("weigth", "weight", 1),
            ("wegiht", "weight", 1),
            ("real_sever", "real_server", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), far, "{a} {b}");
            assert_eq!(distance(b.as_bytes(), a.as_bytes()), far, "{b} {a}");
        }
    }

    #[test]
    fn parts_are_found() {
        let names = [
            "delay_loop",
            "status_code",
            "dev",
            "connect_port",
            "bind_port",
        ];
        for (word, found) in [
            ("status", Some("status_code")),
            ("device", Some("dev")),
            ("port", Some("connect_port")),
            ("ort", None),
            ("de", None),
            ("loops", None),
        ] {
            assert_eq!(akin(word, names.iter().copied()), found, "{word}");
        }
    }

    #[test]
    fn what_looks_alike_is_found() {
        let names = ["wlc", "wrr", "weight", "smtp_connect_timeout", "TCP_CHECK"];
        for (word, found) in [
            ("wcl", Some("wlc")),
            ("weigth", Some("weight")),
            ("tcp-check", Some("TCP_CHECK")),
            ("frobnicate", None),
            ("x", None),
        ] {
            assert_eq!(alike(word, names.iter().copied()), found, "{word}");
        }
    }
}
