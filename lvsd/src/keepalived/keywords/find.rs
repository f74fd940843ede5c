//! A keyword by its name, and names that look alike.

use super::{Body, Keyword, Old, WHOLE};

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
}

/// All keywords with their places, blocks before what they hold.
pub fn everywhere() -> Vec<Place> {
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
    let mut all = Vec::new();
    walk(&mut Vec::new(), &WHOLE, &mut all);
    all
}

/// Where a keyword of this name exists, with what is to be said about the name if it is an old one.
pub fn named(name: &str) -> Vec<(Place, Option<&'static Old>)> {
    let all = everywhere().into_iter();
    all.filter_map(|place| place.keyword.known_as(name).map(|old| (place, old)))
        .collect()
}

/// The name that looks most like this one, if one does: a slip or two, or another case.
pub fn alike<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Beyond this, nobody meant a keyword.
    if word.len() > 64 {
        return None;
    }
    let lower = word.to_ascii_lowercase().replace('-', "_");
    let near = names.filter_map(|name| {
        let other = name.to_ascii_lowercase().replace('-', "_");
        let far = distance(&lower, &other);
        let forgiven = lower
            .chars()
            .count()
            .max(other.chars().count())
            .div_ceil(4)
            .min(3);
        (far <= forgiven).then_some((far, name))
    });
    near.min_by_key(|(far, _)| *far).map(|(_, name)| name)
}

/// How many letters must be put in, taken out, changed, or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let at = |row: &[usize], i: usize| row.get(i).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
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
            ("wegiht", "weight", 2),
            ("real_sever", "real_server", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), far, "{a} {b}");
            assert_eq!(distance(b, a), far, "{b} {a}");
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
